"""Put transparent pictures over a ground on which they can be seen."""

from __future__ import annotations

import numpy as np
from PIL import Image

GROUNDS = (255, 0, 128)
"""Levels of grey of the grounds, in order of preference: white, black, and grey for what has both."""

HIDDEN_DISTANCE = 32
"""What is closer to the ground than this number of levels is not seen on it."""

MAX_HIDDEN = 0.5
"""Share of a picture that may be hidden by the preferred ground."""

MIN_TRANSPARENT = 0.02
"""A smaller transparent share, such as rounded corners, leaves the ground white."""

_SAMPLE = 256  # pixels of the longer side of the sample that decides


def has_alpha(image: Image.Image) -> bool:
    """Whether some pixels can be transparent."""
    return image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info


def find_ground(image: Image.Image) -> int | None:
    """The level of grey on which a picture can be seen; None if its alpha channel is to be ignored.

    An alpha channel of zeros would hide the whole picture: programs write it that mean no transparency at all.
    """
    scale = max(1.0, max(image.size) / _SAMPLE)
    size = max(1, round(image.width / scale)), max(1, round(image.height / scale))
    sample = np.asarray(image.resize(size, Image.Resampling.NEAREST).convert("RGBA"), np.float32).reshape(-1, 4)
    alpha = sample[:, 3]
    if not alpha.any():
        return None if np.ptp(sample[:, :3], axis=0).any() and not _shows_any(image) else GROUNDS[0]
    if (alpha == 0).mean() < MIN_TRANSPARENT:
        return GROUNDS[0]
    level = sample[:, :3] @ np.array([0.299, 0.587, 0.114], np.float32)
    hidden = [float(alpha[np.abs(level - ground) < HIDDEN_DISTANCE].sum() / alpha.sum()) for ground in GROUNDS]
    return GROUNDS[0] if hidden[0] <= MAX_HIDDEN else GROUNDS[int(np.argmin(hidden))]


def put_over(image: Image.Image, ground: int | None) -> Image.Image:
    """Return a picture in L or RGB over a level of grey; None ignores its alpha channel."""
    rgba = image.convert("RGBA")
    if ground is not None:
        rgba = Image.alpha_composite(Image.new("RGBA", rgba.size, (ground, ground, ground, 255)), rgba)
    return rgba.convert("L" if image.mode in ("L", "LA", "La") else "RGB")


def _shows_any(image: Image.Image) -> bool:
    """Whether any pixel of a picture with an alpha channel shows; the sample may have missed it."""
    return image.mode in ("RGBA", "LA") and bool(image.getchannel("A").getextrema()[1])

"""The frame that stands for an animation."""

from __future__ import annotations

from PIL import Image

MAX_SECONDS = 3.0
"""How far into an animation a picture is looked for."""

MAX_FRAMES = 60
"""How many frames are decoded for it."""

SAME = 8
"""Levels of 256 within which a frame counts as being of one colour."""

_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")


def show_first_picture(image: Image.Image) -> None:
    """Leave a decoded animation at its first frame that is not of one colour; many fade in from black or from nothing.

    Without such a frame within the first seconds, or if a later frame is damaged, it stays at the first one.
    """
    if image.format not in _ANIMATED or not getattr(image, "is_animated", False) or not _is_blank(image):
        return
    seconds = 0.0
    try:
        for number in range(1, MAX_FRAMES):
            seconds += float(image.info.get("duration") or 100) / 1000
            if seconds > MAX_SECONDS:
                break
            image.seek(number)
            image.load()
            if not _is_blank(image):
                return
    except Exception:  # noqa: BLE001, S110  the last frame, or a damaged one, for which decoders raise anything
        pass
    image.seek(0)
    image.load()


def _is_blank(image: Image.Image) -> bool:
    """Whether a frame is of one colour, or fully transparent."""
    rgba = image.convert("RGBA")
    _, highest_alpha = rgba.getchannel("A").getextrema()
    return highest_alpha == 0 or all(high - low <= SAME for low, high in rgba.convert("RGB").getextrema())  # type: ignore[misc]

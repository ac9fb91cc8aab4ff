"""Edits that people and programs make to a picture: its versions, for `benchmarks/duplicates.py`."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

FONT = "DejaVuSans.ttf"

Edit = Callable[[Image.Image], Image.Image]


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    """Recompress as JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def scaled(image: Image.Image, factor: float) -> Image.Image:
    """Resize by a factor."""
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))))


def cut(image: Image.Image, left: float = 0, top: float = 0, right: float = 0, bottom: float = 0) -> Image.Image:
    """Crop shares of width and height at each side."""
    width, height = image.size
    return image.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )


def watermarked(image: Image.Image) -> Image.Image:
    """Write a translucent word across the middle."""
    layer = Image.new("RGBA", image.size)
    font = ImageFont.truetype(FONT, image.width / 8)
    ImageDraw.Draw(layer).text(
        (image.width / 2, image.height / 2), "SAMPLE", (255, 255, 255, 96), font, "mm", stroke_width=1
    )
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def titled(image: Image.Image) -> Image.Image:
    """Write a line of opaque text along the bottom, as on a meme."""
    written = image.copy()
    font = ImageFont.truetype(FONT, image.width / 12)
    place = (image.width / 2, 0.9 * image.height)
    ImageDraw.Draw(written).text(place, "happy birthday", "white", font, "mm", stroke_width=2, stroke_fill="black")
    return written


def rescanned(image: Image.Image) -> Image.Image:
    """Scan a page once more: turned by half a degree, shifted, a little darker, with noise, at another resolution."""
    rng = np.random.default_rng(image.size)
    turned = image.rotate(0.5, Image.Resampling.BICUBIC, translate=(2, 3), fillcolor=image.getpixel((0, 0)))
    values = np.asarray(scaled(turned, 0.9), np.float32)
    noisy = 0.95 * values + rng.normal(0, 4, values.shape)
    return recompressed(Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)), 70)


EDITS: dict[str, Edit] = {
    "half size": lambda image: scaled(image, 0.5),
    "quarter size": lambda image: scaled(image, 0.25),
    "JPEG quality 30": lambda image: recompressed(image, 30),
    "brighter by a fifth": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "half size, quality 50, brighter, cropped by 4 %": lambda image: recompressed(
        scaled(cut(ImageEnhance.Brightness(image).enhance(1.1), 0.02, 0.02, 0.02, 0.02), 0.5), 50
    ),
    "cropped by 10 %, all round": lambda image: cut(image, 0.05, 0.05, 0.05, 0.05),
    "cropped by 5 %, left": lambda image: cut(image, left=0.05),
    "cropped by 10 %, top": lambda image: cut(image, top=0.1),
    "cropped by 25 %, right": lambda image: cut(image, right=0.25),
    "cropped by 25 %, bottom": lambda image: cut(image, bottom=0.25),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "mirrored": ImageOps.mirror,
    "turned by 90 degrees": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned by 180 degrees": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "turned by 270 degrees": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "mirrored, half size": lambda image: scaled(ImageOps.mirror(image), 0.5),
    "bordered": lambda image: ImageOps.expand(image, image.width // 20, "white"),
    "watermarked": watermarked,
    "with a title": titled,
}
"""Of photographs."""

PAGE_EDITS: dict[str, Edit] = {
    "page recompressed": lambda image: recompressed(image, 40),
    "page at half size": lambda image: scaled(image, 0.5),
    "page scanned again": rescanned,
}
"""Of documents and screenshots."""

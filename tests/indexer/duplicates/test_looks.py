"""Telling versions of a picture from other pictures."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

from indexer.duplicates.looks import LIKENESS, Look, likeness
from tests.indexer.duplicates.pictures import scene


def recompressed(image: Image.Image, quality: int = 60) -> Image.Image:
    """A picture after a round through JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def compared(
    one: Image.Image, two: Image.Image, *, taken: tuple[str | None, str | None] = (None, None), detailed: bool = True
) -> float:
    """The likeness of two pictures, which must not depend on their order."""

    def look(image: Image.Image, taken_at: str | None) -> Look:
        return Look.of(image, image.size, lambda: image.convert("L") if detailed else None, taken_at)

    first, second = look(one, taken[0]), look(two, taken[1])
    value, reverse = likeness(first, second), likeness(second, first)
    assert (value >= LIKENESS) == (reverse >= LIKENESS)
    return value


def cut(image: Image.Image, left: float = 0, top: float = 0, right: float = 1, bottom: float = 1) -> Image.Image:
    """A part of a picture, by shares of its width and height."""
    width, height = image.size
    return image.crop((round(left * width), round(top * height), round(right * width), round(bottom * height)))


VERSIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "half": lambda image: image.resize((160, 120)),
    "squeezed": lambda image: image.resize((200, 200)),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "mirrored": ImageOps.mirror,
    "upside down": ImageOps.flip,
    "turned left": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned right": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "on its head": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "cropped at the left": lambda image: cut(image, left=0.25),
    "cropped at the top": lambda image: cut(image, top=0.13),
    "cropped all round": lambda image: cut(image, 0.03, 0.02, 0.97, 0.96),
    "cropped to a square": lambda image: cut(image, 0.125, 0, 0.875, 1),
    "cropped and mirrored": lambda image: ImageOps.mirror(cut(image, right=0.8)),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_versions_are_alike(version: str) -> None:
    """Also after another round through JPEG, in both orders."""
    assert compared(scene(1), recompressed(VERSIONS[version](scene(1)))) >= LIKENESS


@pytest.mark.parametrize("radius", [12, 40])
def test_a_scene_in_which_something_moved_is_another_picture(radius: int) -> None:
    """However small it is, and alike the rest."""
    frames = []
    for x in (90, 230):
        frame = scene(1)
        ImageDraw.Draw(frame).ellipse((x - radius, 120 - radius, x + radius, 120 + radius), fill=(20, 20, 30))
        frames.append(recompressed(frame, 90))
    assert compared(*frames) < LIKENESS


def test_a_view_from_another_place_is_another_picture() -> None:
    """A hand does not hold a camera still: the second photograph is a little askew."""
    image = scene(1)
    later = cut(image.rotate(1.5, Image.Resampling.BICUBIC), 0.05, 0.05, 0.95, 0.95)
    assert compared(cut(image, 0.05, 0.05, 0.95, 0.95), later) < LIKENESS


def test_other_colours_make_another_picture() -> None:
    """The same thing in red and in blue; a grey version has no colours that could differ."""
    red = scene(1).convert("L").convert("RGB")
    blue = red.copy()
    mask = Image.new("L", red.size)
    ImageDraw.Draw(mask).ellipse((90, 60, 230, 180), fill=255)
    for image, colour in ((red, (150, 20, 20)), (blue, (20, 20, 150))):
        image.paste(Image.blend(image, Image.new("RGB", image.size, colour), 0.5), mask=mask)
    assert compared(red, blue) < LIKENESS <= compared(red, red.convert("L").convert("RGB"))


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (300, 200), "white"),
        Image.new("RGB", (300, 200), (20, 22, 21)),
        Image.linear_gradient("L").convert("RGB"),
        Image.fromarray(np.random.default_rng(0).normal(128, 2, (200, 300)).astype(np.uint8)).convert("RGB"),
        Image.new("RGB", (1, 1)),
        Image.new("RGB", (3000, 1), "red"),
    ],
    ids=["white", "dark", "gradient", "noise", "one pixel", "a line"],
)
def test_pictures_without_contrast_are_like_nothing(image: Image.Image) -> None:
    """Not even like themselves: there is nothing to tell them by."""
    assert compared(image, image) == compared(image, scene(1)) == 0


def test_exposures_taken_one_after_the_other_are_different_pictures() -> None:
    """However alike; a difference of hours may come from an editor or another time zone."""
    at = "2024-05-01T10:00:0"
    assert compared(scene(1), scene(1), taken=(f"{at}1", f"{at}2")) == 0
    for other in (f"{at}1", "2024-05-01T12:00:01", None, "yesterday"):
        assert compared(scene(1), scene(1), taken=(f"{at}1", other)) > LIKENESS


def page(seed: int, *, kind: str) -> Image.Image:
    """A receipt, chat, form or table; pages of a kind differ in their text only."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (420, 600), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(18)
    draw.text((210, 30), kind.upper(), "black", ImageFont.load_default(30), "mm")
    for row in range(17):
        y = 70 + 30 * row
        text = "".join(rng.choice(list("aeiklmnorstu "), 14))
        match kind:
            case "receipt":
                draw.text((20, y), text, "black", font)
                draw.text((400, y), f"{rng.integers(100, 9999) / 100:.2f}", "black", font, "ra")
            case "chat":
                left = 15 if rng.integers(2) else 150
                draw.rounded_rectangle((left, y, left + 240, y + 26), 8, (220, 248, 198))
                draw.text((left + 10, y + 2), text, "black", font)
            case "form":
                draw.text((20, y), f"{row + 1}. Field of the form", "black", font)
                draw.rectangle((210, y - 3, 400, y + 24), outline="black")
                draw.text((220, y), text if row % 4 == 0 else "", "navy", font)
            case "table":
                draw.line((10, y, 410, y), "grey")
                for column in range(5):
                    draw.text((20 + 80 * column, y + 4), str(rng.integers(1000, 9999)), "black", font)
    return image


PAGES = ("receipt", "chat", "form", "table")


@pytest.mark.parametrize("kind", PAGES)
def test_pages_with_different_text_are_different_pictures(kind: str) -> None:
    """The same print, other words."""
    for seed in range(3):
        assert compared(page(seed, kind=kind), recompressed(page(seed + 10, kind=kind))) < LIKENESS


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_recompressed_or_reduced_is_a_version(kind: str) -> None:
    """Its text can still be told."""
    image = page(1, kind=kind)
    for version in (recompressed(image, 40), image.resize((260, 371), Image.Resampling.LANCZOS)):
        assert compared(image, version) >= LIKENESS


@pytest.mark.parametrize("kind", ["receipt", "form", "table"])
def test_two_scans_of_a_page_are_versions(kind: str) -> None:
    """The second lies askew and is darker, with noise."""
    image = page(1, kind=kind)
    turned = image.rotate(0.5, Image.Resampling.BICUBIC, translate=(2, 3), fillcolor="white")
    noisy = 0.95 * np.asarray(turned, np.float32) + np.random.default_rng(0).normal(0, 4, (600, 420, 3))
    scan = recompressed(Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)), 70)
    assert compared(image, scan) >= LIKENESS


def test_pages_that_cannot_be_read_again_are_not_called_versions() -> None:
    """A coarse look is not enough for text."""
    image = page(1, kind="form")
    assert compared(image, recompressed(image)) > LIKENESS
    assert compared(image, recompressed(image), detailed=False) == 0

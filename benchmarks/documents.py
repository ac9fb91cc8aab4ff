"""Documents that look alike and say different things, drawn in any number, for `benchmarks/duplicates.py`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

MONO, SANS, SERIF = "DejaVuSansMono.ttf", "DejaVuSans.ttf", "DejaVuSerif.ttf"
WORDS = (
    *("milk", "bread", "apples", "butter", "cheese", "coffee", "sugar", "flour", "rice", "tomatoes", "onions", "salt"),
    *("yes", "no", "when", "where", "see", "you", "tomorrow", "thanks", "great", "call", "later", "on", "the", "way"),
    *("home", "train", "late", "dinner", "at", "seven", "please", "photo", "of", "garden", "nice", "weather", "today"),
)

Draw = Callable[[np.random.Generator], Image.Image]


def sentence(rng: np.random.Generator, words: int) -> str:
    """Words at random."""
    return " ".join(rng.choice(WORDS, words))


def price(rng: np.random.Generator) -> str:
    """A price."""
    return f"{rng.integers(1, 60)}.{rng.integers(0, 100):02}"


def receipt(rng: np.random.Generator) -> Image.Image:
    """Draw a shop's receipt: one head and foot, other goods and prices."""
    image = Image.new("RGB", (420, 760), (250, 250, 248))
    draw, font = ImageDraw.Draw(image), ImageFont.truetype(MONO, 18)
    draw.text((210, 40), "CORNER MARKET", "black", ImageFont.truetype(MONO, 28), "mm")
    draw.text((210, 80), "12 Station Road", "black", font, "mm")
    for row in range(20):
        draw.text((20, 130 + 25 * row), sentence(rng, 1), "black", font)
        draw.text((400, 130 + 25 * row), price(rng), "black", font, "ra")
    draw.text((20, 650), "TOTAL", "black", ImageFont.truetype(MONO, 26))
    draw.text((400, 650), f"1{price(rng)}", "black", ImageFont.truetype(MONO, 26), "ra")
    draw.text((210, 720), "thank you for your visit", "black", font, "mm")
    return image


def chat(rng: np.random.Generator) -> Image.Image:
    """Draw a screenshot of a chat: one app and contact, other messages."""
    image = Image.new("RGB", (540, 960), (236, 229, 221))
    draw, font = ImageDraw.Draw(image), ImageFont.truetype(SANS, 22)
    draw.rectangle((0, 0, 540, 90), (7, 94, 84))
    draw.text((90, 45), "Anna", "white", ImageFont.truetype(SANS, 28), "lm")
    for row in range(9):
        text, own = sentence(rng, int(rng.integers(1, 5))), bool(rng.integers(2))
        width = draw.textlength(text, font) + 30
        left = 525 - width if own else 15
        colour = (220, 248, 198) if own else "white"
        draw.rounded_rectangle((left, 110 + 85 * row, left + width, 175 + 85 * row), 12, colour)
        draw.text((left + 15, 142 + 85 * row), text, "black", font, "lm")
    draw.rectangle((0, 890, 540, 960), "white")
    return image


def form(rng: np.random.Generator) -> Image.Image:
    """Draw a filled-in form: the same print, other answers."""
    image = Image.new("RGB", (620, 877), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.truetype(SERIF, 18)
    draw.text((310, 50), "Application for a parking permit", "black", ImageFont.truetype(SERIF, 28), "mm")
    for row, label in enumerate(
        ("Name", "Street", "Town", "Born on", "Telephone", "Number plate", "Make", "From", "To")
    ):
        top = 110 + 75 * row
        draw.text((40, top), label, "black", font)
        draw.rectangle((190, top - 8, 580, top + 34), outline="black")
        draw.text((205, top), sentence(rng, 2) if row < 3 else f"{rng.integers(10**7, 10**8)}", (20, 20, 120), font)
    draw.text((40, 800), "I confirm that everything above is true.", "black", font)
    return image


def table(rng: np.random.Generator) -> Image.Image:
    """Draw a table of figures: the same lines and heads, other figures."""
    image = Image.new("RGB", (900, 620), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.truetype(SANS, 17)
    for row in range(18):
        draw.line((20, 20 + 32 * row, 880, 20 + 32 * row), (150, 150, 150))
        for column in range(7):
            head = ("Month", "Rent", "Food", "Power", "Travel", "Rest", "Sum")[column]
            draw.text((30 + 122 * column, 26 + 32 * row), head if row == 0 else price(rng), "black", font)
    return image


def code(rng: np.random.Generator) -> Image.Image:
    """Draw a screenshot of an editor: dark, one window, other lines."""
    image = Image.new("RGB", (960, 640), (30, 30, 30))
    draw, font = ImageDraw.Draw(image), ImageFont.truetype(MONO, 18)
    draw.rectangle((0, 0, 960, 36), (60, 60, 60))
    for row in range(24):
        draw.text((15, 45 + 24 * row), f"{row + 1:3}", (110, 110, 110), font)
        text = f"{sentence(rng, 1)} = {'_'.join(rng.choice(WORDS, 2))}({rng.integers(100)})"
        draw.text((75 + 40 * int(rng.integers(3)), 45 + 24 * row), text, (200, 200, 160), font)
    return image


def slide(rng: np.random.Generator) -> Image.Image:
    """Draw a slide: one template, other words."""
    image = Image.new("RGB", (960, 540), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 960, 90), (0, 60, 130))
    draw.text((40, 45), sentence(rng, 4), "white", ImageFont.truetype(SANS, 34), "lm")
    for row in range(5):
        draw.ellipse((50, 140 + 70 * row, 62, 152 + 70 * row), fill=(0, 60, 130))
        draw.text((85, 146 + 70 * row), sentence(rng, 5), (40, 40, 40), ImageFont.truetype(SANS, 26), "lm")
    draw.text((920, 515), "Spring conference", (120, 120, 120), ImageFont.truetype(SANS, 16), "rm")
    return image


def music(rng: np.random.Generator) -> Image.Image:
    """Draw a sheet of music: the same staves, other notes."""
    image = Image.new("RGB", (620, 877), "white")
    draw = ImageDraw.Draw(image)
    for stave in range(9):
        top = 60 + 90 * stave
        for line in range(5):
            draw.line((30, top + 10 * line, 590, top + 10 * line), "black")
        for bar in range(5):
            draw.line((30 + 140 * bar, top, 30 + 140 * bar, top + 40), "black")
        for note in range(16):
            x, y = 50 + 34 * note, top + 5 * int(rng.integers(9))
            draw.ellipse((x, y - 5, x + 12, y + 5), fill="black")
            draw.line((x + 12, y, x + 12, y - 30), "black", 2)
    return image


def letter(rng: np.random.Generator) -> Image.Image:
    """Draw a page of running text."""
    image = Image.new("RGB", (620, 877), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.truetype(SERIF, 15)
    for row in range(36):
        draw.text((60, 60 + 21 * row), sentence(rng, 9)[:62], "black", font)
    return image


TEMPLATES: dict[str, Draw] = {
    function.__name__: function for function in (receipt, chat, form, table, code, slide, music, letter)
}
"""By name."""

PAPER = ("receipt", "form", "table", "music", "letter")
"""Those that people print and scan."""

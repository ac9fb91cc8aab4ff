"""Explain a match: the attention of each word as a heat map over the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from encoders import Floats

from .verdicts import is_absent

_STOPS = np.array(
    [[13, 8, 35], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]], np.float32
)
"""Six samples of matplotlib's perceptually uniform colour map `inferno`, dark to bright."""


@dataclass(frozen=True)
class Explanation:
    """A picture, the words of a sentence, and the attention of each word over the picture.

    Shape:
        - weights: (W, H, W'), non-negative; the grid of each of W words sums to 1.
        - probabilities: (W,), that the picture shows what each word says by itself; NaN for words such as `the`.
    """

    words: tuple[str, ...]
    weights: Floats
    probabilities: Floats
    image: Image.Image

    def is_absent(self, word: int) -> bool:
        """Whether the picture probably does not show a word; false for words that say nothing about pictures."""
        return is_absent(float(self.probabilities[word]))

    def label(self, word: int) -> str:
        """The word, and whether nothing matches it."""
        return f"{self.words[word]} (no match)" if self.is_absent(word) else self.words[word]

    def overlay(self, word: int, *, size: int = 320) -> Image.Image:
        """Draw the heat map of one word over the picture, or, if nothing matches the word, only the grey picture.

        Brightness is relative to uniform attention: cells with less than half of that stay dark.

        Args:
            word: index of the word in `words`.
            size: pixels of the longer side.
        """
        picture = _fit(self.image, size)
        if self.is_absent(word):
            return picture.convert("L").convert("RGB")
        grid = self.weights[word] * self.weights[word].size  # 1 is uniform attention
        strength = np.clip((grid - 0.5) / max(float(grid.max()) - 0.5, 1e-6), 0, 1)
        heat = Image.fromarray((strength * 255).astype(np.uint8)).resize(picture.size, Image.Resampling.BICUBIC)
        amount: Floats = np.asarray(heat, np.float32)[..., None] / np.float32(255)
        grey: Floats = np.asarray(picture.convert("L"), np.float32)[..., None]
        mixed = grey * 0.55 * (1 - 0.65 * amount) + _colour(amount[..., 0]) * (0.08 + 0.57 * amount)
        return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))

    def sheet(self, *, size: int = 320, columns: int = 4) -> Image.Image:
        """Draw one picture of labelled panels: the original, then the heat map of each word."""
        panels = [(_fit(self.image, size), "the picture")]
        panels += [(self.overlay(i, size=size), self.label(i)) for i in range(len(self.words))]
        font = _font(max(14, size // 16))
        width, height = panels[0][0].size
        bar, gap = max(26, size // 9), 12
        columns = min(columns, len(panels))
        rows = -(-len(panels) // columns)
        sheet = Image.new("RGB", (columns * (width + gap) + gap, rows * (height + bar + gap) + gap), "white")
        draw = ImageDraw.Draw(sheet)
        for i, (panel, word) in enumerate(panels):
            x, y = gap + (i % columns) * (width + gap), gap + (i // columns) * (height + bar + gap)
            sheet.paste(panel, (x, y))
            draw.text((x + width / 2, y + height + bar / 2), _shorten(word, 28), fill="#222222", font=font, anchor="mm")
        return sheet


def _fit(image: Image.Image, size: int) -> Image.Image:
    scale = size / max(image.size)
    return image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.LANCZOS
    )


def _colour(amount: Floats) -> Floats:
    """Map amounts (H, W) in [0, 1] to colours (H, W, 3)."""
    positions = np.linspace(0, 1, len(_STOPS))
    return np.stack([np.interp(amount, positions, _STOPS[:, c]) for c in range(3)], axis=-1).astype(np.float32)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _shorten(word: str, limit: int) -> str:
    return word if len(word) <= limit else word[: limit - 1] + "…"

"""Compare two aligned pictures place by place, so that a version differs nowhere and another photograph somewhere.

A version of a picture differs from it by compression, scaling and tone, everywhere alike. Two photographs of one scene,
or two documents of one form, agree almost everywhere too; what moved, or what was filled in, differs completely. So the
pictures are fitted to each other, in place and tone, and the places where they differ most decide.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from encoders import Floats

from .alignment import Box

NOISE = 5.0
"""Standard deviation of what compression and scaling change, in grey levels of 256."""

WORST = 0.015
"""Share of the places that decide: those where the pictures differ most."""

STEPS = 4  # of fitting a box; more change nothing

TONES = 32  # steps of the curve that maps the tones of one picture to those of another

SHARPEST = 0.75
"""Pixels compared, by those of the smaller picture: its finest detail depends on how it was scaled."""


def place_likeness(ones: Floats, twos: Floats, *, places: int = 16) -> Floats:
    """The likeness of two squares of pixels at each of `places` x `places` places, after their tones were fitted."""
    fits = [(tones_fitted(ones, twos), twos), (tones_fitted(twos, ones), ones)]
    one, two = min(fits, key=lambda fit: float(((fit[0] - fit[1]) ** 2).mean() / max(fit[1].var(), 1.0)))
    places = min(places, len(one) // 4)
    one, two = blocks(one, places), blocks(two, places)
    return 1 - ((one - two) ** 2).mean(axis=1) / (one.var(axis=1) + two.var(axis=1) + 2 * NOISE**2)


def worst(likenesses: Floats) -> float:
    """The mean likeness of the least alike places."""
    count = max(2, round(WORST * likenesses.size))
    return float(np.sort(likenesses)[:count].mean())


def shortest_side(outer: tuple[int, int], inner: tuple[int, int], box: Box) -> float:
    """The fewest pixels that a side of two pictures has, of the outer one within the box; sizes are in pixels."""
    left, top, right, bottom = box
    return min((right - left) * outer[0], (bottom - top) * outer[1], *inner)


def compared_side(pixels: float) -> int:
    """The side of the squares at which pictures with so many pixels a side are compared: a multiple of 16."""
    return 16 * max(2, int(pixels // 16))


def pixels(image: Image.Image, side: int, box: Box = (0, 0, 1, 1)) -> Floats:
    """Resize a box of a picture to a square of values."""
    left, top, right, bottom = box
    absolute = left * image.width, top * image.height, right * image.width, bottom * image.height
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=absolute), np.float32)


def refined(outer: Image.Image, inner: Image.Image, box: Box, side: int) -> Box:
    """Fit a box so that a picture resized to a square of `side` pixels lies in it, to a fraction of such a pixel.

    Gauss-Newton on the four sides and a linear change of tone (Lucas and Kanade, 1981).
    """
    target = pixels(inner, side)
    spread = target - target.mean()
    along = (np.arange(side, dtype=np.float32) + 0.5) / side
    sides = np.array(box)
    best, best_error = sides, np.inf
    for _ in range(STEPS + 1):
        window = pixels(outer, side, tuple(sides))
        centred = window - window.mean()
        gain = float((centred * spread).sum() / max(1.0, float((centred**2).sum())))
        error = float(((spread - gain * centred) ** 2).mean())
        if error < best_error:
            best, best_error = sides, error
        down, across = (side * gradient for gradient in np.gradient(window))
        across, down = gain * across / (sides[2] - sides[0]), gain * down / (sides[3] - sides[1])
        near, far = 1 - along, along
        moved = (across * near, down * near[:, None], across * far, down * far[:, None])
        slopes = np.stack([*moved, window, np.ones_like(window)], axis=-1).reshape(-1, 6)
        normal = slopes.T @ slopes
        step = np.linalg.lstsq(normal + 1e-6 * np.trace(normal) * np.eye(6) / 6, slopes.T @ target.ravel(), rcond=None)
        sides = np.clip(sides + np.clip(step[0][:4], -0.03, 0.03), 0, 1)
        if min(sides[2] - sides[0], sides[3] - sides[1]) < 0.5:
            break
    return tuple(best.tolist())


def tones_fitted(source: Floats, target: Floats) -> Floats:
    """Map the tones of one picture to the mean tones of another at the same pixels: a curve of `TONES` steps."""
    step = np.minimum(source * (TONES / 256), TONES - 1).astype(np.int64).ravel()
    counts = np.bincount(step, minlength=TONES)
    used = counts > 0
    before, after = (np.bincount(step, side.ravel(), minlength=TONES)[used] / counts[used] for side in (source, target))
    return np.interp(source, before, after).astype(np.float32)


def blocks(square: Floats, places: int) -> Floats:
    """Divide a square into `places` x `places` squares of pixels, one row each."""
    side = len(square) // places
    return square.reshape(places, side, places, side).swapaxes(1, 2).reshape(places * places, side * side)


def structure(square: Floats) -> float:
    """The share of places with more contrast than noise makes, of those of two grids half a place apart."""
    place = len(square) // 16
    within = slice(place // 2, place // 2 + 15 * place)
    grids = blocks(square, 16), blocks(square[within, within], 15)
    return max(float((places.std(axis=1) > 2 * NOISE).mean()) for places in grids)

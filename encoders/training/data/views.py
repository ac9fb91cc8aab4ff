"""Views of a training picture, and the activations of the frozen stages for each, kept on disk.

The early stages of a pretrained CNN stay frozen, so their output for a view never changes: it is computed once and
read every epoch. A few fixed views (the picture, and random crops of it) replace fresh augmentation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

from ...errors import TrainingError
from ...features import Pixels
from ...progress import Progress, no_progress
from .frozen import Frozen, Halves

OpenPicture = Callable[[Path], Image.Image]
"""Opens a file's picture, upright and RGB, as in use, or raises an error that names the file."""


def make_view(
    image: Image.Image, prepare: Callable[[Image.Image], Pixels], view: int, rng: np.random.Generator
) -> Pixels:
    """Make a view: 0 is the picture, any other a random crop with colour jitter, of every second view mirrored.

    A mirror image of the whole picture is no view: `crop_maps` mirrors activations, which costs nothing.

    Returns:
        Pixels (S, S, 3), uint8.
    """
    if view == 0:
        return prepare(image)
    width, height = image.size
    scale, ratio = rng.uniform(0.55, 0.95), np.exp(rng.uniform(-0.25, 0.25))
    w, h = (int(side * min(1.0, np.sqrt(scale) * r)) for side, r in ((width, ratio), (height, 1 / ratio)))
    left, top = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
    crop = image.crop((left, top, left + max(w, 1), top + max(h, 1)))
    if view % 2 == 0:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        crop = change(crop).enhance(float(rng.uniform(0.7, 1.3)))
    return prepare(crop)


def read_views(
    path: Path, open_picture: OpenPicture, prepare: Callable[[Image.Image], Pixels], views: int, seed: int
) -> Pixels:
    """Make all views of a picture, (views, S, S, 3), uint8; random ones depend on seed, view and file name."""
    image = open_picture(path)
    pixels = []
    for view in range(views):
        digest = hashlib.sha256(f"{seed}/{view}/{path.name}".encode()).digest()
        pixels.append(make_view(image, prepare, view, np.random.default_rng(int.from_bytes(digest[:8], "little"))))
    return np.stack(pixels)


def cached_activations(
    frozen: Frozen,
    paths: Sequence[Path],
    open_picture: OpenPicture,
    directory: Path,
    *,
    views: int,
    seed: int = 0,
    batch_size: int = 32,
    phase: str = "pictures",
    progress: Progress = no_progress,
) -> Halves:
    """Return what is frozen of the towers gives for every view of every picture, computed at most once.

    The files' names are a digest of what they depend on: frozen weights, paths of the pictures, views, seed. Each
    picture's size and modification time (`st_mtime_ns`) are kept beside its activations: an interrupted run continues
    where it stopped, and an edited picture is computed again unless both are unchanged. A damaged file is replaced.

    Returns:
        Memory-mapped array (N, views, …), float16.

    Raises:
        TrainingError: a picture's activations are not finite in half precision; the message names the picture.
    """
    directory.mkdir(parents=True, exist_ok=True)
    key = frozen.key(paths, views, seed)
    shape = (len(paths), views, *frozen.activations(frozen.sample).shape[1:])
    array, new = open_array(directory / f"{key}.npy", np.float16, shape)
    stamps, _ = open_array(directory / f"{key}.stamps", np.int64, (len(paths), 2))
    if new:
        stamps[:] = 0
    current = np.array([_stamp(path) for path in paths], np.int64)
    missing = np.flatnonzero((stamps != current).any(1))
    done = len(paths) - len(missing)
    progress(phase, done, len(paths))
    with ThreadPoolExecutor(2) as pool:
        step = max(1, batch_size // views)
        for start in range(0, len(missing), step):
            rows = missing[start : start + step]
            part = [paths[row] for row in rows]
            jobs = [pool.submit(read_views, p, open_picture, frozen.prepare, views, seed) for p in part]
            pixels = np.concatenate([job.result() for job in jobs])
            maps = frozen.activations(pixels).reshape(len(part), *shape[1:])
            _check_finite(maps, part)
            stamps[rows] = 0  # an interrupted write must not leave a row that looks complete
            array[rows] = maps
            if (start // step) % 20 == 0 or start + step >= len(missing):
                array.flush()  # before the stamps that validate it
                computed = missing[: start + len(part)]
                stamps[computed] = current[computed]
                stamps.flush()
            done += len(part)
            progress(phase, done, len(paths))
    return array


def open_array(path: Path, dtype: type, shape: tuple[int, ...]) -> tuple[np.memmap[Any, Any], bool]:
    """Map an array on disk, and return whether it is new: if it was missing, truncated or of another shape."""
    try:
        present = np.lib.format.open_memmap(path, mode="r")  # "r+" would lengthen a file that is cut short
        if present.shape == shape and present.dtype == dtype:
            return np.lib.format.open_memmap(path, mode="r+"), False
    except (OSError, ValueError, EOFError, SyntaxError):  # raised for damaged headers
        pass
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape), True


def _stamp(path: Path) -> tuple[int, int]:
    """Return a file's size and modification time, or a stamp that matches none if it cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _check_finite(maps: Halves, paths: Sequence[Path]) -> None:
    for path, values in zip(paths, maps, strict=True):
        if not np.isfinite(values).all():
            raise TrainingError(
                f"{path}: its activations after the frozen stages are not finite in half precision; "
                "take it out of the dataset, or freeze fewer stages"
            )

"""What the reader of each kind of file hands over."""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image


class Opened(NamedTuple):
    """A decoded picture before its colours, orientation and metadata are dealt with.

    - `image`: its pixels, of any mode, perhaps reduced; `info` has the EXIF block and the colour profile.
    - `size`: width and height as stored.
    - `note`: what is wrong with the file although the picture can be used.
    """

    image: Image.Image
    size: tuple[int, int]
    note: str | None = None

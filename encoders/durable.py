"""Files that survive a power cut: written under another name, flushed to the disk, then renamed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def publish(temporary: Path, target: Path) -> None:
    """Rename a complete file once its bytes are on the disk, replacing any file of that name.

    A rename alone may reach the disk before the bytes do: after a power cut the new name would hold nothing.

    Args:
        temporary: the complete, closed file, in the folder of `target`.
        target: its final name.

    Raises:
        OSError: the disk refused; `target` is unchanged.
    """
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(target)
    with suppress(OSError):  # some systems cannot open a folder, and order renames by themselves
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

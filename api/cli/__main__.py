"""Starts the program, as `crosslook` and as `python -m api.cli`: Ctrl-C is quiet from the first moment on."""

from __future__ import annotations

import gc
import os
import signal
from types import FrameType


def start() -> None:
    """Import the program, which takes a moment and must not end in a traceback, and run it."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # not ignored, as in the background of a script
        signal.signal(signal.SIGINT, _exit)
    from .main import main  # noqa: PLC0415  Ctrl-C is handled first

    signal.signal(signal.SIGINT, handler)
    try:
        main()
    finally:
        gc.freeze()  # else Python searches all objects for cycles before it exits, which takes a sixth of a second


def _exit(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)  # the status that shells give to a signal


if __name__ == "__main__":
    start()

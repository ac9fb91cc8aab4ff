"""A pair's probability curve that was fitted to captions, in a file beside the pair, for pairs that have none."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import NamedTuple

from ..durable import publish
from ..errors import CheckpointError, first_line

CALIBRATION = "calibration.json"


class PairCurve(NamedTuple):
    """Probability = sigmoid(scale · cosine + bias); `captions` is the number of captions it was fitted to."""

    scale: float
    bias: float
    captions: int


def read_curve(directory: Path) -> PairCurve | None:
    """Read the curve of the pair in a directory; None if it has none.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = directory / CALIBRATION
    try:
        document = json.loads(path.read_bytes())
        curve = PairCurve(float(document["scale"]), float(document["bias"]), int(document["captions"]))
        if not (math.isfinite(curve.scale) and math.isfinite(curve.bias)):
            raise ValueError("a number is not finite")  # noqa: TRY301  handled like any other damage
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as exc:
        raise CheckpointError(f"{path} cannot be read ({first_line(exc)}); remove it") from exc
    return curve


def write_curve(curve: PairCurve, directory: Path) -> None:
    """Write the curve of the pair in a directory.

    Raises:
        CheckpointError: the directory cannot be written; a curve that is there stays.
    """
    temporary = directory / f"{CALIBRATION}.{os.getpid()}.tmp"  # another process may write it too
    try:
        temporary.write_text(json.dumps(curve._asdict(), indent=1) + "\n", encoding="utf-8")
        publish(temporary, directory / CALIBRATION)
    except OSError as exc:
        raise CheckpointError(f"{directory / CALIBRATION}: {exc.strerror or exc}") from exc
    finally:
        temporary.unlink(missing_ok=True)

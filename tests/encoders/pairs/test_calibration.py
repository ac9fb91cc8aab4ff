"""A pair's own probability curve, on disk."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from encoders.errors import CheckpointError
from encoders.pairs.calibration import PairCurve, read_curve, write_curve


def test_a_curve_is_kept_until_another_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full leaves the old one, and nothing else."""
    assert read_curve(tmp_path) is None
    write_curve(PairCurve(30.0, -8.0, 300), tmp_path)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("encoders.pairs.calibration.publish", fail)
    with pytest.raises(CheckpointError, match=r"calibration\.json: No space left on device"):
        write_curve(PairCurve(1.0, 0.0, 400), tmp_path)
    assert read_curve(tmp_path) == PairCurve(30.0, -8.0, 300)
    assert [path.name for path in tmp_path.iterdir()] == ["calibration.json"]


@pytest.mark.parametrize("content", ["{", "[]", '{"scale": NaN, "bias": 0, "captions": 1}', '{"scale": 1, "bias": 0}'])
def test_a_damaged_curve_is_refused(content: str, tmp_path: Path) -> None:
    """The message says what to do."""
    (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"calibration\.json cannot be read .*; remove it$"):
        read_curve(tmp_path)

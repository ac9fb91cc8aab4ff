"""Captions of indexed images."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.ingest.captions import _read_sidecar


@pytest.mark.parametrize("separator", "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e")
def test_a_sidecar_is_split_at_newlines_only(tmp_path: Path, separator: str) -> None:
    """Other separators, at which `str.splitlines` splits, are spaces within a caption."""
    sidecar = tmp_path / "1.txt"
    sidecar.write_text(f"a dog{separator}in the snow\r\na cat\rtwo cats\n", encoding="utf-8", newline="")
    assert _read_sidecar(sidecar) == ["a dog in the snow", "a cat", "two cats"]

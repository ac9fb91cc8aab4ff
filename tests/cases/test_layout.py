"""A folder of more than sixty kinds of file: the run says what became of each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from indexer import Catalog, index_paths
from indexer.catalog.images import known_locations
from indexer.pictures.formats import SUFFIXES
from tests.cases.layout import DEFAULTS, OTHER_KINDS, Kind, lay_out
from tests.fakes import FakeEncoder

Laid = tuple[Path, list[Kind]]


@pytest.fixture
def laid(tmp_path: Path) -> Laid:
    """The folder, and its kinds, without those that this installation cannot read."""
    folder = tmp_path / "collection"
    return folder, lay_out(folder)


def test_the_run_says_what_became_of_each_file(catalog: Catalog, encoder: FakeEncoder, laid: Laid) -> None:
    """Nothing is left out without a word: the report accounts for every file that a picture program cares about."""
    folder, kinds = laid
    readable = {kind.path for kind in kinds if Path(kind.path).suffix.lower() in SUFFIXES}
    fates = Counter(kind.fate for kind in kinds if kind.fate != "indexed" or kind.path in readable)
    report = index_paths(catalog, encoder, [folder])
    located = set(known_locations(catalog))
    for kind in kinds:
        is_indexed = kind.fate in ("noted", "copy") or (kind.fate == "indexed" and kind.path in readable)
        assert (str(folder / kind.path) in located) is is_indexed, kind.path
    assert report.added == fates["indexed"] + fates["noted"] + 1  # one beyond a link
    assert str(folder / "link" / "linked.png") in located
    assert report.duplicates == fates["copy"]
    assert [Path(note.path).name for note in report.notes] == ["no end.jpg"]
    failed = {Path(failure.path).name: failure.reason for failure in report.failed}
    assert failed.keys() == {Path(kind.path).name for kind in kinds if kind.fate == "failed"} | {"pipe.jpg"}
    assert "a video" in failed["video.jpg"]
    assert "a pipe" in failed["pipe.jpg"]
    left_out = report.left_out
    assert left_out.folders == dict.fromkeys([*DEFAULTS.values(), "*.photoslibrary"], 1)
    assert left_out.patterns == {"*.tmp.png": 1}
    assert (left_out.nomedia, left_out.raw, left_out.hidden) == (1, 1, 2)
    assert left_out.links == 2  # the link back, and the hard link
    assert left_out.kinds == dict.fromkeys((f".{suffix}" for suffix in OTHER_KINDS), 1)
    again = index_paths(catalog, encoder, [folder])
    assert (again.added, again.unchanged, again.left_out) == (0, len(located), left_out)

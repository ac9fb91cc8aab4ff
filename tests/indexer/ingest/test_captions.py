"""Captions of indexed images."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer import Catalog, index_paths
from indexer.catalog.captions import caption_texts
from indexer.errors import ReadError
from indexer.ingest.captions import _read_sidecar
from indexer.pictures.safe_read import read_file
from tests.fakes import FakeEncoder


def captions(sidecar: Path) -> list[str]:
    """The captions of a sidecar."""
    return [row.caption for row in _read_sidecar(sidecar).entries]


@pytest.mark.parametrize("separator", "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e")
def test_a_sidecar_is_split_at_newlines_only(tmp_path: Path, separator: str) -> None:
    """Other separators, at which `str.splitlines` splits, are spaces within a caption."""
    sidecar = tmp_path / "1.txt"
    sidecar.write_text(f"a dog{separator}in the snow\r\na cat\rtwo cats\n", encoding="utf-8", newline="")
    assert captions(sidecar) == ["a dog in the snow", "a cat", "two cats"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_sidecar_in_unicode_is_read(tmp_path: Path, encoding: str) -> None:
    """UTF-16 also without its mark."""
    sidecar = tmp_path / "1.txt"
    sidecar.write_bytes("our grandmother Käthe\r\nin the garden\r\n".encode(encoding))
    assert captions(sidecar) == ["our grandmother Käthe", "in the garden"]


@pytest.mark.parametrize("encoding", ["big5", "gb18030", "shift_jis", "euc_kr", "iso2022_jp"])
def test_a_sidecar_in_another_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    """With each line and its reason; what is ASCII is read."""
    sidecar = tmp_path / "1.txt"
    sidecar.write_bytes("a dog\n海\n山\n".encode(encoding))
    assert captions(sidecar) == ["a dog"]
    rejected = _read_sidecar(sidecar).rejected
    assert [(row.file, row.line) for row in rejected] == [(sidecar, 2), (sidecar, 3)]
    assert all("UTF-8" in row.reason for row in rejected)


def test_a_missing_or_huge_sidecar_has_no_captions(tmp_path: Path) -> None:
    """As has a folder of that name."""
    huge = tmp_path / "huge.txt"
    huge.write_bytes(b"a" * 1_000_001)
    for sidecar in (tmp_path / "none.txt", tmp_path, huge):
        assert captions(sidecar) == []


def test_captions_stay_while_their_sidecar_cannot_be_read(
    indexed: Catalog, folder: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run names the file, and the next one tries again."""
    sidecar = folder / "red.txt"
    sidecar.write_text("a red thing\n")
    index_paths(indexed, encoder, [folder])
    sidecar.write_text("a red wall\n")

    def refuse(path: Path, **options: object) -> object:
        if path.suffix == ".txt":
            raise ReadError("cannot be read: Input/output error")
        return read_file(path, **options)  # type: ignore[arg-type]  # as they came

    with monkeypatch.context() as broken:
        broken.setattr("indexer.ingest.captions.read_file", refuse)
        report = index_paths(indexed, encoder, [folder])
    assert [(Path(f.path).name, f.reason) for f in report.failed] == [("red.txt", "cannot be read: Input/output error")]
    assert texts(indexed) == {"a red thing"}
    index_paths(indexed, encoder, [folder])
    assert texts(indexed) == {"a red wall"}
    sidecar.write_bytes("ein roter Wall, größer\n".encode("latin-1"))
    assert "red.txt" in index_paths(indexed, encoder, [folder]).failed[0].path
    assert texts(indexed) == {"a red wall"}


def texts(catalog: Catalog) -> set[str]:
    """The captions from sidecars."""
    return {text for _, text in caption_texts(catalog, "sidecar")}

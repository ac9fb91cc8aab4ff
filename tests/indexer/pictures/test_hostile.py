"""Over a thousand hostile files in one run: none stops it; each is indexed or fails with a reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer import Catalog, IndexReport, index_paths, open_image
from indexer.catalog.contents import catalog_stats, recorded_failures
from indexer.catalog.embeddings import read_vectors
from indexer.catalog.images import hidden_image_ids, known_locations
from indexer.catalog.records import Kind
from tests.conftest import Paint
from tests.fakes import FakeEncoder
from tests.indexer.pictures.hostile import Fate, encoded, hostile_files, kinds, oddities, photograph

ROOT = Path(__file__).parents[3]


class Opened:
    """Records the files opened below a folder, by an audit hook."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.paths: list[str] = []
        sys.addaudithook(self._note)  # there for good; without a folder it does nothing

    def _note(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.folder is not None and event == "open" and str(arguments[0]).startswith(self.folder):
            self.paths.append(str(arguments[0]))


@pytest.fixture(scope="module")
def opened() -> Opened:
    """One hook for all tests here, because hooks cannot be removed."""
    return Opened()


@pytest.fixture(scope="module")
def fates(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Fate]:
    """All hostile files with their expected outcomes."""
    folder = tmp_path_factory.mktemp("hostile")
    files = oddities(folder / "odd")
    for hostile in hostile_files():
        path = folder / hostile.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(hostile.data)
        files[path] = hostile.fate
    return files


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """One index for all tests of the module."""
    with Catalog.open(tmp_path_factory.mktemp("index"), create=True) as catalog:
        yield catalog


@pytest.fixture(scope="module")
def report(index: Catalog, fates: dict[Path, Fate]) -> IndexReport:
    """The report of one run over all files."""
    return index_paths(index, FakeEncoder(), [folder_of(fates)])


def folder_of(fates: dict[Path, Fate]) -> Path:
    """The folder that was indexed."""
    return Path(os.path.commonpath(fates))


def shown(path: Path) -> str:
    """A file name as failures list it, with undecodable bytes replaced."""
    return str(path).encode("utf-8", "replace").decode()


def test_each_file_is_indexed_or_fails(report: IndexReport, index: Catalog, fates: dict[Path, Fate]) -> None:
    """No file stops the run, is skipped, or is in both lists, and all valid ones are indexed."""
    assert len(fates) > 1_000
    failed = Counter(failure.path for failure in report.failed)
    placed = set(known_locations(index))
    assert [path for path, count in failed.items() if count > 1] == []
    assert placed | set(failed) == {shown(path) for path in fates}
    assert placed & set(failed) == set()
    assert {shown(path) for path, fate in fates.items() if fate is Fate.GOOD} <= placed
    assert {shown(path) for path, fate in fates.items() if fate is Fate.BAD} <= set(failed)


def test_each_reason_is_readable(report: IndexReport) -> None:
    """One printable line says what is wrong, without internals of the program."""
    known: tuple[str, ...] = ("damaged or truncated", "not an image", "not a regular file but", "the file is empty")
    known += ("a broken symbolic link", "cannot be read: Too many levels", "its name is not UTF-8")
    known += ("too many pixels", "damaged, or a RAW file", "a Photoshop file", "a kind of TIFF")
    for reason in {failure.reason for failure in report.failed}:
        assert reason.startswith(known) or "would take" in reason
        assert reason.isprintable()
        assert len(reason) < 200
        assert " 0x" not in reason


def test_a_truncated_file_that_is_indexed_lacks_little(report: IndexReport, fates: dict[Path, Fate]) -> None:
    """Without a note only bytes after the pixels are missing; with one, most rows are there."""
    failed, noted = {failure.path for failure in report.failed}, {note.path for note in report.notes}
    intact = {name: np.asarray(open_image(data)) for name, data in kinds().items()}
    passed = [path for path in fates if path.parent.name == "cut" and str(path) not in failed]
    assert passed
    for path in passed:
        kind = path.name.split(" of ")[1]
        if kind == "whole.dng.jpg":  # of which another picture, the preview, is left
            continue
        if str(path) not in noted:
            np.testing.assert_array_equal(np.asarray(open_image(path)), intact[kind], str(path))
        elif kind != "progressive.jpg":  # of which a coarse picture is left
            equal = (np.asarray(open_image(path)) == intact[kind]).all(axis=(1, 2))
            assert equal.mean() > 0.6, path


def test_a_second_run_opens_none_of_them(
    report: IndexReport, index: Catalog, fates: dict[Path, Fate], opened: Opened
) -> None:
    """Neither indexed nor failed files are opened while they are unchanged, and the list stays the same."""
    opened.folder = str(folder_of(fates))
    try:
        again = index_paths(index, FakeEncoder(), [folder_of(fates)])
        assert [path for path in opened.paths if not Path(path).is_dir()] == []
        with (folder_of(fates) / "foreign/words.jpg").open("rb"):
            assert opened.paths  # it does see what is opened
    finally:
        opened.folder = None
    recorded = {failure.path for failure in recorded_failures(index)}
    assert again.unchanged == report.seen - sum(failure.path in recorded for failure in report.failed)
    assert sorted((f.path, f.reason) for f in again.failed) == sorted((f.path, f.reason) for f in report.failed)


def test_all_eight_orientations_have_the_embedding_of_the_upright_picture(
    catalog: Catalog, encoder: FakeEncoder, tmp_path: Path
) -> None:
    """All have the same vector."""
    turns = [None, *(Image.Transpose(t) for t in (0, 3, 1, 5, 2, 6, 4))]  # what EXIF 1 to 8 undo, done
    for kind, suffix in (("PNG", "png"), ("TIFF", "tif"), ("WEBP", "webp")):
        for orientation, turn in enumerate(turns, start=1):
            exif = Image.Exif()
            exif[0x0112] = orientation
            stored = photograph() if turn is None else photograph().transpose(turn)
            options = {"lossless": True} if kind == "WEBP" else {}
            (tmp_path / f"{orientation}.{suffix}").write_bytes(encoded(stored, kind, exif=exif, **options))
    report = index_paths(catalog, encoder, [tmp_path])
    assert report.added == 24
    _, vectors = read_vectors(catalog, Kind.IMAGE)
    np.testing.assert_array_equal(vectors, np.broadcast_to(vectors[0], vectors.shape))


def test_files_that_vanish_or_change_before_they_are_read(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, paint: Paint
) -> None:
    """Deleted, truncated, grown or replaced by a pipe after the scan: each fails alone, and the next run is right."""

    def meddle(phase: str, done: int, _total: int) -> None:
        if (phase, done) == ("images", 0):
            (folder / "red.png").unlink()
            (folder / "green.png").write_bytes((folder / "green.png").read_bytes()[:60])
            (folder / "blue.png").unlink()
            os.mkfifo(folder / "blue.png")
            with (folder / "white.png").open("ab") as file:
                file.write(bytes(1000))

    report = index_paths(catalog, encoder, [folder], progress=meddle)
    reasons = {Path(failure.path).name: failure.reason for failure in report.failed}
    assert report.added == 2
    assert sorted(reasons) == ["blue.png", "green.png", "red.png"]
    assert reasons["red.png"] == "cannot be read: No such file or directory"
    assert reasons["blue.png"] == "not a regular file but a pipe"
    assert reasons["green.png"].startswith("damaged or truncated")
    (folder / "blue.png").unlink()
    for colour in ("red", "green", "blue"):
        paint(f"{colour}.png", colour)
    assert index_paths(catalog, encoder, [folder]).failed == []
    assert recorded_failures(catalog) == []
    assert catalog_stats(catalog).images - len(hidden_image_ids(catalog)) == 5


def test_a_tree_deeper_than_the_stack_is_scanned(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """A picture is below 1,200 folders, more than Python's recursion limit."""
    path, made = str(folder), []
    for _ in range(1_200):
        path += "/d"
        os.mkdir(path)  # noqa: PTH102  a Path of 1,200 parts is slow to make
        made.append(path)
    (folder / "red.png").rename(f"{path}/red.png")
    try:
        assert index_paths(catalog, encoder, [folder]).added == 5
    finally:  # pytest's own tidying up is recursive
        os.unlink(f"{path}/red.png")  # noqa: PTH108  as above
        for one in reversed(made):
            os.rmdir(one)  # noqa: PTH106  as above


PROGRAM = """
import json, resource, sys
from pathlib import Path
from indexer import Catalog, index_paths
from tests.fakes import FakeEncoder

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

with Catalog.open(Path(sys.argv[1]), create=True) as catalog:
    before = peak()
    report = index_paths(catalog, FakeEncoder(), [Path(sys.argv[2])])
    print(json.dumps({"bytes": peak() - before, "added": report.added, "failed": [f.reason for f in report.failed]}))
"""


@pytest.mark.slow
def test_panoramas_of_a_hundred_megapixels_are_read_in_bounded_memory(tmp_path: Path) -> None:
    """Several at once, in formats without reduced decoding; the process stays below its memory limit."""
    folder = tmp_path / "panoramas"
    folder.mkdir()
    image = Image.new("RGB", (16_000, 6_250), "red")
    image.save(folder / "0.webp", lossless=True, quality=0, method=0)
    image.save(folder / "0.png", compress_level=1)
    image.save(folder / "0.tif", compression="tiff_deflate")
    image.save(folder / "0.jpg", progressive=True)
    for file in list(folder.iterdir()):  # encoding takes longest: the others differ behind the end of the picture
        for number in (1, 2):
            file.with_stem(str(number)).write_bytes(file.read_bytes() + bytes([number]))
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "index"), str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, capture_output=True, text=True
    )
    outcome = json.loads(done.stdout)
    assert (outcome["added"], outcome["failed"]) == (12, [])
    assert outcome["bytes"] < 2.4e9  # the limit of decoding, and what else a run needs

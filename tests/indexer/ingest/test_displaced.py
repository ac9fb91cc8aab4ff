"""Files that swap names, and files with new content: which image keeps which captions."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from encoders.datasets import CaptionFile, read_captions
from indexer import Catalog, index_paths
from indexer.catalog.browse import browse
from indexer.catalog.captions import captions_of_image
from indexer.catalog.contents import catalog_stats
from indexer.catalog.images import content_hashes, hidden_image_ids, images_by_id
from indexer.ingest.pipeline import index_changes
from indexer.ingest.roots import forget
from tests.conftest import Paint
from tests.fakes import FakeEncoder

COUNT = 7


@pytest.fixture
def pictures(catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path) -> Path:
    """Seven indexed pictures, each with a caption in a caption file that names its content."""
    for i in range(COUNT):
        paint(f"{i}.png", seed=i)
    index_paths(catalog, encoder, [tmp_path / "pictures"], captions=table(tmp_path))
    return tmp_path / "pictures"


def table(folder: Path) -> CaptionFile:
    """A caption file with a caption for each picture."""
    file = folder / "captions.csv"
    file.write_text("image,caption\n" + "".join(f"{i}.png,content {i}\n" for i in range(COUNT)))
    return read_captions(file)


def shift(folder: Path, paint: Paint) -> None:
    """Rename each picture to the next number, and put a new one first."""
    for i in reversed(range(COUNT)):
        (folder / f"{i}.png").rename(folder / f"{i + 1}.png")
    paint("0.png", "blue")


def captions_by_name(catalog: Catalog) -> dict[str, list[str]]:
    """The captions of each picture by its file name."""
    records = images_by_id(catalog, list(content_hashes(catalog).values())).values()
    names = {r.id: r.path.name if r.path else f"nowhere {r.id}" for r in records}
    return {name: sorted(c.text for c in captions_of_image(catalog, i)) for i, name in names.items()}


SHIFTED = {f"{i + 1}.png": [f"content {i}"] for i in range(COUNT)} | {"0.png": []}


def stopped_after(catalog: Catalog, encoder: FakeEncoder, folder: Path, count: int) -> None:
    """Index in batches of two, and stop as Ctrl-C does after a number of files."""
    stop = threading.Event()

    def advance(phase: str, done: int, _total: int) -> None:
        if phase == "images" and done >= count:
            stop.set()

    assert index_paths(catalog, encoder, [folder], batch_size=2, progress=advance, stop=stop).stopped


@pytest.mark.parametrize("count", [2, 4, 6])
def test_a_stopped_run_over_shifted_names_is_resumed(
    catalog: Catalog, encoder: FakeEncoder, pictures: Path, paint: Paint, count: int
) -> None:
    """A picture without a location is hidden; the next run finds it, and does not encode it again."""
    shift(pictures, paint)
    stopped_after(catalog, encoder, pictures, count)
    nowhere = [r for r in images_by_id(catalog, list(content_hashes(catalog).values())).values() if r.path is None]
    assert [r.id for r in nowhere] == hidden_image_ids(catalog).tolist() != []
    assert not {shown.id for shown in browse(catalog, k=20)} & {r.id for r in nowhere}
    report = index_paths(catalog, encoder, [pictures], batch_size=2)
    assert (report.added, report.duplicates) == (0, 0)
    assert captions_by_name(catalog) == SHIFTED
    assert encoder.images_encoded == COUNT + 1


def test_a_partial_run_deletes_no_displaced_image(
    catalog: Catalog, encoder: FakeEncoder, pictures: Path, paint: Paint
) -> None:
    """Neither a run over one file or another root, nor `forget`, nor an unplugged drive loses a displaced picture."""
    shift(pictures, paint)
    stopped_after(catalog, encoder, pictures, 4)
    index_changes(catalog, encoder, [str(pictures / "0.png")])
    other = paint("../other/one.png", "green")
    index_paths(catalog, encoder, [other.parent], prune=True)
    forget(catalog, other.parent)
    away = pictures.rename(pictures.with_name("unplugged"))
    index_paths(catalog, encoder, [pictures], prune=True)
    away.rename(pictures)
    index_paths(catalog, encoder, [pictures])
    assert captions_by_name(catalog) == SHIFTED
    assert encoder.images_encoded == COUNT + 2


def test_an_edited_file_keeps_its_captions_across_stopped_runs(
    catalog: Catalog, encoder: FakeEncoder, pictures: Path, paint: Paint
) -> None:
    """It is edited twice and copied, with stops in between; the latest version has the captions."""
    paint("3.png", "blue")
    paint("1.png", "green")
    paint("6.png", "white")
    stopped_after(catalog, encoder, pictures, 2)
    (pictures / "00.png").write_bytes((pictures / "6.png").read_bytes())
    stopped_after(catalog, encoder, pictures, 2)
    paint("1.png", "black", size=(50, 50))
    index_paths(catalog, encoder, [pictures])
    captions = captions_by_name(catalog)
    assert (captions["1.png"], captions["3.png"], captions["00.png"]) == (["content 1"], ["content 3"], ["content 6"])
    assert catalog_stats(catalog).images == COUNT


def test_a_picture_that_is_moved_over_another_keeps_its_own_captions(
    catalog: Catalog, encoder: FakeEncoder, pictures: Path
) -> None:
    """It does not get those of the picture that it replaces; nor do pictures whose names all shift by one."""
    (pictures / "6.png").rename(pictures / "5.png")
    for i in range(1, 5):
        (pictures / f"{i}.png").rename(pictures / f"{i - 1}.png")
    index_paths(catalog, encoder, [pictures], batch_size=2)
    assert captions_by_name(catalog) == {f"{i - 1}.png": [f"content {i}"] for i in (1, 2, 3, 4, 6)}


def test_a_sidecar_belongs_to_the_picture_now_beside_it(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path
) -> None:
    """Swapped pictures swap their sidecars' captions, and an edited copy keeps those of its sidecar."""
    folder = tmp_path / "pictures"
    for name, seed in (("a", 1), ("b", 2), ("c", 3), ("d", 3)):
        paint(f"{name}.png", seed=seed)
        (folder / f"{name}.txt").write_text(f"beside {name}")
    index_paths(catalog, encoder, [folder])
    assert captions_by_name(catalog)["c.png"] == ["beside c", "beside d"]
    for old, new in (("a.png", "aside"), ("b.png", "a.png"), ("aside", "b.png")):
        (folder / old).rename(folder / new)
    paint("d.png", "blue")
    os.utime(folder / "d.png", (1, 1))
    index_paths(catalog, encoder, [folder], batch_size=1)
    assert captions_by_name(catalog) == {f"{name}.png": [f"beside {name}"] for name in "abcd"}

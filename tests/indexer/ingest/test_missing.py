"""Images that lose a file, or get it back, are annotated anew: what a sidecar says goes with its file."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection

from indexer import Catalog, forget, index_paths
from indexer.catalog.annotations import Annotation, annotations_of_image
from indexer.catalog.images import content_hashes, known_locations
from indexer.ingest import missing, pipeline
from tests.conftest import Paint
from tests.fakes import FakeEncoder
from tests.indexer.ingest.test_annotations import write_sidecar


@pytest.fixture
def twice(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> Path:
    """An indexed folder with two copies of a picture, each with a keyword in its sidecar; the second one's path."""
    copy = folder / "copies" / "red.png"
    copy.parent.mkdir()
    shutil.copy(folder / "red.png", copy)
    write_sidecar(folder / "red.xmp", "original")
    write_sidecar(copy.with_suffix(".xmp"), "copy")
    index_paths(catalog, encoder, [folder])
    assert keywords(catalog, folder / "red.png") == {"original", "copy"}
    return copy


def keywords(catalog: Catalog, path: Path) -> set[str]:
    """The keywords of the image at a path."""
    return set(annotations_of_image(catalog, image_at(catalog, path)).get(Annotation.KEYWORD, []))


def image_at(catalog: Catalog, path: Path) -> int:
    """The id of the image at a path."""
    return known_locations(catalog, [str(path)])[str(path)].image_id


@pytest.mark.parametrize("loss", ["pruned", "unreadable", "forgotten", "edited", "a link"])
def test_what_a_removed_copy_says_is_forgotten(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, twice: Path, paint: Paint, loss: str
) -> None:
    """However it went."""
    before = content_hashes(catalog).values()
    if loss == "edited":
        paint("copies/red.png", "blue", seed=9)
    elif loss == "unreadable":
        twice.write_bytes(b"no picture")
    else:
        twice.unlink()
    if loss == "a link":
        twice.symlink_to(folder / "red.png")
    if loss == "forgotten":
        forget(catalog, twice)
    else:
        index_paths(catalog, encoder, [], prune=True)
    assert set(before) <= set(content_hashes(catalog).values())
    assert keywords(catalog, folder / "red.png") == {"original"}


@pytest.mark.parametrize("loss", ["missing", "excluded", "unreadable"])
def test_images_that_lose_a_file_or_get_it_back_are_annotated_once(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, twice: Path, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    """In the run that hides or shows the file, and in no other."""
    image, annotated = image_at(catalog, twice), list[int]()

    def spy(original: Callable[[Connection, Sequence[int]], None]) -> Callable[[Connection, Sequence[int]], None]:
        def annotate(connection: Connection, image_ids: Sequence[int]) -> None:
            annotated.extend(image_ids)
            original(connection, image_ids)

        return annotate

    for module in (missing, pipeline):
        monkeypatch.setattr(module, "annotate", spy(module.annotate))
    ignore, elsewhere = folder / ".crosslookignore", folder.parent / "elsewhere"
    if loss == "excluded":
        ignore.write_text("copies/\n")
    elif loss == "missing":
        twice.parent.rename(elsewhere)
    else:
        twice.write_bytes(b"no picture")
    for _ in range(2):
        index_paths(catalog, encoder, [])
        assert annotated == [image]
    if loss == "unreadable":
        return
    if loss == "excluded":
        ignore.unlink()
    else:
        elsewhere.rename(twice.parent)
    for _ in range(2):
        index_paths(catalog, encoder, [])
        assert annotated == [image, image]
    assert keywords(catalog, folder / "red.png") == {"original", "copy"}

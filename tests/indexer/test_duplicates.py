"""Finding duplicates."""

from __future__ import annotations

import shutil
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from indexer import Catalog, find_duplicates, index_paths
from indexer.catalog.embeddings import features_of, read_vectors
from indexer.catalog.images import images_by_id
from indexer.catalog.records import Kind
from indexer.duplicates import AGREEMENT, DuplicateGroup, agreement, likeness, thumbnails
from tests.fakes import FakeEncoder
from tests.indexer.ingest.opens import opened


def mosaic(path: Path, seed: int, *, size: tuple[int, int] = (64, 64), shift: int = 0) -> Path:
    """A picture of sixteen coloured fields; `shift` moves them, so that only their positions differ."""
    colours = np.random.default_rng(seed).integers(0, 255, (16, 3), np.uint8)
    fields = np.roll(colours, shift, axis=0).reshape(4, 4, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(fields).resize(size, Image.Resampling.NEAREST).save(path)
    return path


def names(groups: list[DuplicateGroup]) -> list[list[str]]:
    """The file names of each group."""
    return [[Path(copy.path).name for copy in group.copies] for group in groups]


def test_copies_and_versions_are_one_picture(catalog: Catalog, encoder: FakeEncoder, tmp_path: Path) -> None:
    """The largest comes first, identical files are adjacent, and only files of candidates are opened."""
    pictures = tmp_path / "pictures"
    original = mosaic(pictures / "original.png", 1)
    shutil.copy(original, pictures / "zz copy.png")
    (pictures / "a link.png").symlink_to(original)  # not a copy: keeping only the link would lose the picture
    mosaic(pictures / "a large one.png", 1, size=(128, 128))
    mosaic(pictures / "small.png", 1, size=(32, 32))
    for seed in range(2, 6):
        mosaic(pictures / f"other {seed}.png", seed)
    index_paths(catalog, encoder, [pictures])
    groups: list[DuplicateGroup] = []
    opened_files = opened(lambda: groups.extend(find_duplicates(catalog)))
    assert {Path(path).name for path in opened_files if path.endswith(".png")} <= {
        *("a large one.png", "original.png", "zz copy.png", "small.png")
    }
    assert names(groups) == [["a large one.png", "original.png", "zz copy.png", "small.png"]]
    copies = groups[0].copies
    assert (copies[0].width, copies[0].height, copies[0].bytes) == (
        128,
        128,
        (pictures / "a large one.png").stat().st_size,
    )
    assert copies[1].image_id == copies[2].image_id != copies[0].image_id
    assert groups[0].likeness > 0.99


def test_the_same_content_at_other_positions_is_another_picture(
    catalog: Catalog, encoder: FakeEncoder, tmp_path: Path
) -> None:
    """The vectors of both are equal, but their regions differ."""
    mosaic(tmp_path / "pictures" / "one.png", 1)
    mosaic(tmp_path / "pictures" / "two.png", 1, shift=5)
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    assert find_duplicates(catalog) == []
    one, two = read_vectors(catalog, Kind.IMAGE)[1]
    assert one @ two > 0.99


def test_a_group_can_exceed_the_number_of_neighbours(
    catalog: Catalog, encoder: FakeEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups are joined through their members, and pairs are processed in batches."""
    monkeypatch.setattr("indexer.duplicates.NEIGHBOURS", 2)
    monkeypatch.setattr("indexer.duplicates.QUERIES", 3)
    monkeypatch.setattr("indexer.duplicates.PAIRS", 2)
    for seed in (1, 2):
        for size in range(40, 48):
            mosaic(tmp_path / "pictures" / f"{seed} {size}.png", seed, size=(size, size))
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    assert names(find_duplicates(catalog)) == [[f"{s} {n}.png" for n in range(47, 39, -1)] for s in (1, 2)]


def test_few_thumbnails_stay_in_memory(
    catalog: Catalog, encoder: FakeEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many pairs are compared, each image is read once."""
    monkeypatch.setattr("indexer.duplicates.PAIRS", 2)
    monkeypatch.setattr("indexer.duplicates.CACHED", 8)
    for size in (40, 44, 48):
        for seed in range(12):
            mosaic(tmp_path / "pictures" / f"{size} {seed}.png", seed, size=(size, size))
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    read: list[weakref.ref[Any]] = []
    most = [0]

    def note(image: Image.Image) -> Any:
        result = thumbnails(image)
        read.append(weakref.ref(result))
        most[0] = max(most[0], sum(reference() is not None for reference in read))
        return result

    monkeypatch.setattr("indexer.duplicates.thumbnails", note)
    assert len(find_duplicates(catalog)) == 12
    assert len(read) == 36
    assert most[0] <= 8 + 4


def test_at_a_threshold_of_1_only_identical_files_are_duplicates(
    catalog: Catalog, encoder: FakeEncoder, tmp_path: Path
) -> None:
    """No file is opened, and missing files are left out."""
    pictures = tmp_path / "pictures"
    original = mosaic(pictures / "original.png", 1)
    mosaic(pictures / "large.png", 1, size=(128, 128))
    for name in ("copy.png", "gone.png"):
        shutil.copy(original, pictures / name)
    index_paths(catalog, encoder, [pictures])
    (pictures / "gone.png").unlink()
    index_paths(catalog, encoder, [pictures])
    groups: list[DuplicateGroup] = []
    assert opened(lambda: groups.extend(find_duplicates(catalog, threshold=1.0))) == []
    assert names(groups) == [["copy.png", "original.png"]]
    assert names(find_duplicates(catalog)) == [["large.png", "copy.png", "original.png"]]


def test_an_empty_index_has_no_duplicates(indexed: Catalog) -> None:
    """Nor has one of five different pictures."""
    assert find_duplicates(indexed) == []
    with Catalog.open(indexed.directory.with_name("empty"), create=True) as empty:
        assert find_duplicates(empty) == []


def test_a_scene_that_changed_a_little_is_another_picture(
    catalog: Catalog, encoder: FakeEncoder, tmp_path: Path
) -> None:
    """The regions of two photographs of one scene agree; their thumbnails differ."""
    path = mosaic(tmp_path / "pictures" / "one.png", 1)
    with Image.open(path) as image:
        later = image.copy()
    later.paste(later.crop((0, 0, 20, 20)), (28, 30))
    later.save(path.with_name("two.png"))
    index_paths(catalog, encoder, [path.parent])
    one, two = features_of(catalog, Kind.IMAGE, [1, 2])[1]
    assert agreement(one[None], two[None])[0] > AGREEMENT
    assert find_duplicates(catalog) == []


def test_a_file_deleted_since_indexing_is_left_out(catalog: Catalog, encoder: FakeEncoder, tmp_path: Path) -> None:
    """It does not end the search."""
    for size in (40, 48, 64):
        mosaic(tmp_path / "pictures" / f"{size}.png", 1, size=(size, size))
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    (tmp_path / "pictures" / "48.png").unlink()
    assert names(find_duplicates(catalog)) == [["64.png", "40.png"]]


@pytest.mark.parametrize("change", ["brighter", "cropped", "half", "mirrored", "flat"])
def test_likeness_tolerates_small_changes_only(change: str) -> None:
    """Brightness, narrow crops and size do not matter; a mirror image differs, and one colour resembles nothing."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 200, (9, 9, 3), np.uint8)).resize((180, 180), Image.Resampling.BICUBIC)
    changed = {
        "brighter": image.point(lambda value: value * 1.2),
        "cropped": image.crop((8, 4, 176, 174)),
        "half": image.resize((90, 90)),
        "mirrored": image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "flat": Image.new("RGB", (180, 180), (9, 9, 9)),
    }[change]
    found = likeness(thumbnails(image), thumbnails(changed))
    assert found == pytest.approx(likeness(thumbnails(changed), thumbnails(image)), abs=1e-6)
    assert (found > 0.95) == (change in {"brighter", "cropped", "half"})


def test_agreement_is_the_mean_cosine_by_position() -> None:
    """Compared with the definition; lengths do not matter."""
    rng = np.random.default_rng(0)
    ones, twos = rng.normal(size=(2, 3, 9, 5)).astype(np.float32)
    expected = [
        np.mean([a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in zip(one, two, strict=True)])
        for one, two in zip(ones, twos, strict=True)
    ]
    np.testing.assert_allclose(agreement(ones, 3 * twos), expected, atol=1e-6)
    np.testing.assert_array_equal(agreement(ones, np.zeros_like(ones)), 0)


def test_images_deleted_during_the_search_leave_no_group_of_one(
    catalog: Catalog, encoder: FakeEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group has at least two files."""
    for size in (32, 64):
        mosaic(tmp_path / "pictures" / f"{size}.png", 1, size=(size, size))
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    assert names(find_duplicates(catalog)) == [["64.png", "32.png"]]
    read = images_by_id

    def without_the_first(catalog: Catalog, ids: list[int]) -> Any:
        return {image: record for image, record in read(catalog, ids).items() if image != min(ids)}

    monkeypatch.setattr("indexer.duplicates.images_by_id", without_the_first)
    assert find_duplicates(catalog) == []

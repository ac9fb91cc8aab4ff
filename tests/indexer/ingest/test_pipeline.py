"""Indexing runs: new, changed, missing and unreadable files, captions, and stops."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoders.datasets import read_captions
from indexer import Catalog, IndexReport, VectorIndex, index_paths
from indexer.catalog.captions import caption_texts
from indexer.catalog.contents import catalog_stats, recorded_failures
from indexer.catalog.embeddings import features_of, read_vectors
from indexer.catalog.images import content_hashes, hidden_image_ids, images_by_id, mark_missing
from indexer.catalog.records import Kind
from indexer.errors import EncoderMismatchError, ReadError
from indexer.ingest.pipeline import index_changes
from tests.conftest import Paint
from tests.fakes import FakeEncoder


def counts(report: IndexReport) -> dict[str, int]:
    """The counts of a report that are not zero."""
    names = (
        "added",
        "updated",
        "unchanged",
        "duplicates",
        "missing",
        "excluded",
        "removed",
        "captions_added",
        "captions_unmatched",
    )
    values = {name: getattr(report, name) for name in names} | {"failed": len(report.failed)}
    return {name: count for name, count in values.items() if count}


def touch(path: Path) -> None:
    """Change the modification time of a file."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 5_000_000_000))


def test_a_second_run_opens_nothing(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """Files with unchanged size and time are counted, but not opened."""
    assert counts(index_paths(catalog, encoder, [folder])) == {"added": 5}
    assert encoder.images_encoded == 5
    report = index_paths(catalog, encoder, [folder])
    assert counts(report) == {"unchanged": 5}
    assert report.seen == 5
    assert encoder.images_encoded == 5


def test_stored_vectors_are_those_of_the_model(indexed: Catalog, encoder: FakeEncoder) -> None:
    """Vectors are stored to half precision, regions to int8."""
    ids, vectors = read_vectors(indexed, Kind.IMAGE)
    assert len(ids) == 5
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=2e-3)
    red = next(
        i for i, r in images_by_id(indexed, [int(i) for i in ids]).items() if r.path and r.path.name == "red.png"
    )
    expected = encoder.encode_texts(["red"]).tokens[0][0]
    np.testing.assert_allclose(features_of(indexed, Kind.IMAGE, [red])[1][0][0], expected, atol=0.03)
    assert features_of(indexed, Kind.IMAGE, [red])[0][0] @ encoder.encode_texts(["red"]).vectors[0] > 0.99


def test_a_changed_file_is_encoded_again(catalog: Catalog, encoder: FakeEncoder, folder: Path, paint: Paint) -> None:
    """Its new image replaces the old one, of which nothing remains."""
    index_paths(catalog, encoder, [folder])
    touch(paint("red.png", "yellow"))
    assert counts(index_paths(catalog, encoder, [folder])) == {"updated": 1, "unchanged": 4}
    assert catalog_stats(catalog).images == 5
    index = VectorIndex.open(catalog, Kind.IMAGE)
    scores, ids = index.search(encoder.encode_texts(["yellow"]).vectors, 1)
    assert scores[0, 0] > 0.9
    assert images_by_id(catalog, [int(ids[0, 0])])[int(ids[0, 0])].path == folder / "red.png"


def test_a_touched_file_is_not_encoded_again(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """Its content hash is unchanged."""
    index_paths(catalog, encoder, [folder])
    touch(folder / "red.png")
    assert counts(index_paths(catalog, encoder, [folder])) == {"updated": 1, "unchanged": 4}
    assert encoder.images_encoded == 5


def test_copies_are_duplicates_within_a_batch_and_across(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """An image with several files is encoded once, in whichever batches they are."""
    shutil.copy(folder / "red.png", folder / "a copy.png")
    shutil.copy(folder / "red.png", folder / "z copy.png")
    assert counts(index_paths(catalog, encoder, [folder], batch_size=2)) == {"added": 5, "duplicates": 2}
    assert encoder.images_encoded == 5
    stats = catalog_stats(catalog)
    assert (stats.images, stats.locations) == (5, 7)


def test_a_renamed_file_keeps_its_image(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """A rename counts as one update and one missing file, and encodes nothing."""
    index_paths(catalog, encoder, [folder])
    hashes = content_hashes(catalog)
    (folder / "red.png").rename(folder / "crimson.png")
    assert counts(index_paths(catalog, encoder, [folder])) == {"updated": 1, "unchanged": 4, "missing": 1}
    assert content_hashes(catalog) == hashes
    assert encoder.images_encoded == 5


def test_a_file_that_comes_back_is_found_again(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """An image is hidden while its file is missing, and not encoded again."""
    index_paths(catalog, encoder, [folder])
    away = folder.parent / "red.png"
    (folder / "red.png").rename(away)
    assert counts(index_paths(catalog, encoder, [folder])) == {"unchanged": 4, "missing": 1}
    assert catalog_stats(catalog).missing == 1
    assert len(hidden_image_ids(catalog)) == 1
    away.rename(folder / "red.png")
    assert counts(index_paths(catalog, encoder, [folder])) == {"unchanged": 5}
    assert len(hidden_image_ids(catalog)) == 0
    assert encoder.images_encoded == 5


def test_files_of_other_folders_are_not_missing(catalog: Catalog, encoder: FakeEncoder, paint: Paint) -> None:
    """Indexing one folder hides nothing in another, even if its name starts with the first one's."""
    first, second = paint("a/one.png", seed=1), paint("ab/two.png", seed=2)
    index_paths(catalog, encoder, [first.parent, second.parent])
    second.unlink()
    assert counts(index_paths(catalog, encoder, [first.parent])) == {"unchanged": 1}
    assert counts(index_paths(catalog, encoder, [second.parent.parent])) == {"unchanged": 1, "missing": 1}


def test_a_path_with_dots_means_the_same_folder(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`../pictures` is resolved, so nothing is new, and a deleted file is missing."""
    index_paths(catalog, encoder, [folder])
    (folder / "red.png").unlink()
    (folder.parent / "elsewhere").mkdir()
    monkeypatch.chdir(folder.parent / "elsewhere")
    assert counts(index_paths(catalog, encoder, [Path("../pictures")])) == {"unchanged": 4, "missing": 1}


def test_an_unreadable_folder_is_a_failure_and_not_missing(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pictures stay visible, and --prune does not remove them."""
    paint("seen.png", seed=1)
    locked = paint("locked/unseen.png", seed=2).parent
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    original = os.scandir

    def refuse(path: str) -> object:
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(os, "scandir", refuse)
    report = index_paths(catalog, encoder, [tmp_path / "pictures"], prune=True)
    assert counts(report) == {"unchanged": 1, "failed": 1}
    assert report.failed[0].path == str(locked)
    assert catalog_stats(catalog).images == 2


def test_a_name_that_is_not_utf8_is_one_failure(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """It is reported with question marks, and all other files are indexed."""
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")).write_bytes((folder / "red.png").read_bytes())
    report = index_paths(catalog, encoder, [folder])
    assert counts(report) == {"added": 5, "failed": 1}
    assert report.failed[0].path == f"{folder}/caf?.png"


def test_prune_removes_what_is_gone(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """With --prune, an image without files is deleted with its captions and embeddings."""
    (folder / "red.txt").write_text("a red square\n")
    index_paths(catalog, encoder, [folder])
    (folder / "red.png").unlink()
    assert counts(index_paths(catalog, encoder, [folder], prune=True)) == {"unchanged": 4, "missing": 1, "removed": 1}
    stats = catalog_stats(catalog)
    assert (stats.images, stats.locations, stats.captions) == (4, 4, {})
    assert len(read_vectors(catalog, Kind.IMAGE)[0]) == 4
    assert len(VectorIndex.open(catalog, Kind.CAPTION)) == 0


def test_a_bad_file_does_not_fail_its_batch(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """A text file named .jpg and a truncated picture are reported with a reason; all others are indexed."""
    (folder / "text.jpg").write_text("I am not a picture")
    content = (folder / "red.png").read_bytes()
    (folder / "half.png").write_bytes(content[: len(content) // 2])
    report = index_paths(catalog, encoder, [folder])
    assert counts(report) == {"added": 5, "failed": 2}
    reasons = {Path(f.path).name: f.reason for f in report.failed}
    assert "not an image" in reasons["text.jpg"]
    assert "truncated" in reasons["half.png"]
    assert [Path(f.path).name for f in recorded_failures(catalog)] == ["half.png", "text.jpg"]


def test_a_failure_is_tried_again_only_when_the_file_changes(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, paint: Paint
) -> None:
    """An unreadable file is reported by every run, but opened once; once repaired, it is indexed."""
    bad = folder / "bad.png"
    bad.write_text("nothing")
    index_paths(catalog, encoder, [folder])
    assert counts(index_paths(catalog, encoder, [folder])) == {"unchanged": 5, "failed": 1}
    paint("bad.png", "yellow")
    assert counts(index_paths(catalog, encoder, [folder])) == {"added": 1, "unchanged": 5}
    assert recorded_failures(catalog) == []


def test_a_failure_whose_file_is_gone_is_deleted(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """Failures list only files that still exist."""
    (folder / "bad.png").write_text("nothing")
    index_paths(catalog, encoder, [folder])
    (folder / "bad.png").unlink()
    assert counts(index_paths(catalog, encoder, [folder])) == {"unchanged": 5}
    assert recorded_failures(catalog) == []


@pytest.mark.parametrize("prune", [False, True])
def test_a_picture_overwritten_by_something_unreadable_is_not_found_any_more(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, *, prune: bool
) -> None:
    """Its image is hidden, or with `prune` deleted, and the failure reported; an image with another copy stays."""
    shutil.copy(folder / "blue.png", folder / "copy.png")
    index_paths(catalog, encoder, [folder])
    red, blue = (digest(folder / f"{name}.png") for name in ("red", "blue"))
    for name in ("red.png", "blue.png"):
        (folder / name).write_text("no picture any more")
    failed = {"unchanged": 4, "failed": 2} | ({"removed": 1} if prune else {})
    assert counts(index_paths(catalog, encoder, [folder], prune=prune)) == failed
    assert {Path(f.path).name for f in recorded_failures(catalog)} == {"red.png", "blue.png"}
    assert visible_hashes(catalog) == content_hashes(catalog).keys() - {red}
    assert (red in content_hashes(catalog)) != prune
    blue_id = content_hashes(catalog)[blue]
    assert images_by_id(catalog, [blue_id])[blue_id].path == folder / "copy.png"
    assert counts(index_paths(catalog, encoder, [folder])) == {"unchanged": 4, "failed": 2}
    assert red not in visible_hashes(catalog)


@pytest.mark.parametrize("content", ["the same", "another"])
def test_an_overwritten_picture_is_found_again_when_it_is_readable_again(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, paint: Paint, content: str
) -> None:
    """Restored with its old time, it is not opened; edited, it keeps its captions. No failure remains."""
    table = folder.parent / "captions.csv"
    table.write_text("image,caption\nred.png,a red square\n")
    index_paths(catalog, encoder, [folder], captions=read_captions(table))
    red = folder / "red.png"
    original, status = red.read_bytes(), red.stat()
    red.write_text("cut short")
    index_paths(catalog, encoder, [folder])
    assert len(visible_hashes(catalog)) == 4
    if content == "the same":
        red.write_bytes(original)
        os.utime(red, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        paint("red.png", "yellow")
    index_paths(catalog, encoder, [folder])
    assert digest(red) in visible_hashes(catalog)
    assert catalog_stats(catalog).images == 5
    assert recorded_failures(catalog) == []
    assert caption_texts(catalog, "dataset") == {(content_hashes(catalog)[digest(red)], "a red square")}
    assert encoder.images_encoded == (5 if content == "the same" else 6)


def test_a_picture_that_an_earlier_version_left_behind_an_unreadable_file_is_hidden(
    catalog: Catalog, encoder: FakeEncoder, folder: Path
) -> None:
    """In such a catalog, one path has both a failure and a location that is not missing."""
    index_paths(catalog, encoder, [folder])
    (folder / "red.png").write_text("no picture any more")
    index_paths(catalog, encoder, [folder])
    with catalog.transaction() as connection:
        mark_missing(connection, [str(folder / "red.png")], None)
    assert len(visible_hashes(catalog)) == 5
    index_changes(catalog, encoder, [str(folder / "red.png")])
    assert len(visible_hashes(catalog)) == 4


def test_a_picture_that_the_system_refuses_to_read_stays_visible(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a drive with errors, it is reported and tried again by each run, but not hidden."""
    index_paths(catalog, encoder, [folder])
    touch(folder / "red.png")

    def refuse(*_: object) -> None:
        raise ReadError("cannot be read: Input/output error")

    monkeypatch.setattr("indexer.ingest.pipeline.read_file", refuse)
    for _ in range(2):
        assert counts(index_paths(catalog, encoder, [folder], prune=True)) == {"unchanged": 4, "failed": 1}
    assert len(visible_hashes(catalog)) == 5


def test_a_picture_replaced_by_a_pipe_is_hidden(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """Its path is no longer a regular file, which is reported."""
    index_paths(catalog, encoder, [folder])
    (folder / "red.png").unlink()
    os.mkfifo(folder / "red.png")
    assert counts(index_paths(catalog, encoder, [folder])) == {"unchanged": 4, "missing": 1, "failed": 1}
    assert len(visible_hashes(catalog)) == 4


def visible_hashes(catalog: Catalog) -> set[str]:
    """Content hashes of the images that searches show."""
    hidden = set(hidden_image_ids(catalog).tolist())
    return {content_hash for content_hash, image_id in content_hashes(catalog).items() if image_id not in hidden}


def digest(path: Path) -> str:
    """The content hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_sidecars_become_captions_and_follow_their_file(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """A sidecar that is added, changed or removed later changes the captions, and encodes no image."""
    index_paths(catalog, encoder, [folder])
    sidecar = folder / "red.txt"
    sidecar.write_text("a red square\n\na  red   wall\n")
    assert counts(index_paths(catalog, encoder, [folder])) == {"unchanged": 5, "captions_added": 2}
    assert {t for _, t in caption_texts(catalog, "sidecar")} == {"a red square", "a red wall"}
    sidecar.write_text("a red square\na door\n")
    touch(sidecar)
    assert counts(index_paths(catalog, encoder, [folder])) == {"unchanged": 5, "captions_added": 1}
    assert {t for _, t in caption_texts(catalog, "sidecar")} == {"a red square", "a door"}
    sidecar.unlink()
    index_paths(catalog, encoder, [folder])
    assert caption_texts(catalog, "sidecar") == set()
    assert len(VectorIndex.open(catalog, Kind.CAPTION)) == 0
    assert encoder.images_encoded == 5


def test_a_sidecar_in_another_encoding_is_reported(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """In each run, until it is saved as UTF-8; its other lines are captions."""
    sidecar = folder / "red.txt"
    sidecar.write_bytes("a wall\n海边\n度假\n".encode("gb18030"))
    for captions in (1, 0):
        report = index_paths(catalog, encoder, [folder])
        assert report.captions_added == captions
        assert [(failure.path, failure.reason) for failure in report.failed] == [
            (str(sidecar), "line 2: neither UTF-8 nor UTF-16; save the file as UTF-8")
        ]
    sidecar.write_text("a wall\n海边\n", encoding="utf-16")
    touch(sidecar)
    assert counts(index_paths(catalog, encoder, [folder])) == {"unchanged": 5, "captions_added": 1}
    assert {text for _, text in caption_texts(catalog, "sidecar")} == {"a wall", "海边"}


def test_each_copy_of_an_image_has_its_own_sidecar(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """Sidecars beside copies all caption the same image; changing one does not affect the others."""
    shutil.copy(folder / "red.png", folder / "copy.png")
    (folder / "red.txt").write_text("a red wall\n")
    (folder / "copy.txt").write_text("the same wall\n")
    index_paths(catalog, encoder, [folder])
    (folder / "red.txt").write_text("a brick wall\n")
    touch(folder / "red.txt")
    index_paths(catalog, encoder, [folder])
    texts = {text for _, text in caption_texts(catalog, "sidecar")}
    assert texts == {"a brick wall", "the same wall"}


def test_a_drive_that_is_away_keeps_its_captions(catalog: Catalog, encoder: FakeEncoder, tmp_path: Path) -> None:
    """Its sidecars cannot be read, so their captions stay, even if the sidecar of another copy changes."""
    present, away = tmp_path / "here", tmp_path / "away"
    for folder in (present, away):
        folder.mkdir()
        Image.new("RGB", (30, 20), "red").save(folder / "red.png")
        (folder / "red.txt").write_text(f"the one that is {folder.name}\n")
    index_paths(catalog, encoder, [present, away])
    away.rename(tmp_path / "unplugged")
    (present / "red.txt").write_text("still here\n")
    touch(present / "red.txt")
    index_paths(catalog, encoder, [present])
    assert {text for _, text in caption_texts(catalog, "sidecar")} >= {"still here", "the one that is away"}


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_renumbered_files_keep_their_images(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path, batch_size: int
) -> None:
    """With a new first picture and all others renumbered, there are as many images as contents."""
    for i in range(1, 9):
        paint(f"{i}.png", "red", seed=i)
    folder = tmp_path / "pictures"
    index_paths(catalog, encoder, [folder], batch_size=batch_size)
    for i in range(8, 0, -1):
        (folder / f"{i}.png").rename(folder / f"{i + 1}.png")
    paint("1.png", "blue")
    report = index_paths(catalog, encoder, [folder], batch_size=batch_size)
    assert report.failed == []
    records = images_by_id(catalog, read_vectors(catalog, Kind.IMAGE)[0].tolist()).values()
    assert sorted(record.paths for record in records) == [(folder / f"{i}.png",) for i in range(1, 10)]
    hashes = {hashlib.sha256((folder / f"{i}.png").read_bytes()).hexdigest(): folder / f"{i}.png" for i in range(1, 10)}
    places = {image_id: path for digest, image_id in content_hashes(catalog).items() for path in [hashes[digest]]}
    assert {record.id: record.path for record in records} == places
    assert counts(index_paths(catalog, encoder, [folder])) == {"unchanged": 9}


def test_captions_from_a_file_are_added_once(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """Rows match their image by name; a second run adds nothing; rows that match no image are counted."""
    table = folder.parent / "captions.csv"
    table.write_text("image,caption\nred.png,a red square\nred.png,something red\nblue.png,the sea\nnone.png,nothing\n")
    captions = read_captions(table)
    report = index_paths(catalog, encoder, [folder], captions=captions)
    assert counts(report) == {"added": 5, "captions_added": 3, "captions_unmatched": 1}
    encoded = encoder.texts_encoded
    again = index_paths(catalog, encoder, [folder], captions=captions)
    assert counts(again) == {"unchanged": 5, "captions_unmatched": 1}
    assert encoder.texts_encoded == encoded


def test_a_caption_matches_by_the_end_of_its_path(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path
) -> None:
    """`a/x.png` is unambiguous; `x.png` matches two images, so it is left out and counted."""
    paint("a/x.png", "red")
    paint("b/x.png", "blue")
    table = tmp_path / "captions.csv"
    table.write_text("image,caption\na/x.png,red\nx.png,which\n")
    report = index_paths(catalog, encoder, [tmp_path / "pictures"], captions=read_captions(table))
    assert counts(report) == {"added": 2, "captions_added": 1, "captions_unmatched": 1}


def test_a_stopped_run_ends_at_a_commit_and_is_resumed(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path
) -> None:
    """The next run does only the rest."""
    for i in range(10):
        paint(f"{i}.png", seed=i)
    stop = threading.Event()

    def stop_after_four(phase: str, done: int, _total: int) -> None:
        if phase == "images" and done >= 4:
            stop.set()

    report = index_paths(catalog, encoder, [tmp_path / "pictures"], batch_size=2, progress=stop_after_four, stop=stop)
    assert report.stopped
    assert report.added == 4
    assert catalog_stats(catalog).images == 4
    rest = index_paths(catalog, encoder, [tmp_path / "pictures"], batch_size=2)
    assert counts(rest) == {"added": 6, "unchanged": 4}
    assert encoder.images_encoded == 10


def test_another_model_is_refused_before_anything_happens(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """Embeddings of two models never mix; the message names both, and what to do."""
    index_paths(catalog, encoder, [folder])
    other = FakeEncoder(name="other", fingerprint="0" * 64)
    with pytest.raises(EncoderMismatchError, match=r"made by model fake \(ffffffffffff\), not by other .*--index"):
        index_paths(catalog, other, [folder])
    assert other.images_encoded == 0


def test_progress_runs_from_0_to_the_total(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """The first call comes before any work."""
    calls: list[tuple[str, int, int]] = []
    index_paths(catalog, encoder, [folder], batch_size=2, progress=lambda *step: calls.append(step))
    assert calls == [("images", 0, 5), ("images", 2, 5), ("images", 4, 5), ("images", 5, 5)]

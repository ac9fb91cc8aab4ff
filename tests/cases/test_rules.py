"""What a walk leaves out: other programs' folders, and what people exclude."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from indexer import Catalog, IndexReport, forget, index_paths
from indexer.catalog.contents import catalog_stats, indexed_roots
from indexer.errors import PatternError, SourceError
from indexer.ingest.pipeline import index_changes
from indexer.ingest.rules import typed_patterns
from indexer.pictures.safe_read import read_file
from tests.cases.folders import shown, walked, write
from tests.conftest import Paint
from tests.fakes import FakeEncoder
from tests.indexer.ingest.opens import opened
from tests.indexer.ingest.test_pipeline import counts
from tests.indexer.ingest.test_roots import mount


def test_a_synology_share_has_only_its_photographs(paint: Paint, root: Path) -> None:
    """Thumbnails, bin and Apple's shadow files are left out and counted; folders are not entered."""
    paint("2023/IMG_1.jpg", seed=1)
    paint("2023/IMG_2.jpg", seed=2)
    for name in ("IMG_1", "IMG_2"):
        for size in "SM":
            paint(f"2023/@eaDir/{name}.jpg/SYNOPHOTO_THUMB_{size}.jpg", seed=3)
    paint("#recycle/2019/deleted.jpg", seed=4)
    write(root / "2023" / "._IMG_1.jpg", b"\0")
    names, result = walked(root)
    assert names == ["2023/IMG_1.jpg", "2023/IMG_2.jpg"]
    assert result.left_out.folders == {"@eaDir": 1, "#recycle": 1}
    assert result.left_out.hidden == 1


@pytest.mark.parametrize(
    "folder",
    [
        *("@Recycle", ".@__thumb", "@Recently-Snapshot", "@tmp", "#snapshot", "$RECYCLE.BIN", "$Recycle.Bin/S-1-5"),
        *("System Volume Information", "RECYCLER", ".Trashes", ".Spotlight-V100", "__MACOSX", "lost+found"),
        *("Catalog Previews.lrdata", "Katalog Smart Previews.LRDATA/a", ".thumbnails", "DCIM/.thumbnails", ".dtrash"),
        *("mipmaps-abc.d/3", "files_trashbin", "appdata_oc123/preview", "Photos.photoslibrary/resources/derivatives"),
        *("iPhoto Library.photolibrary/Thumbnails", "Photos.photoslibrary/database", "@EADIR"),
    ],
)
def test_folders_of_other_programs_are_left_out(paint: Paint, root: Path, folder: str) -> None:
    """By name, in capitals or not; the counts name them."""
    paint("kept.png")
    paint(f"{folder}/thumb.png")
    names, result = walked(root)
    assert names == ["kept.png"]
    assert sum(result.left_out.folders.values()) == 1


def test_originals_of_a_photos_library_are_pictures(paint: Paint, root: Path) -> None:
    """And nothing else in it, also where the library itself is given."""
    paint("Photos Library.photoslibrary/originals/1/a.png")
    paint("Photos Library.photoslibrary/resources/renders/a.png")
    paint("Old.aplibrary/Masters/2012/b.png")
    paint("Old.aplibrary/Previews/b.png")
    assert walked(root)[0] == ["Old.aplibrary/Masters/2012/b.png", "Photos Library.photoslibrary/originals/1/a.png"]
    assert walked(root / "Photos Library.photoslibrary")[0] == ["originals/1/a.png"]


def test_a_folder_that_is_given_is_walked_whatever_its_name(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, root: Path
) -> None:
    """Its parent's runs do not hide what it holds."""
    paint("one.png", seed=1)
    recycled = paint("#recycle/two.png", seed=2).parent
    index_paths(catalog, encoder, [root, recycled])
    assert shown(catalog) == 2
    for paths in ([], [root], [recycled]):
        report = index_paths(catalog, encoder, paths, prune=True)
        assert (report.missing, report.excluded, shown(catalog)) == (0, 0, 2)


def test_nomedia_leaves_out_its_folder_and_all_below(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, root: Path
) -> None:
    """Known images are hidden meanwhile, not pruned, and not read again afterwards."""
    paint("kept.png", seed=1)
    paint("stickers/deep/a.png", seed=2)
    index_paths(catalog, encoder, [root])
    marker = write(root / "stickers" / ".nomedia")
    report = index_paths(catalog, encoder, [], prune=True)
    assert (report.excluded, report.missing, report.removed, report.left_out.nomedia) == (1, 0, 0, 1)
    assert shown(catalog) == 1
    stats = catalog_stats(catalog)
    assert (stats.excluded, stats.missing) == (1, 0)
    marker.unlink()
    assert opened(lambda: index_paths(catalog, encoder, [])) == []
    assert (shown(catalog), catalog_stats(catalog).excluded) == (2, 0)


def test_patterns_are_remembered_and_replaced(catalog: Catalog, encoder: FakeEncoder, paint: Paint, root: Path) -> None:
    """Later runs use them; other ones replace them; what comes back is not read again."""
    for number, name in enumerate(("one.png", "shot.jpg", "private/two.png", "deep/private/three.png")):
        paint(name, seed=number)
    index_paths(catalog, encoder, [root])
    report = index_paths(catalog, encoder, [root], exclude=["*.jpg", "/private/"])
    assert (report.excluded, report.missing, shown(catalog)) == (2, 0, 2)
    assert report.left_out.patterns == {"*.jpg": 1, "/private/": 1}
    assert index_paths(catalog, encoder, [], prune=True).excluded == 2
    assert catalog_stats(catalog).exclusions == {str(root): ("*.jpg", "/private/")}
    assert index_paths(catalog, encoder, [], exclude=[f"{root}/deep"]).left_out.patterns == {"/deep": 1}
    assert shown(catalog) == 3
    assert opened(lambda: index_paths(catalog, encoder, [root], exclude=[""])) == []
    assert (shown(catalog), catalog_stats(catalog).exclusions) == (4, {})
    assert encoder.images_encoded == 4


def test_an_excluded_file_that_is_deleted_can_be_pruned(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, root: Path
) -> None:
    """It is gone for good, unlike one that is only excluded."""
    gone, paths = paint("a.jpg", seed=1), [paint("b.jpg", seed=2), paint("c.png", seed=3)]
    index_paths(catalog, encoder, [root])
    folder = root / "private"
    folder.mkdir()
    for path in (gone, paths[0]):
        path.rename(folder / path.name)
    index_paths(catalog, encoder, [], prune=True)
    (folder / "a.jpg").unlink()
    report = index_paths(catalog, encoder, [root], exclude=["private"], prune=True)
    assert (report.excluded, report.removed, catalog_stats(catalog).images) == (1, 1, 2)


def test_forget_forgets_patterns_as_well(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """A folder that is indexed anew begins without any."""
    index_paths(catalog, encoder, [folder], exclude=["red*"])
    forget(catalog, folder)
    assert catalog_stats(catalog).exclusions == {}


def test_a_hash_is_a_name_where_patterns_are_typed(paint: Paint, root: Path) -> None:
    """In an ignore file, it begins a comment."""
    paint("#1/a.png")
    paint("b.png")
    assert walked(root, patterns=tuple(typed_patterns(["#1"], str(root))))[0] == ["b.png"]
    write(root / ".crosslookignore", b"#1\n")
    assert walked(root)[0] == ["#1/a.png", "b.png"]


@pytest.mark.parametrize(
    "pattern",
    [
        *("!", "[z-a]", "a/\\", "x\ny", "foo["),
        *("*a" * 12 + "b", "?*" * 5, "!x/*a*a*a*a*/y", "a/" + "**/a/" * 5 + "b"),
    ],
)
def test_a_bad_pattern_is_refused_before_anything_runs(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, pattern: str
) -> None:
    """The message names it."""
    with pytest.raises(PatternError) as caught:
        index_paths(catalog, encoder, [folder], exclude=["*.jpg", pattern])
    assert repr(pattern) in str(caught.value)
    assert (indexed_roots(catalog), encoder.images_encoded) == ([], 0)


def test_a_bad_line_of_an_ignore_file_is_noted(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """With file and line; the others hold, and nothing counts as missing."""
    ignore = write(folder / ".crosslookignore", "\ufeff# mine\n\nred.png\n[z-a]\nblue*\n".encode())
    for _ in range(2):
        report = index_paths(catalog, encoder, [folder])
        ((path, reason),) = [(failure.path, failure.reason) for failure in report.failed]
        assert path == str(ignore)
        assert reason.startswith("line 4: pattern '[z-a]' cannot be used")
        assert (shown(catalog), report.missing) == (3, 0)


@pytest.mark.parametrize("name", ["Café", "Cafe\u0301"])
def test_patterns_match_however_accents_are_stored(paint: Paint, root: Path, name: str) -> None:
    """Composed or decomposed, as macOS stores them."""
    paint(f"{name}/a.png")
    paint("b.png")
    for typed in ("Café", "Cafe\u0301"):
        assert walked(root, patterns=(f"{typed}/",))[0] == ["b.png"]


def test_ignore_files_have_the_precedence_of_git(paint: Paint, root: Path) -> None:
    """An inner one decides over an outer one, a later line over an earlier one, and `!` lets in what is left out."""
    for name in ("a.png", "keep/a.png", "keep/b.png", "keep/deep/a.png", ".shown/c.png", "@eaDir/d.png"):
        paint(name)
    write(root / ".crosslookignore", b"a.png\n!.shown/\n")
    write(root / "keep" / ".crosslookignore", b"!a.png\nb.png\n/deep/\n")
    assert walked(root)[0] == [".shown/c.png", "keep/a.png"]


def test_a_folder_inherits_the_rules_above_when_it_is_scanned_alone(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, root: Path
) -> None:
    """Up to the root that reaches it."""
    paint("in/a.png", seed=1)
    paint("in/b.jpg", seed=2)
    index_paths(catalog, encoder, [root], exclude=["*.jpg"])
    report = index_paths(catalog, encoder, [root / "in"])
    assert counts(report) == {"unchanged": 1}


def test_a_drive_below_an_excluded_folder_is_hidden(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A walk found it, so nobody asked for it by name."""
    paint("home.png", seed=1)
    drive = paint("snapshots/drive/a.png", seed=2).parent
    mount(monkeypatch, drive)
    index_paths(catalog, encoder, [root])
    report = index_paths(catalog, encoder, [root], exclude=["snapshots"])
    assert (report.excluded, report.missing, report.away, shown(catalog)) == (1, 0, [], 1)
    assert index_paths(catalog, encoder, []).excluded == 1
    index_paths(catalog, encoder, [], exclude=[])
    assert shown(catalog) == 2


def test_a_folder_without_images_says_what_was_left_out(catalog: Catalog, encoder: FakeEncoder, root: Path) -> None:
    """Not only that it has none."""
    write(root / "a.mov")
    write(root / "b.MOV")
    write(root / "@eaDir" / "c.jpg")
    words = r"\(left out: folders of other programs \(@eaDir 1\), kinds that are not read \(\.mov 2\)\); crosslook"
    with pytest.raises(SourceError, match=words):
        index_paths(catalog, encoder, [root])


def test_runs_of_stars_are_one(paint: Paint, root: Path) -> None:
    """However many there are, a name that nearly matches takes no time."""
    paint("a" * 200 + ".png")
    paint("ab/c/d.png")
    patterns = ("a" + "*" * 40 + "b.png", "*a*a*a*" + "*" * 20 + "b", "a**/**/d.png", r"\***\*")
    assert walked(root, patterns=patterns)[0] == ["a" * 200 + ".png"]


@pytest.mark.parametrize("number", [1_000, 1_001])
def test_patterns_are_limited_in_number_and_length(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, number: int
) -> None:
    """The message gives the limit, and not all of a long pattern."""
    patterns = [f"name{n}" for n in range(number)]
    if number > 1_000:
        with pytest.raises(PatternError, match=r"1,001 patterns for .* cannot be used; at most 1,000"):
            index_paths(catalog, encoder, [folder], exclude=patterns)
    else:
        index_paths(catalog, encoder, [folder], exclude=patterns)
    with pytest.raises(PatternError, match=r"^pattern 'x{40}…' cannot be used: it has 1,001 char"):
        typed_patterns(["x" * 1_001], str(folder))


UNUSABLE = {
    "large": "too large",
    "long": "it has 1,001 patterns; the limit is 1,000",
    "forbidden": "cannot be read: Permission denied",
    "unplugged": "cannot be read: No such file or directory",
    "pipe": "not a regular file but a pipe",
}
"""Ignore files that cannot be used, each with the reason."""


def spoil(ignore: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make an ignore file that cannot be used."""
    if kind == "unplugged":
        ignore.symlink_to(ignore.parent.parent / "nowhere")
    elif kind == "pipe":
        os.mkfifo(ignore)
    else:
        rest = {"large": "# " + "x" * 1_000_000, "long": "blue.png\n" * 1_000, "forbidden": ""}
        ignore.write_text("blue.png\n" + rest[kind])
    original = os.open

    def refuse(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if Path(path) == ignore:
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, flags, mode)

    if kind == "forbidden":  # also to root
        monkeypatch.setattr(os, "open", refuse)


@pytest.mark.parametrize("kind", UNUSABLE)
def test_below_an_ignore_file_that_cannot_be_used_all_stays_as_it_is(
    catalog: Catalog,
    encoder: FakeEncoder,
    folder: Path,
    paint: Paint,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """Nothing new enters, nothing is hidden, also where a part is indexed alone; the run says why."""
    inner = paint("in/old.png", seed=1).parent
    index_paths(catalog, encoder, [folder])
    ignore = folder / ".crosslookignore"
    spoil(ignore, kind, monkeypatch)
    new = paint("in/new.png", seed=2)
    (inner / "old.png").unlink()
    runs: tuple[Callable[[], IndexReport], ...] = (
        lambda: index_paths(catalog, encoder, [], prune=True),
        lambda: index_paths(catalog, encoder, [inner], prune=True),
        lambda: index_changes(catalog, encoder, [str(new)]),
    )
    for run in runs:
        report = run()
        assert counts(report) == {"failed": 1}
        assert UNUSABLE[kind] in report.failed[0].reason
        assert f"until {ignore} can be used" in report.failed[0].reason
        assert (shown(catalog), encoder.images_encoded) == (6, 6)
    ignore.unlink()
    assert counts(index_paths(catalog, encoder, [])) == {"added": 1, "unchanged": 5, "missing": 1}


@pytest.mark.parametrize("content", [None, b""])
def test_an_ignore_file_that_vanishes_says_nothing(
    paint: Paint, root: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    """Nor does one that is empty."""
    paint("a.png")
    ignore = write(root / ".crosslookignore", b"a.png\n")

    @contextmanager
    def vanish(path: Path, *, limit: int) -> Iterator[bytes]:
        ignore.unlink()
        if content is not None:
            ignore.write_bytes(content)
        with read_file(path, limit=limit) as data:
            yield data

    monkeypatch.setattr("indexer.ingest.reach.read_file", vanish)
    assert walked(root)[0] == ["a.png"]

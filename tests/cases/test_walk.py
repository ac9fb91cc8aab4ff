"""Folders as people have them: links, network drives, phones, photo libraries, raw files, and what people exclude."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from encoders.datasets import read_captions
from indexer import Catalog, IndexReport, find_duplicates, forget, index_paths
from indexer.catalog import schema
from indexer.catalog.captions import captions_of_image
from indexer.catalog.contents import catalog_stats, indexed_roots, recorded_failures
from indexer.catalog.images import content_hashes, hidden_image_ids, known_locations
from indexer.errors import PatternError, SourceError
from indexer.ingest.reach import Reach
from indexer.ingest.rules import typed_patterns
from indexer.ingest.scan import Scan, scan
from indexer.pictures import formats
from tests.conftest import Paint
from tests.fakes import FakeEncoder
from tests.indexer.ingest.opens import opened
from tests.indexer.ingest.test_pipeline import counts


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of the painted pictures."""
    return tmp_path / "pictures"


def write(path: Path, content: bytes = b"") -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def walked(root: Path, **exclusions: tuple[str, ...]) -> tuple[list[str], Scan]:
    """Scan a folder; return the names of its files, relative to it, and the result."""
    result = scan([str(root)], Reach([str(root)], exclusions={str(root): exclusions.get("patterns", ())}))
    return [Path(file.path).relative_to(root).as_posix() for file in result.files], result


def shown(catalog: Catalog) -> int:
    """The number of images that searches show."""
    return catalog_stats(catalog).images - len(hidden_image_ids(catalog))


def keep_times(path: Path, content: bytes) -> None:
    """Write other content of the same size into a file, and set its old times."""
    status = path.stat()
    assert len(content) == status.st_size
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


# --- links ---


@pytest.fixture
def album(paint: Paint, root: Path, tmp_path: Path) -> Path:
    """An album with a linked year, links to files, a hard link, and a broken link."""
    paint("2020/a.jpg", seed=1)
    paint("2020/c.jpg", seed=2)
    paint("../other/2022/b.jpg", seed=3)
    (root / "best").mkdir()
    (root / "best" / "a.jpg").symlink_to("../2020/a.jpg")
    os.link(root / "2020" / "c.jpg", root / "best" / "c.jpg")
    (root / "best" / "gone.jpg").symlink_to("../gone.jpg")
    (root / "2022").symlink_to(tmp_path / "other" / "2022")
    return root


def test_linked_folders_are_followed_and_each_file_is_listed_once(album: Path) -> None:
    """Under a path without links if there is one."""
    names, result = walked(album)
    assert names == ["2020/a.jpg", "2020/c.jpg", "2022/b.jpg"]
    assert result.left_out.links == 2
    assert [Path(item.path).name for item in result.unreadable] == ["gone.jpg"]


def test_an_album_of_links_is_stable_and_has_no_duplicates(catalog: Catalog, encoder: FakeEncoder, album: Path) -> None:
    """A second run opens nothing, and removes none of what the first one added."""
    assert counts(index_paths(catalog, encoder, [album])) == {"added": 3, "failed": 1}
    assert opened(lambda: index_paths(catalog, encoder, [])) == []
    assert counts(index_paths(catalog, encoder, [], prune=True)) == {"unchanged": 3, "failed": 1}
    assert find_duplicates(catalog, threshold=1) == []
    assert indexed_roots(catalog) == [str(album), str(album / "2022")]


@pytest.mark.parametrize("prune", [False, True])
@pytest.mark.parametrize("loss", ["broken", "empty"])
def test_a_linked_folder_that_is_unplugged_is_hidden_and_comes_back(
    catalog: Catalog, encoder: FakeEncoder, album: Path, tmp_path: Path, loss: str, *, prune: bool
) -> None:
    """Whether the link is broken or leads to an empty folder, even with --prune."""
    index_paths(catalog, encoder, [album])
    target = tmp_path / "other" / "2022"
    target.rename(tmp_path / "unplugged")
    if loss == "empty":
        target.mkdir()
    report = index_paths(catalog, encoder, [], prune=prune)
    assert counts(report) == {"unchanged": 2, "missing": 1, "failed": 1}
    assert report.away == [str(album / "2022")]
    assert shown(catalog) == 2
    shutil.rmtree(target, ignore_errors=True)
    (tmp_path / "unplugged").rename(target)
    assert opened(lambda: index_paths(catalog, encoder, [], prune=prune)) == []
    assert shown(catalog) == 3


def test_a_file_deleted_from_a_linked_folder_is_pruned(
    catalog: Catalog, encoder: FakeEncoder, album: Path, paint: Paint
) -> None:
    """The folder still holds others, so it is gone for good."""
    extra = paint("../other/2022/d.jpg", seed=4)
    index_paths(catalog, encoder, [album])
    extra.unlink()
    report = index_paths(catalog, encoder, [album], prune=True)
    assert (report.missing, report.removed) == (1, 1)


@pytest.mark.parametrize("target", ["itself", "the folder above", "each other", "outside and back"])
def test_loops_of_links_end(paint: Paint, root: Path, tmp_path: Path, target: str) -> None:
    """Each file is listed once, under its own path."""
    paint("a/one.png", seed=1)
    paint("two.png", seed=2)
    if target == "itself":
        (root / "a" / "loop").symlink_to(root / "a")
    elif target == "the folder above":
        (root / "a" / "loop").symlink_to(tmp_path)
    elif target == "each other":
        (root / "a" / "x").symlink_to(root / "y")
        (root / "y").symlink_to(root / "a" / "x")
    else:
        paint("../outside/three.png", seed=3)
        (root / "out").symlink_to(tmp_path / "outside")
        (tmp_path / "outside" / "back").symlink_to(root)
    names, _ = walked(root)
    assert sorted(name for name in names if not name.startswith("out/")) == ["a/one.png", "two.png"]
    assert len({Path(name).name for name in names}) == len(names)


def test_a_run_of_one_root_lists_no_files_of_another(
    catalog: Catalog, encoder: FakeEncoder, album: Path, tmp_path: Path
) -> None:
    """A link from one root into another is passed over, whichever runs first and alone."""
    other = tmp_path / "other" / "2022"
    index_paths(catalog, encoder, [album, other])
    for paths in ([album], [other], []):
        report = index_paths(catalog, encoder, paths)
        assert (report.added, report.updated, report.duplicates, report.missing) == (0, 0, 0, 0)
    assert catalog_stats(catalog).locations == 3
    assert str(other / "b.jpg") in known_locations(catalog)


def test_a_linked_folder_that_becomes_a_root_keeps_its_images(
    catalog: Catalog, encoder: FakeEncoder, album: Path, tmp_path: Path
) -> None:
    """Its files are listed under their own paths from then on, and nothing is embedded again."""
    index_paths(catalog, encoder, [album])
    images = content_hashes(catalog)
    report = index_paths(catalog, encoder, [album, tmp_path / "other"])
    assert counts(report) == {"updated": 1, "unchanged": 2, "failed": 1}
    assert content_hashes(catalog) == images
    assert indexed_roots(catalog) == [str(tmp_path / "other"), str(album)]
    assert (encoder.images_encoded, catalog_stats(catalog).locations, shown(catalog)) == (3, 3, 3)


def test_a_folder_given_by_itself_is_preferred_to_a_link_to_it(
    catalog: Catalog, encoder: FakeEncoder, album: Path, tmp_path: Path
) -> None:
    """Also by a later run of the folder with the link alone."""
    index_paths(catalog, encoder, [album])
    target = tmp_path / "other" / "2022"
    index_paths(catalog, encoder, [target])
    for paths in ([album], [], [album]):
        assert index_paths(catalog, encoder, paths).missing == 0
    assert indexed_roots(catalog) == [str(target), str(album)]
    assert {Path(path) for path in known_locations(catalog)} == {
        *(album / "2020" / "a.jpg", album / "2020" / "c.jpg", target / "b.jpg")
    }


def test_an_index_that_has_both_names_of_a_file_keeps_one(catalog: Catalog, encoder: FakeEncoder, album: Path) -> None:
    """As earlier versions wrote them: the other name is neither missing nor a duplicate."""
    index_paths(catalog, encoder, [album])
    with catalog.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO location (path, image_id, size, mtime_ns) "
            "SELECT replace(path, '/2020/', '/best/'), image_id, size, mtime_ns FROM location "
            "WHERE path LIKE '%/2020/%'"
        )
    assert counts(index_paths(catalog, encoder, [])) == {"unchanged": 3, "failed": 1}
    assert {Path(path).parent.name for path in known_locations(catalog)} == {"2020", "2022"}


def test_of_hard_links_the_known_path_stays(catalog: Catalog, encoder: FakeEncoder, paint: Paint, root: Path) -> None:
    """Even where the new name comes first; backups that rotate make such links."""
    picture = paint("m.png")
    index_paths(catalog, encoder, [root])
    os.link(picture, root / "a.png")
    assert counts(index_paths(catalog, encoder, [])) == {"unchanged": 1}
    assert list(known_locations(catalog)) == [str(picture)]
    picture.unlink()
    assert counts(index_paths(catalog, encoder, [])) == {"updated": 1, "missing": 1}
    assert (encoder.images_encoded, shown(catalog)) == (1, 1)


# --- other programs' folders ---


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


# --- what people exclude ---


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


@pytest.mark.parametrize("pattern", ["!", "[z-a]", "a/\\", "x\ny", "foo["])
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
    monkeypatch.setattr("indexer.ingest.scan._device", lambda path: 2 if Path(path).is_relative_to(drive) else 1)
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


# --- kinds ---


def test_kinds_that_are_not_read_are_counted_by_name(paint: Paint, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures and videos; notes, databases and settings are of no interest."""
    monkeypatch.setattr("indexer.ingest.listing.SUFFIXES", frozenset({".png"}))
    paint("a.png")
    for name in ("b.mov", "c.MOV", "d.psd", "e.jxl", "f.nef", "g.svg", "h.json", "Thumbs.db", "desktop.ini", "i.txt"):
        write(root / name)
    left_out = walked(root)[1].left_out
    assert left_out.kinds == {".mov": 2, ".psd": 1, ".jxl": 1, ".nef": 1, ".svg": 1}


@pytest.mark.parametrize(
    "suffix", [".jfif", ".jif", ".jpe", ".mpo", ".hif", ".heics", ".avifs", ".dib", ".apng", ".JFIF"]
)
def test_every_suffix_of_a_kind_that_is_read_is_listed(root: Path, suffix: str) -> None:
    """The walk knows what the decoder reads."""
    write(root / f"a{suffix}")
    assert walked(root)[0] == [f"a{suffix}"]


@pytest.mark.parametrize("reads_raw", [False, True])
def test_a_raw_file_beside_its_jpeg_is_one_picture(
    paint: Paint, root: Path, monkeypatch: pytest.MonkeyPatch, *, reads_raw: bool
) -> None:
    """Whether raw files are read or not; one without a JPEG is a picture of its own, or a kind that is not read."""
    raws = formats.RAW_SUFFIXES if reads_raw else frozenset[str]()
    monkeypatch.setattr("indexer.ingest.listing.SUFFIXES", formats.SUFFIXES - formats.RAW_SUFFIXES | raws)
    for name in ("IMG_1.CR2", "IMG_2.dng", "IMG_3.NEF", "IMG_1.XMP.png"):
        write(root / name)
    paint("img_1.JPG")
    write(root / "IMG_2.HEIC")
    names, result = walked(root)
    assert names == ["IMG_1.XMP.png", "IMG_2.HEIC", *(["IMG_3.NEF"] if reads_raw else []), "img_1.JPG"]
    assert result.left_out.raw == 2
    assert result.left_out.kinds == ({} if reads_raw else {".nef": 1})


def test_a_raw_file_comes_back_when_its_jpeg_is_excluded(
    paint: Paint, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is then the only file of the picture."""
    monkeypatch.setattr("indexer.ingest.listing.SUFFIXES", formats.SUFFIXES | formats.RAW_SUFFIXES)
    write(root / "IMG_1.CR2")
    paint("IMG_1.JPG")
    assert walked(root, patterns=("*.JPG",))[0] == ["IMG_1.CR2"]


# --- sidecars ---


def test_xmp_sidecars_are_found(paint: Paint, root: Path) -> None:
    """`NAME.jpg.xmp` before `NAME.xmp`, whatever the case of the suffix; a folder is none."""
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        paint(name)
    both, _ = write(root / "a.jpg.xmp"), write(root / "a.xmp")
    short = write(root / "b.XMP")
    (root / "c.jpg.xmp").mkdir()
    fallback = write(root / "c.xmp")
    found = {Path(file.path).name: (file.xmp, file.xmp_mtime_ns) for file in walked(root)[1].files}
    expected = {"a.jpg": both, "b.jpg": short, "c.jpg": fallback}
    assert found == {n: (str(p), p.stat().st_mtime_ns) for n, p in expected.items()} | {"d.jpg": (None, None)}
    alone = scan([str(root / name) for name in found])
    assert {Path(file.path).name: (file.xmp, file.xmp_mtime_ns) for file in alone.files} == found


# --- unchanged files ---


def test_an_edit_that_keeps_size_and_time_is_seen(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, root: Path
) -> None:
    """By the change time, which no program can set."""
    picture = paint("a.bmp", "red")
    index_paths(catalog, encoder, [root])
    keep_times(picture, paint("../b.bmp", "blue").read_bytes())
    assert counts(index_paths(catalog, encoder, [])) == {"updated": 1}
    assert encoder.images_encoded == 2
    assert counts(index_paths(catalog, encoder, [])) == {"unchanged": 1}


def test_a_changed_change_time_alone_embeds_nothing(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """As after chmod or a restored backup: files are hashed once, and count as unchanged."""
    index_paths(catalog, encoder, [folder])
    for path in folder.iterdir():
        path.chmod(0o600)
    assert counts(index_paths(catalog, encoder, [])) == {"unchanged": 5}
    assert opened(lambda: index_paths(catalog, encoder, [])) == []
    assert encoder.images_encoded == 5


def test_a_catalog_without_change_times_learns_them_without_reading(
    catalog: Catalog, encoder: FakeEncoder, folder: Path
) -> None:
    """The first run of this version fills them in; the next sees an edit by them."""
    write(folder / "bad.png", b"no picture")
    index_paths(catalog, encoder, [folder])
    with catalog.transaction() as connection:
        connection.exec_driver_sql("UPDATE location SET ctime_ns = NULL")
        connection.exec_driver_sql("UPDATE failure SET ctime_ns = NULL")
    assert opened(lambda: index_paths(catalog, encoder, [])) == []
    assert {row.ctime_ns for row in catalog.rows(select(schema.location))} == {
        path.stat().st_ctime_ns for path in folder.iterdir() if path.name != "bad.png"
    }
    keep_times(folder / "bad.png", b"no Picture")
    assert str(folder / "bad.png") in opened(lambda: index_paths(catalog, encoder, []))


def test_a_damaged_file_that_is_restored_with_its_times_is_read(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, root: Path
) -> None:
    """As `rsync -a` does from a backup."""
    paint("fine.png", "green")
    picture = paint("a.bmp", "red")
    content = picture.read_bytes()
    picture.write_bytes(bytes(len(content)))
    assert counts(index_paths(catalog, encoder, [root])) == {"added": 1, "failed": 1}
    keep_times(picture, content)
    assert counts(index_paths(catalog, encoder, [])) == {"added": 1, "unchanged": 1}
    assert recorded_failures(catalog) == []


def test_again_embeds_anew_and_keeps_captions(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, tmp_path: Path
) -> None:
    """The images are new ones with the files and captions of the old; failures are tried again."""
    (folder / "red.txt").write_text("a red square\n")
    shutil.copy(folder / "red.png", folder / "copy.png")
    write(folder / "bad.png", b"no picture")
    table = write(tmp_path / "captions.csv", b"image,caption\nblue.png,a blue wall\n")
    index_paths(catalog, encoder, [folder], captions=read_captions(table))
    before = content_hashes(catalog)
    report = index_paths(catalog, encoder, [folder], again=True)
    assert counts(report) == {"updated": 6, "failed": 1}
    assert encoder.images_encoded == 10
    after = content_hashes(catalog)
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
    texts = sorted(caption.text for image in after.values() for caption in captions_of_image(catalog, image))
    assert texts == ["a blue wall", "a red square"]
    assert (catalog_stats(catalog).locations, shown(catalog)) == (6, 5)
    assert counts(index_paths(catalog, encoder, [])) == {"unchanged": 6, "failed": 1}


def test_again_of_one_file_leaves_the_others(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """Only what is named is read."""
    index_paths(catalog, encoder, [folder])
    files = opened(lambda: index_paths(catalog, encoder, [folder / "red.png"], again=True))
    assert {Path(name).name for name in files if name.endswith(".png")} == {"red.png"}
    assert shown(catalog) == 5


def test_images_of_captions_that_match_none_are_named(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, tmp_path: Path
) -> None:
    """Each once, in the order of the file."""
    rows = b"image,caption\nred.png,a red wall\nnowhere.jpg,a\nother.jpg,b\nnowhere.jpg,c\n"
    report: IndexReport = index_paths(
        catalog, encoder, [folder], captions=read_captions(write(tmp_path / "captions.csv", rows))
    )
    assert (report.captions_unmatched, report.unmatched_images) == (3, ["nowhere.jpg", "other.jpg"])

"""Links, and folders that are reached by them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from indexer import Catalog, find_duplicates, index_paths
from indexer.catalog.contents import catalog_stats, indexed_roots
from indexer.catalog.exclusions import found_roots
from indexer.catalog.images import content_hashes, known_locations
from tests.cases.folders import shown, walked
from tests.conftest import Paint
from tests.fakes import FakeEncoder
from tests.indexer.ingest.opens import opened
from tests.indexer.ingest.test_pipeline import counts


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


@pytest.mark.parametrize("is_known", [False, True])
def test_a_linked_folder_that_is_given_is_a_given_root(
    catalog: Catalog, encoder: FakeEncoder, album: Path, *, is_known: bool
) -> None:
    """Also if a walk has found it before; a later run of the other folder leaves it so."""
    index_paths(catalog, encoder, [album] if is_known else [album / "2020"])
    assert found_roots(catalog) == ({str(album / "2022")} if is_known else set())
    for paths in ([album, album / "2022"], [album], []):
        index_paths(catalog, encoder, paths)
        assert (found_roots(catalog), indexed_roots(catalog)) == (set(), [str(album), str(album / "2022")])
    assert (shown(catalog), encoder.images_encoded) == (3, 3)


def test_a_given_link_keeps_its_images_when_the_folder_above_excludes_it(
    catalog: Catalog, encoder: FakeEncoder, album: Path
) -> None:
    """As any folder that is given."""
    index_paths(catalog, encoder, [album])
    index_paths(catalog, encoder, [album / "2022"])
    report = index_paths(catalog, encoder, [album], exclude=["2022"])
    assert (report.excluded, shown(catalog)) == (0, 3)

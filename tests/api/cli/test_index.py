"""Updating an index from the command line: all folders at once, unplugged drives, duplicates, `--watch`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from encoders import load_encoder
from indexer import Catalog
from indexer.catalog.contents import catalog_stats
from tests.api.conftest import Run, press_ctrl_c
from tests.conftest import Paint

ROOT = Path(__file__).parents[3]


def test_without_a_path_all_indexed_folders_are_updated(run: Run, folder: Path, paint: Paint) -> None:
    """As in a cron job: status 0 without output, or the JSON report; an index without folders says what to do."""
    assert run("index", folder, paint("../more/x.png", "yellow").parent).status == 0
    paint("new.png", "yellow", seed=9)
    done = run("index")
    assert (done.status, done.out, done.err) == (0, "", "")
    shutil.rmtree(folder.parent / "more")
    document = run("index", "--json").json
    assert (document["seen"], document["unchanged"], document["missing"]) == (6, 6, 1)
    assert document["away"] == [str(folder.parent / "more")]
    Catalog.open(Path("other"), create=True).close()
    nothing = run("index", "--index", "other")
    assert nothing.status == 1
    assert "has no folders yet; name one: crosslook index FOLDER" in nothing.err


def test_a_missing_folder_is_reported_and_can_be_forgotten(run: Run, folder: Path) -> None:
    """Its images are hidden, not deleted; the message names the folder and the command that removes it."""
    run("index", folder)
    assert run("stats", "--json").json["roots"] == [str(folder)]
    assert str(folder) in run("stats").out
    folder.rename(folder.with_name("elsewhere"))
    done = run("index", folder, "--prune")
    assert done.status == 0
    assert f"{folder} is missing or contains no images now" in done.err
    assert f"crosslook forget {folder}" in done.err
    assert run("stats", "--json").json["images"] == 5
    assert run("forget", folder, "--json").json == {"files": 5, "images": 5, "below": None}
    assert run("stats", "--json").json["images"] == 0
    again = run("forget", folder)
    assert again.status == 1
    assert "has nothing at or below" in again.err


def test_duplicates_are_listed(run: Run, folder: Path) -> None:
    """The table lists the largest file first, JSON adds sizes, and the report of an index run names the command."""
    shutil.copy(folder / "red.png", folder / "z copy.png")
    assert "crosslook duplicates" in run("index", folder).err
    done = run("duplicates", "--threshold", "1")
    first, second = done.out.splitlines()
    assert first.split()[:2] == ["largest", "48x40"]
    assert "red.png" in first
    assert second.startswith("same bytes")
    assert "z copy.png" in second
    spare = (folder / "red.png").stat().st_size
    assert f"1 picture in 2 files; identical files take {spare} bytes, versions of the largest 0 bytes" in done.err
    document = run("duplicates", "--json").json
    (group,) = document["groups"]
    assert group["largest"] == str(folder / "red.png")
    assert list(group["files"][0]) == ["path", "image_id", "width", "height", "bytes", "kind", "frees"]
    assert [file["kind"] for file in group["files"]] == ["largest", "same bytes"]
    assert (document["files"], document["spare_bytes"], document["spare_bytes_identical"]) == (2, spare, spare)
    (folder / "z copy.png").unlink()
    run("index", folder)
    assert "No duplicates found." in run("duplicates").err


def test_another_name_of_a_file_is_no_copy_to_delete(run: Run, folder: Path) -> None:
    """A hard link that replaced a copy is said to free nothing."""
    name = folder / "z.png"
    shutil.copy2(folder / "red.png", name)
    run("index", folder)
    name.unlink()
    name.hardlink_to(folder / "red.png")
    done = run("duplicates")
    assert done.out.splitlines()[1].startswith("another name")
    assert "(another name of the same file; deleting it frees nothing)" in done.out
    assert "1 picture in 1 file\n" in done.err
    document = run("duplicates", "--json").json
    assert [(file["kind"], file["frees"]) for file in document["groups"][0]["files"]][1:] == [("another name", 0)]
    assert (document["files"], document["spare_bytes"]) == (1, 0)
    (folder / "backup.jpeg.bak").hardlink_to(name)
    shutil.copy2(name, folder / "a copy.png")
    run("index", folder)
    lines = run("duplicates").out.splitlines()
    assert sum("has another name outside the index; deleting it frees nothing" in line for line in lines) == 1


def test_changes_are_followed_until_ctrl_c(
    run: Run, folder: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `--json` each run prints one line of JSON; Ctrl-C ends with status 0."""
    monkeypatch.setattr("indexer.ingest.watch.TICK", 0.05)

    def images(count: int) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if Path("crosslook-index/catalog.db").exists():
                with Catalog.open(Path("crosslook-index")) as catalog:
                    if catalog_stats(catalog).images == count:
                        return
            time.sleep(0.05)

    def change() -> None:
        images(5)
        paint("new.png", "yellow")
        images(6)
        press_ctrl_c()

    thread = threading.Thread(target=change)
    thread.start()
    done = run("index", folder, "--watch", "--json")
    thread.join()
    assert done.status == 0
    reports = [json.loads(line) for line in done.out.splitlines()]
    assert [sum(report["added"] for report in part) for part in (reports[:1], reports[1:])] == [5, 1]
    assert "Stopped following changes" in done.err


def test_an_unchanged_collection_needs_no_torch(folder: Path, tmp_path: Path) -> None:
    """A run that finds nothing new ends without importing torch."""
    with Catalog.open(tmp_path / "index", create=True) as catalog, catalog.transaction() as connection:
        model = load_encoder(lazy=True)
        connection.exec_driver_sql(
            "INSERT INTO encoder(name, fingerprint, dimension, active) VALUES (?, ?, 8, 1)",
            (model.name, model.fingerprint),
        )
        for number, path in enumerate(sorted(folder.iterdir()), start=1):
            status = path.stat()
            connection.exec_driver_sql(
                "INSERT INTO image(id, content_hash, width, height, format) VALUES (?, ?, 1, 1, 'PNG')",
                (number, str(number)),
            )
            connection.exec_driver_sql(
                "INSERT INTO location(path, image_id, size, mtime_ns) VALUES (?, ?, ?, ?)",
                (str(path), number, status.st_size, status.st_mtime_ns),
            )
    code = (
        "import sys; from api.cli.main import main\ntry: main()\nexcept SystemExit as exc: print(exc.code)\n"
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "index", str(folder), "--index", str(tmp_path / "index"), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert '"unchanged": 5' in done.stdout
    assert done.stderr.strip() == "False"


def test_what_is_left_out_is_said(run: Run, folder: Path, paint: Paint) -> None:
    """In one line for people, in counts with --json; patterns are shown by `stats`."""
    paint("@eaDir/red.png", "yellow")
    (folder / "film.mov").touch()
    done = run("index", folder, "--exclude", "red.png", "--exclude", "private/")
    assert done.status == 0
    expected = "folders of other programs (@eaDir 1), by pattern (red.png 1), kinds that are not read (.mov 1)"
    assert f"Left out: {expected}" in done.err
    document = run("index", "--json").json
    assert document["left_out"] == {
        "folders": {"@eaDir": 1},
        "patterns": {"red.png": 1},
        "kinds": {".mov": 1},
        **dict.fromkeys(("nomedia", "hidden", "links", "raw"), 0),
    }
    assert run("stats", "--json").json["exclusions"] == {str(folder): ["red.png", "private/"]}
    assert "red.png  private/" in run("stats").out
    assert run("index", "--exclude", "", "--json").json["added"] == 1
    assert run("stats", "--json").json["exclusions"] == {}


def test_a_bad_pattern_is_a_usage_error(run: Run, folder: Path) -> None:
    """Nothing is written."""
    done = run("index", folder, "--exclude", "[z-a]")
    assert done.status == 2
    assert "pattern '[z-a]' cannot be used" in done.err
    assert not Path("crosslook-index").exists()


def test_a_named_file_that_fails_is_a_failure(run: Run, folder: Path) -> None:
    """With the reason, also the second time; one that is found in a folder is only listed."""
    bad = folder / "bad.jpg"
    bad.write_bytes(b"no picture")
    for _ in range(2):
        done = run("index", folder / "red.png", bad)
        assert done.status == 1
        assert f"{bad}: " in done.err
    assert run("index", folder).status == 0


def test_images_of_unmatched_captions_are_named(run: Run, folder: Path, tmp_path: Path) -> None:
    """The first few, so that people see what is wrong with the names."""
    table = tmp_path / "captions.csv"
    table.write_text("image,caption\n" + "".join(f"no-{number}.jpg,a\n" for number in range(7)))
    done = run("index", folder, "--captions", table)
    assert "7 (no-0.jpg, no-1.jpg, no-2.jpg, no-3.jpg, no-4.jpg, …)" in done.err
    document = run("index", folder, "--captions", table, "--json").json
    assert document["unmatched_images"] == [f"no-{number}.jpg" for number in range(7)]
    assert document["captions_unmatched"] == 7


def test_notes_beyond_the_first_are_counted(run: Run, folder: Path, paint: Paint) -> None:
    """They are those of this run: the next one does not read the files again."""
    for number in range(12):
        paint(f"{number}.png", "yellow", seed=number).with_suffix(".xmp").write_text("no XMP")
    assert "… and 2 more such notes, which are not kept" in run("index", folder).err
    assert run("index", folder, "--json").json["notes"] == []

"""The program `crosslook`: commands, output and errors."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from api.cli.main import COMMANDS, load_command
from api.cli.output import bar, progress, size
from indexer import Catalog
from indexer.catalog.contents import catalog_stats
from indexer.catalog.schema import VERSION
from tests.api.conftest import BANK, Run, press_ctrl_c
from tests.conftest import Paint
from tests.fakes import FakeEncoder

ROOT = Path(__file__).parents[3]
SCORES = ["score", "retrieval_score", "rerank_score", "match_probability"]


@pytest.fixture
def ready(run: Run, folder: Path) -> Run:
    """The five pictures indexed in ./crosslook-index."""
    assert run("index", folder).status == 0
    return run


def one_sentence(text: str) -> bool:
    """One line, no traceback."""
    return text.startswith("crosslook: ") and text.count("\n") == 1 and "Traceback" not in text


# --- help ---


def test_every_command_has_help(run: Run) -> None:
    """`--help` for the program and for each command."""
    names = [
        *("index", "search", "captions", "similar", "duplicates", "explain", "train", "evaluate", "serve"),
        *("stats", "doctor", "rebuild", "forget", "models", "keys"),
    ]
    assert list(COMMANDS) == names
    done = run("--help")
    assert done.status == 0
    assert all(name in done.out for name in names)
    for name in names:
        assert run(name, "--help").status == 0
        assert load_command(name).help.split("\n\n")[0].replace("\n", " ") == COMMANDS[name][1]


def test_help_waits_for_no_command() -> None:
    """Neither the catalog's library nor the model's is imported."""
    program = (
        "import sys; from api.cli.main import app; app(['--help'], standalone_mode=False); print(sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    modules = done.stdout.splitlines()[-1]
    assert "'typer'" in modules
    for slow in ("numpy", "sqlalchemy", "faiss", "onnxruntime", "torch", "PIL", "fastapi"):
        assert f"'{slow}'" not in modules


def test_help_names_the_model_that_is_used_by_default(run: Run) -> None:
    """`evaluate` uses no index, so without --model it takes the base model; `search` takes the index's."""
    for name, default in (
        ("evaluate", "[default: (the base model)]"),
        ("search", "(the index's, else the base model)"),
    ):
        assert default in " ".join(run(name, "--help").out.replace("│", " ").split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("index",),
        ("search", "dog", "--nonsense"),
        ("search", "dog", "-k", "0"),
        ("search", "dog", "-k", "many"),
        ("search", "dog", "--min-probability", "2"),
        ("search", "dog", "--min-probability", "0.5", "--no-rerank"),
        ("search",),
        ("explain", "a.jpg", "dog"),
        ("train", "data", "--out", "x", "--init", "base", "--backbone", "resnet18"),
        ("train", "data", "--out", "x", "--keep", "0.5"),
        ("train", "data", "--out", "x", "--init", "base", "--keep", "1"),
    ],
)
def test_bad_usage_has_status_two(run: Run, arguments: tuple[str, ...]) -> None:
    """The error goes to stderr, nothing to stdout, and no file is created."""
    done = run(*arguments)
    assert done.status == 2
    assert done.out == ""
    assert "Error" in done.err
    assert list(Path.cwd().iterdir()) == []


# --- index ---


def test_index_prints_its_report_as_json(run: Run, folder: Path) -> None:
    """The report has the documented keys, and a second run finds everything unchanged."""
    (folder / "bad.jpg").write_text("no picture")
    first = run("index", folder, "--json")
    assert first.status == 0
    assert {"seen", "added", "updated", "unchanged", "duplicates", "failed", "seconds"} <= set(first.json)
    assert (first.json["seen"], first.json["added"]) == (6, 5)
    assert first.json["failed"] == [
        {"path": str(folder / "bad.jpg"), "reason": "not an image, or an unsupported format"}
    ]
    second = run("index", folder, "--json").json
    assert (second["unchanged"], second["added"], len(second["failed"])) == (5, 0, 1)


def test_index_prints_a_report(run: Run, folder: Path) -> None:
    """Counts go to stdout; failures with their reason and the next step go to stderr."""
    (folder / "bad.jpg").write_text("no picture")
    done = run("index", folder)
    assert "new" in done.out
    assert "5" in done.out
    assert "bad.jpg: not an image" in done.err
    assert "crosslook search" in done.err


def test_index_reads_a_file_of_captions(run: Run, folder: Path) -> None:
    """Rejected rows are counted and the first is named; the others become captions."""
    (folder / "captions.csv").write_text("image,caption\nred.png,a red wall\nblue.png,\nelse.png,nothing\n")
    done = run("index", folder, "--captions", folder / "captions.csv", "--json")
    assert done.json["captions_added"] == 1
    assert done.json["captions_unmatched"] == 1
    assert "1 caption row skipped, the first: " in done.err
    assert "captions.csv:3: no caption for blue.png" in done.err
    again = run("index", "--captions", folder / "captions.csv")
    assert "Captions of images that are not in the index: 1" in again.err  # reported although stdout is not a terminal


def test_the_index_folder_can_be_chosen(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--index, else $CROSSLOOK_INDEX, else ./crosslook-index."""
    run("index", folder)
    assert (Path.cwd() / "crosslook-index" / "catalog.db").exists()
    monkeypatch.setenv("CROSSLOOK_INDEX", str(tmp_path / "one"))
    run("index", folder)
    assert (tmp_path / "one" / "catalog.db").exists()
    run("index", folder, "--index", tmp_path / "two")
    assert (tmp_path / "two" / "catalog.db").exists()


def test_interrupting_ends_at_a_commit(run: Run, paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C after the first batch ends with status 1 and keeps it; the next run does the rest."""
    for i in range(9):
        paint(f"{i}.png", seed=i)
    original = FakeEncoder.encode_images

    def interrupt(self: FakeEncoder, pixels: object) -> object:
        press_ctrl_c()
        monkeypatch.setattr(FakeEncoder, "encode_images", original)
        return original(self, pixels)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeEncoder, "encode_images", interrupt)
    before = signal.getsignal(signal.SIGINT)
    done = run("index", tmp_path / "pictures", "--batch-size", "4", "--json")
    assert done.status == 1
    assert done.json["stopped"] is True
    assert done.json["added"] == 4
    assert "repeat the command to continue" in done.err
    assert signal.getsignal(signal.SIGINT) == before
    rest = run("index", tmp_path / "pictures", "--json").json
    assert (rest["added"], rest["unchanged"]) == (5, 4)


def test_interrupting_is_quiet_at_any_moment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11 wraps an interrupt that arrives while it makes a class; the status is 130 then too."""

    def interrupt(*_: object) -> None:
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    monkeypatch.setattr("api.cli.index.Catalog.open", interrupt)
    done = run("stats")
    assert (done.status, done.out, done.err) == (130, "", "")


# --- answers ---


def test_search_prints_json_and_nothing_else(ready: Run, folder: Path) -> None:
    """The JSON has the documented keys and the time of each stage."""
    done = ready("search", "a red square", "-k", "2", "--json")
    assert done.status == 0
    assert done.err == ""
    assert list(done.json) == ["query", "hits", "describes", "no_match", "timings_ms"]
    added = ["sources", "matched", "retrieval_rank", "width", "height"]
    assert list(done.json["hits"][0]) == ["rank", "image_id", "path", *SCORES, *added]
    assert done.json["hits"][0]["path"] == str(folder / "red.png")
    assert len(done.json["hits"]) == 2
    assert {"load", "encode", "retrieve", "rerank", "total"} == set(done.json["timings_ms"])


def test_search_says_that_nothing_matches(ready: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the nearest pictures, which are shown all the same."""
    assert "No good match" not in ready("search", "red").err
    monkeypatch.setattr("search.verdicts.SHORT_MATCH", 1.0)
    done = ready("search", "red")
    assert "No good match" in done.err
    assert "No good match" not in ready("search", "red", "--min-probability", "1").err  # there are no nearest ones
    assert done.out.splitlines()[0].split()[0] == "1"


def test_search_prints_a_table(ready: Run) -> None:
    """A row has rank, bar, percentage and path; the timings go to stderr."""
    done = ready("search", "red", "-k", "3")
    lines = done.out.splitlines()
    assert len(lines) == 3
    assert [line.rstrip() for line in lines] == lines
    assert lines[0].split()[0] == "1"
    assert "█" in lines[0]
    assert "%" in lines[0]
    assert "red.png" in lines[0]
    assert "3 in " in done.err
    plain = ready("search", "red", "-k", "1", "--no-rerank").out
    assert "%" not in plain


def test_paths_are_never_wrapped_or_cut_in_a_pipe(run: Run, paint: Paint) -> None:
    """Piped tables are neither wrapped nor truncated."""
    path = paint("a folder with a long name " * 6 + "/" + "picture " * 20 + ".png")
    run("index", path)
    assert path.name in run("search", "red").out


def test_control_characters_in_file_names_are_replaced(run: Run, paint: Paint) -> None:
    """Control characters in a name are replaced, and rich's markup is plain text."""
    paint("evil\x1b[2J[bold]name.png")
    run("index", Path.cwd().parent / "pictures")
    out = run("search", "red").out
    assert "\x1b[2J" not in out
    assert "[bold]name.png" in out


def test_search_takes_a_picture_filters_and_a_minimum_probability(ready: Run, folder: Path) -> None:
    """`--image`, `--where` and `--min-probability` reach the engine."""
    with_picture = ready("search", "thing", "--image", folder / "blue.png", "--no-rerank", "--json").json
    assert with_picture["hits"][0]["path"] == str(folder / "blue.png")
    assert ready("search", "red", "--where", "width > 9999", "--json").json["hits"] == []
    none = ready("search", "red", "--min-probability", "1")
    assert (none.status, none.out) == (0, "")
    assert "No matching images." in none.err


def test_search_matches_keywords_and_shows_them(run: Run, paint: Paint) -> None:
    """Matched words follow the path in the table and are lists in JSON; `--no-keywords` turns them off."""
    paint("Anna/1.png", "black")
    paint("Anna/2.txt.png", "white").with_name("1.txt").write_text("Bob at sea\n")
    for i in range(3, 40):
        paint(f"{i}.png", "red", seed=i)
    run("index", Path.cwd().parent / "pictures")
    lines = run("search", "a red thing, Anna's", "-k", "3").out.splitlines()
    assert ["(name: Anna)" in line for line in lines] == [True, True, False]
    first = run("search", "a red thing with Bob", "--json").json["hits"][0]
    assert (first["path"][-10:], first["sources"], first["matched"]) == ("Anna/1.png", ["vector", "caption"], ["Bob"])
    plain = run("search", "a red thing with Anna", "--no-keywords", "--json").json["hits"]
    assert [(h["sources"], h["matched"]) for h in plain] == [(["vector"], [])] * 10
    assert not any("Anna" in h["path"] for h in plain)


def test_words_are_excluded_on_the_command_line(ready: Run, folder: Path) -> None:
    """Excluded words are in the text or in `--without`; a text that begins with one follows `--`."""
    for arguments in (["a thing -red"], ["a thing", "--without", "red"], ["--", "-red a thing"]):
        done = ready("search", "--json", *arguments).json
        assert (done["query"], done["without"]) == ("a thing", ["red"])
        assert done["hits"][-1]["path"] == str(folder / "red.png")
    alone = ready("search", "--json", "--image", folder / "blue.png", "--without", "red").json
    assert alone["without"] == ["red"]
    refused = ready("search", "a thing", "--without", " ")
    assert (refused.status, refused.out) == (1, "")
    assert one_sentence(refused.err)


def test_search_by_picture_needs_no_text(ready: Run, folder: Path) -> None:
    """`search --image` finds what `similar` finds; a probability needs a text, and no query at all is bad usage."""
    blue = folder / "blue.png"
    alone, similar = ready("search", "--image", blue, "--json").json, ready("similar", blue, "--json").json
    assert [hit["path"] for hit in alone["hits"]] == [hit["path"] for hit in similar["hits"]] != []
    for refused in (ready("search"), ready("search", "--image", blue, "--min-probability", "0.5")):
        assert (refused.status, refused.out) == (2, "")
        assert "TEXT" in refused.err


def test_a_filter_error_names_the_character(ready: Run) -> None:
    """A filter error names the character, from 1, and has status 2."""
    done = ready("search", "red", "--where", "width > 10 and size > 2 pounds")
    assert (done.status, done.out) == (2, "")
    assert one_sentence(done.err)
    assert "at character 23, '2 pounds' is not a size such as 2MB" in done.err


def test_captions_come_from_the_index_or_the_bank(ready: Run, folder: Path) -> None:
    """Captions come from the bank, from the index as well if it has some, and from `--bank`."""
    bank = ready("captions", folder / "red.png", "-k", "1", "--json").json
    assert list(bank["hits"][0]) == ["rank", "caption_id", "text", "source", *SCORES]
    assert (bank["hits"][0]["text"], bank["hits"][0]["source"]) == (BANK[0], "bank")
    (folder / "red.txt").write_text("a red square\n")
    ready("index", folder)
    own = ready("captions", folder / "red.png", "--json").json
    assert {("a red square", "sidecar"), (BANK[0], "bank")} <= {(h["text"], h["source"]) for h in own["hits"]}
    (folder / "lines.md").write_text("red red\n\nblue\n")
    more = ready("captions", folder / "red.png", "--bank", folder / "lines.md", "--json").json
    assert "red red" in [h["text"] for h in more["hits"]]
    assert "a red square" in ready("captions", folder / "red.png").out


def test_captions_need_no_index_at_all(run: Run, folder: Path, encoder: FakeEncoder, tmp_path: Path) -> None:
    """The bank is embedded once into the user's cache; the current folder stays empty."""
    assert run("captions", folder / "green.png", "-k", "1", "--json").json["hits"][0]["text"] == BANK[1]
    assert list(Path.cwd().iterdir()) == []
    embedded = encoder.texts_encoded
    assert run("captions", folder / "red.png", "-k", "1", "--json").json["hits"][0]["text"] == BANK[0]
    assert encoder.texts_encoded == embedded
    assert (tmp_path / "cache" / "crosslook" / encoder.fingerprint[:16] / "catalog.db").exists()


def test_captions_work_where_no_cache_can_be_written(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an unwritable cache the captions are still found."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert run("captions", folder / "red.png", "-k", "1", "--json").json["hits"][0]["text"] == BANK[0]


def test_similar_omits_the_picture_itself(ready: Run, folder: Path) -> None:
    """The query is the image's path, and the image is not among the hits."""
    document = ready("similar", folder / "red.png", "-k", "2", "--json").json
    assert document["query"] == str(folder / "red.png")
    assert len(document["hits"]) == 2
    assert str(folder / "red.png") not in [h["path"] for h in document["hits"]]


def test_explain_writes_a_sheet(run: Run, folder: Path) -> None:
    """The sheet has the picture and one panel per word; no index is needed."""
    done = run("explain", folder / "red.png", "red and blue", "--out", "new/sheet.png")
    assert done.status == 0
    with Image.open("new/sheet.png") as sheet:
        assert sheet.width > 4 * 300
    wrong = run("explain", folder / "red.png", "red", "--out", "sheet.doc")
    assert wrong.status == 1
    assert ".png, .jpg or .webp" in wrong.err


# --- about the index ---


def test_stats_print_what_the_index_contains(ready: Run, folder: Path) -> None:
    """`stats` prints a table or JSON, with `--failures` also the failed files."""
    (folder / "bad.jpg").write_text("no picture")
    (folder / "red.txt").write_text("a red thing")
    ready("index", folder)
    document = ready("stats", "--json").json
    assert (document["images"], document["failures"], document["encoder"]["name"]) == (5, 1, "fake")
    assert "failed" not in document
    assert document["vectors"]["image"] == {"structure": "exact", "breadth": 0, "recall": 1.0}
    assert document["bytes_an_image"] > 1000
    assert ready("stats", "--failures", "--json").json["failed"][0]["path"] == str(folder / "bad.jpg")
    people = ready("stats", "--failures").out
    assert "5 in 5 files" in people
    assert re.search(r"captions +1 from sidecars", people)
    assert "bad.jpg" in people


def test_doctor_reports_a_damaged_index(ready: Run) -> None:
    """`doctor` has status 0 if all is sound, and status 1 if the index is damaged."""
    document = ready("doctor", "--json").json
    assert document["model"]["sound"] is True
    assert document["index"]["state"] == "sound"
    assert {"JPEG", "HEIF", "AVIF"} <= set(document["formats"])
    assert document["faiss_gpus"] >= 0
    assert document["faiss"].startswith("faiss-")
    assert (document["devices"][0]["device"], document["devices"][0]["fault"]) == ("cpu", None)
    assert "ms a picture" in ready("doctor").out
    Path("crosslook-index/catalog.db").write_text("no database")
    broken = ready("doctor", "--json")
    assert broken.status == 1
    assert broken.json["index"]["state"] == "faulty"


def test_rebuild_restores_the_vectors(ready: Run) -> None:
    """Deleted FAISS files are rebuilt from the catalog."""
    for file in Path("crosslook-index/vectors").iterdir():
        file.unlink()
    assert ready("rebuild", "--json").json == {"image": 5, "caption": 0}
    assert len(list(Path("crosslook-index/vectors").glob("*.faiss"))) == 2


# --- bad input ---


def test_bad_input_is_one_sentence_and_status_one(ready: Run, folder: Path, tmp_path: Path) -> None:
    """Each error is one line that names the bad value, without a traceback."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.jpg").write_text("no picture")
    whole = (folder / "red.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    cases = {
        ("index", tmp_path / "nowhere"): "no such file or folder: ",
        ("index", tmp_path / "empty"): "no image files in ",
        ("search", ""): "the query is empty",
        ("search", "   "): "the query is empty",
        ("search", "word " * 10_000): "the query has 10000 words; the limit is 60",
        ("search", "red", "--index", tmp_path / "none"): "make one with: crosslook index",
        ("search", "red", "--image", tmp_path / "text.jpg"): "text.jpg: not an image",
        ("captions", tmp_path / "none.jpg"): "no such image: ",
        ("captions", tmp_path / "half.png"): "half.png: damaged or truncated",
        ("captions", folder / "red.png", "--bank", tmp_path / "none"): "cannot be read",
        ("captions", folder / "red.png", "--bank", tmp_path / "empty.txt"): "contains no captions",
        ("similar", tmp_path / "text.jpg"): "text.jpg: not an image",
        ("explain", folder / "red.png", "", "--out", "x.png"): "the query is empty",
        ("index", folder, "--captions", tmp_path / "none.csv"): "no such file: ",
        ("evaluate", tmp_path / "nowhere"): "no such file or folder: ",
        ("stats", "--index", tmp_path / "none"): "no index in ",
        ("rebuild", "--index", tmp_path / "none"): "no index in ",
        ("serve", "--host", "0.0.0.0"): "make one with: crosslook keys add NAME",  # noqa: S104  it must be refused
    }
    (tmp_path / "empty.txt").write_text("\n\n")
    for arguments, words in cases.items():
        done = ready(*arguments)
        assert done.status == 1, arguments
        assert words in done.err, arguments
        assert one_sentence(done.err), done.err
        assert done.out == "", arguments
    assert ready("stats", "--json").json["images"] == 5


def test_an_index_of_another_model_is_refused_with_both_names(
    ready: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searching and indexing with another model are refused, and the index is unchanged."""
    other = FakeEncoder(name="other", fingerprint="0" * 64)
    monkeypatch.setattr("search.active_model.load_encoder", lambda *_, **__: other)
    monkeypatch.setattr("api.cli.index.load_encoder", lambda *_, **__: other)
    for arguments in (("search", "red"), ("index", folder)):
        done = ready(*arguments)
        assert done.status == 1
        assert one_sentence(done.err)
        assert "made by model fake (ffffffffffff), not by other (000000000000)" in done.err
    with Catalog.open(Path("crosslook-index")) as catalog:
        assert catalog_stats(catalog).images == 5


def test_a_catalog_of_a_newer_version_is_refused(ready: Run, folder: Path) -> None:
    """It is neither searched nor written."""
    with sqlite3.connect("crosslook-index/catalog.db") as connection:
        connection.execute("PRAGMA user_version = 7")
    for arguments in (("search", "red"), ("index", folder), ("stats",)):
        done = ready(*arguments)
        assert done.status == 1
        assert f"newer crosslook (catalog version 7, this one reads {VERSION}); update crosslook" in done.err


# --- evaluation ---


def test_evaluate_prints_the_documented_json(run: Run, folder: Path) -> None:
    """A dataset without splits is evaluated as a whole."""
    rows = [{"image": f"{colour}.png", "caption": f"a {colour} wall"} for colour in ("red", "green", "blue")]
    (folder / "data.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n{bad\n")
    done = run("evaluate", folder / "data.jsonl", "--depth", "2", "--json")
    assert list(done.json) == ["n_images", "n_captions", "depth", "text_to_image", "image_to_text"]
    assert done.json["text_to_image"]["reranked"] == {"r1": 100.0, "r5": 100.0, "r10": 100.0}
    assert "data.jsonl:4: not JSON" in done.err
    people = run("evaluate", folder / "data.jsonl").out
    assert "text → image" in people
    assert "100.0" in people
    missing = run("evaluate", folder / "data.jsonl", "--split", "dev")
    assert missing.status == 1
    assert "has no split 'dev'; it has: all" in missing.err


def test_evaluate_measures_several_datasets_each_by_itself(run: Run, folder: Path) -> None:
    """One document or table, with the figures of each alone; the names of validation splits are synonyms."""
    colours = ("red", "green", "blue")
    for name, split, word in (("one", "dev", "wall"), ("two", "val", "door")):
        rows = [{"image": f"{c}.png", "caption": f"a {c} {word}", "split": split} for c in colours]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    one, two = folder / "one.jsonl", folder / "two.jsonl"
    both = run("evaluate", one, two, "--split", "dev", "--json").json
    alone = {"one (dev)": run("evaluate", one, "--split", "dev", "--json").json}
    alone["two (val)"] = run("evaluate", two, "--split", "val", "--json").json
    assert both == {"datasets": [{"name": name} | document for name, document in alone.items()]}
    table = run("evaluate", one, two, "--split", "val").out.splitlines()
    assert len(table) == 3
    assert [row.split()[:3] for row in table[1:]] == [
        ["one", "(dev)", "100.0/100.0/100.0"],
        ["two", "(val)", "100.0/100.0/100.0"],
    ]
    twice = run("evaluate", one, one, "--split", "dev")
    assert (twice.status, one_sentence(twice.err)) == (1, True)
    assert "one.jsonl is given twice" in twice.err


def test_datasets_of_one_name_are_named_by_their_paths(run: Run, folder: Path) -> None:
    """So that figures can be told apart."""
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "captions.csv").write_text("image,caption\nred.png,a red wall\nblue.png,a blue wall\n")
    files = [folder / name / "captions.csv" for name in ("a", "b")]
    done = run("evaluate", *files, "--images", folder, "--json")
    assert [document["name"] for document in done.json["datasets"]] == list(map(str, files))


# --- pieces ---


@pytest.mark.parametrize(
    ("share", "shown"), [(0, ""), (1, "█" * 10), (0.5, "█" * 5), (0.0125, "▏"), (7, "█" * 10), (-1, "")]
)
def test_bars_are_drawn_to_an_eighth(share: float, shown: str) -> None:
    """Shares are clamped to [0, 1]."""
    assert bar(share) == shown.ljust(10)


def test_sizes_have_decimal_units() -> None:
    """Sizes have decimal units."""
    assert [size(n) for n in (0, 999, 1500, 57_300_000, 2.5e9)] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "57.3 MB",
        "2.5 GB",
    ]


def test_progress_without_a_terminal_is_printed_in_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal, progress is a line now and then; with `quiet`, nothing."""
    monkeypatch.setattr("api.cli.output.LINE_SECONDS", 0.0)
    for quiet in (False, True):
        with progress(quiet=quiet) as advance:
            advance("images", 1200, 7000)
        assert capsys.readouterr().err == ("" if quiet else "images: 1,200 of 7,000\n")


def test_a_damaged_bank_cache_is_an_error(run: Run, folder: Path, tmp_path: Path) -> None:
    """A damaged cache is an error; otherwise the bank would silently be embedded on every run."""
    assert run("captions", folder / "red.png", "--json").status == 0
    (database,) = (tmp_path / "cache").rglob("catalog.db")
    for file in database.parent.glob("catalog.db-*"):
        file.unlink()
    data = database.read_bytes()
    database.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))
    done = run("captions", folder / "red.png", "--json")
    assert (done.status, done.out) == (1, "")
    assert str(database.parent) in " ".join(done.err.split())


def test_the_bank_needs_no_home_directory(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a home directory or a writable cache the captions are found, and nothing is left behind."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as where no account has a home
    assert run("captions", folder / "red.png", "--json").json["hits"]
    assert list((tmp_path / "here").iterdir()) == []
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "red.png"))
    assert run("captions", folder / "red.png", "--json").json["hits"]

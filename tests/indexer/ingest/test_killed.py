"""`kill -9` at any point: the next run ends with the same index as an uninterrupted one."""

from __future__ import annotations

import hashlib
import itertools
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image

from indexer import Catalog, index_paths
from indexer.catalog.images import content_hashes, hidden_image_ids, images_by_id, is_settled, known_locations
from tests.fakes import COLOURS, FakeEncoder
from tests.indexer.ingest import killing

SCENARIOS = ("new", "old", "changed", "pruned")
COLOUR_NAMES = ("red", "blue", "green", "yellow")


@dataclass
class Trials:
    """A folder of pictures, the index from before it changed, and the results of uninterrupted runs."""

    folder: Path
    finished: Path
    work: Path
    expected: dict[str, killing.Content] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def start(self, scenario: str) -> Path:
        """Create an index directory with the initial state of a scenario."""
        self.count += 1
        index = self.work / f"index-{self.count}"
        killing.begin(scenario, index, self.finished)
        return index

    def uninterrupted(self, scenario: str) -> killing.Content:
        """Return the contents after an uninterrupted run; measures its steps and CPU time."""
        if scenario not in self.expected:
            options = {"prune": scenario == "pruned"}
            self.steps[scenario] = killing.count_steps(self.start(scenario), self.folder, **options)
            index, began = self.start(scenario), time.process_time()
            killing.run(index, self.folder, **options)
            self.seconds[scenario] = time.process_time() - began
            self.expected[scenario] = killing.content(index)
        return self.expected[scenario]

    def recover(self, index: Path, scenario: str) -> None:
        """Run again, and compare the contents with those of an uninterrupted run."""
        killing.run(index, self.folder, prune=scenario == "pruned")
        expected, contents = self.uninterrupted(scenario), killing.content(index)
        for table, rows in expected.items():
            assert contents[table] == rows, f"{table} of {scenario}"
        assert list(index.glob("vectors/*.tmp")) == []

    def kill(self, rng: random.Random) -> int:
        """Kill a run of a random scenario at a random point, and recover."""
        scenario = rng.choice(SCENARIOS)
        self.uninterrupted(scenario)
        index, options = self.start(scenario), {"prune": scenario == "pruned"}
        if rng.random() < 0.5:
            step = rng.randrange(1, self.steps[scenario])
            status = killing.in_child(killing.die_at_step, step, index, self.folder, **options)
        else:
            moment = rng.uniform(0.01, self.seconds[scenario])
            status = killing.in_child(killing.die_at_time, moment, index, self.folder, **options)
        assert status in (0, -signal.SIGKILL, -signal.SIGPROF)  # 0: it was quicker than the one that was measured
        self.recover(index, scenario)
        return status


def paint(path: Path, colour: str, seed: int) -> None:
    """Create a picture with unique content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (48, 40), COLOURS[colour])
    image.putpixel((seed % 48, seed // 48), (seed % 256, 77, 99))
    image.save(path)


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Trials:
    """Pictures, invalid files and captions, of which some are added, deleted, moved or changed after the first run."""
    work = tmp_path_factory.mktemp("killed")
    folder = work / "pictures"
    for i in range(9):
        paint(folder / f"{i}.png", COLOUR_NAMES[i % 4], i)
    (folder / "twin.png").write_bytes((folder / "1.png").read_bytes())
    (folder / "other").mkdir()
    (folder / "other" / "twin.png").write_bytes((folder / "2.png").read_bytes())
    (folder / "0.jpg").write_text("words")
    (folder / "9.jpg").write_text("more words")
    paint(folder / "10.png", "red", 10)
    for name in ("1", "4", "5", "twin", "other/twin"):
        (folder / f"{name}.txt").write_text(f"a {COLOUR_NAMES[len(name) % 4]} thing called {name}\na square\n")
    (work / "captions.csv").write_text("image,caption\n3.png,a yellow room\n6.png,a green door\n0.png,red\n4.png,box\n")
    killing.run(work / "finished", folder)
    paint(folder / "9.jpg", "white", 9)
    paint(folder / "4.png", "black", 40)  # its captions follow it
    (folder / "4.txt").write_text("a dark thing\na square\n")
    (folder / "twin.txt").write_text("said anew\n")
    (folder / "5.txt").unlink()
    (folder / "6.png").rename(folder / "other" / "moved.png")
    (folder / "7.png").unlink()
    for old, new in (("0.png", "aside"), ("8.png", "0.png"), ("aside", "8.png")):
        (folder / old).rename(folder / new)
    for name in ("2", "10"):  # the first has another copy, the second does not
        (folder / f"{name}.png").write_text("no picture any more")
    for i in (20, 21, 22, 23):
        paint(folder / "new" / f"{i}.png", COLOUR_NAMES[i % 4], i)
    return Trials(folder, work / "finished", work)


def digest(path: Path) -> str:
    """The content hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_uninterrupted_run_keeps_each_caption_with_its_picture(trials: Trials) -> None:
    """What all killed runs are compared with is right: swapped, moved and copied files, and an edited one, keep theirs.

    The table names `0.png` as red, and by then that is another picture.
    """
    trials.uninterrupted("changed")
    expected = {
        "0.png": ["red"],
        "8.png": ["red"],
        "1.png": ["a blue thing called 1", "a square", "said anew"],
        "3.png": ["a yellow room"],
        "4.png": ["a dark thing", "a square", "box"],
        "5.png": [],
        "other/moved.png": ["a green door"],
        "other/twin.png": ["a square", "a green thing called other/twin"],
    }
    with Catalog.open(trials.work / f"index-{trials.count}") as catalog:
        captions = killing.captions_by_content(catalog)
        overwritten = known_locations(catalog, [str(trials.folder / "10.png")])[str(trials.folder / "10.png")]
        assert overwritten.image_id in hidden_image_ids(catalog)
        assert known_locations(catalog, [str(trials.folder / "2.png")])[str(trials.folder / "2.png")].missing
    for name, texts in expected.items():
        assert captions[digest(trials.folder / name)] == sorted(texts), name


@pytest.fixture(params=["captions.csv", "sidecars"])
def shifted(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, list[str]]]:
    """Seven pictures renamed to the next number since they were indexed, a new first one, and the expected captions."""
    folder, count = tmp_path / "pictures", 7
    for i in range(count):
        paint(folder / f"{i}.png", COLOUR_NAMES[i % 4], i)
    captions = {digest(folder / f"{i}.png"): [f"content {i}"] for i in range(count)}

    def say(ahead: int) -> None:
        rows = [(i + ahead, f"content {i}") for i in range(count)]
        table = rows if request.param == "captions.csv" else []
        lines = [f"{name}.png,{text}\n" for name, text in table]
        (tmp_path / "captions.csv").write_text("image,caption\nnone.png,nothing\n" + "".join(lines))
        for name, text in rows if not table else []:
            (folder / f"{name}.txt").write_text(text)

    say(0)
    killing.run(tmp_path / "finished", folder)
    for i in reversed(range(count)):
        (folder / f"{i}.png").rename(folder / f"{i + 1}.png")
    (folder / "0.txt").unlink(missing_ok=True)
    paint(folder / "0.png", "black", 50)
    say(1)
    return folder, captions | {digest(folder / "0.png"): []}


@pytest.mark.parametrize("when", ["before", "after"])
def test_shifted_names_keep_each_caption_with_its_picture(
    shifted: tuple[Path, dict[str, list[str]]], when: str
) -> None:
    """After a kill at any commit, or none, every picture keeps its id, and none without a file is shown."""
    folder, captions = shifted
    finished = folder.parent / "finished"
    with Catalog.open(finished) as catalog:
        ids = content_hashes(catalog)
    for nth in itertools.count(1):
        index = folder.parent / f"index-{nth}"
        killing.begin("changed", index, finished)
        status = killing.in_child(killing.die_at_commit, nth, when, index, folder)
        with Catalog.open(index) as catalog:
            hidden = set(hidden_image_ids(catalog).tolist())
            records = images_by_id(catalog, list(content_hashes(catalog).values())).values()
            assert {record.id for record in records if record.path is None} == hidden
        killing.run(index, folder)
        killing.content(index)
        with Catalog.open(index) as catalog:
            assert killing.captions_by_content(catalog) == captions, f"killed {when} commit {nth}"
            assert content_hashes(catalog).items() >= ids.items()
            assert is_settled(catalog)
            assert not len(hidden_image_ids(catalog))
        if status == 0:
            break
    assert nth > 4


@pytest.mark.parametrize("name", killing.POINTS)
def test_the_next_run_completes_a_killed_one(trials: Trials, name: str) -> None:
    """Killed at every named point: in each phase, within and between transactions and files."""
    scenario = killing.POINTS[name].scenario
    index = trials.start(scenario)
    assert killing.in_child(killing.die_at_point, name, index, trials.folder) == -signal.SIGKILL
    trials.recover(index, scenario)


def test_runs_killed_anywhere_are_completed(trials: Trials) -> None:
    """Fifty runs are killed at random steps and times, from opening the catalog to writing the last file."""
    rng = random.Random(50)
    killed, tried = 0, 0
    while killed < 50:
        killed += trials.kill(rng) != 0
        tried += 1
        assert tried < 100, f"only {killed} of {tried} runs were killed before they ended"


def test_a_run_that_is_killed_repeatedly_completes(trials: Trials) -> None:
    """Each attempt keeps what it committed."""
    index = trials.start("new")
    for name in ("encoding", "a batch committed", "captions written", "a FAISS file half written"):
        killing.in_child(killing.die_at_point, name, index, trials.folder)
    with Catalog.open(index) as catalog:
        report = index_paths(catalog, FakeEncoder(), [trials.folder])
        assert (report.added, report.captions_added) == (0, 0)
    trials.recover(index, "new")

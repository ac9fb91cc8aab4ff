"""Typed queries: judgements, precision at 8, and what is written to look at."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import typed_queries
from benchmarks.contact_sheets import Cell
from benchmarks.everyday import indexed, read_photographs
from benchmarks.typed_queries import (
    JUDGEMENTS,
    QUERIES,
    Result,
    answer,
    main,
    mean_precision,
    read_judgements,
    rows,
    write,
)
from indexer import Catalog, index_paths
from search import SearchEngine
from tests.fakes import FakeEncoder


def result(query: str, towers: Sequence[bool | None], reranked: Sequence[bool | None]) -> Result:
    """A result with given judgements; pictures are called by stage and rank."""
    judged = {"towers": towers, "reranked": reranked}
    return Result(
        query,
        {
            stage: [Cell(i, Path(f"{stage}{i}.webp"), "coco", 0.5, right) for i, right in enumerate(judgements, 1)]
            for stage, judgements in judged.items()
        },
    )


def test_precision_is_the_share_of_eight_that_is_judged_right() -> None:
    """A hit that is not judged counts as wrong, and is listed."""
    one = result("one", [True] * 6 + [False] * 2, [True, None, False, True, True, None, False, False])
    assert (one.precision("towers"), one.precision("reranked")) == (0.75, 0.375)
    assert one.not_judged == ["reranked2.webp", "reranked6.webp"]
    two = result("two", [False] * 8, [True] * 8)
    assert mean_precision([one, two], "towers") == 0.375
    assert rows([one, two]) == [
        ["query", "towers", "reranked", "hits not judged"],
        ["one", "0.750", "0.375", "2"],
        ["two", "0.000", "1.000", "0"],
        ["mean", "0.375", "0.688", "2"],
    ]


def test_judgements_are_read_by_query_and_name(tmp_path: Path) -> None:
    """Either list may be missing, and so may the file."""
    file = tmp_path / "judgements.json"
    assert read_judgements(file) == {}
    file.write_text(json.dumps({"a dog": {"right": ["1.webp"], "wrong": ["2.webp"]}, "food": {"wrong": ["1.webp"]}}))
    assert read_judgements(file) == {"a dog": {"1.webp": True, "2.webp": False}, "food": {"1.webp": False}}


def test_contradictory_judgements_are_refused(tmp_path: Path) -> None:
    """The message names the query and the picture."""
    file = tmp_path / "judgements.json"
    file.write_text(json.dumps({"a dog": {"right": ["1.webp", "2.webp"], "wrong": ["2.webp"]}}))
    with pytest.raises(SystemExit, match=r"for 'a dog', 2\.webp is both right and wrong"):
        read_judgements(file)


def test_committed_judgements_are_of_the_queries() -> None:
    """A misspelt query would be ignored in silence."""
    assert len(set(QUERIES)) == 30
    judgements = read_judgements(JUDGEMENTS)
    assert judgements.keys() == set(QUERIES)
    assert all(re.fullmatch(r"\w+__.+\.webp", name) for judged in judgements.values() for name in judged)


def test_hits_are_judged_and_shown(everyday: Path, tmp_path: Path) -> None:
    """A sheet for each query, a page with all of them, and a JSON document with every hit and its judgement."""
    sources = {photograph.file.name: photograph.source for photograph in read_photographs(everyday)}
    judgements = {"red": {"coco__1.png": True, "coco__6.png": True, "coco__2.png": False}}
    with indexed(read_photographs(everyday), FakeEncoder()) as engine:
        results = [answer(engine, query, sources, judgements) for query in ("red", 'a "green" thing')]
        write(results, tmp_path / "out")
    out = tmp_path / "out"
    assert [file.name for file in sorted(out.iterdir())] == [
        "01-red.webp",
        "02-a-green-thing.webp",
        "hits.json",
        "index.html",
    ]
    document = json.loads((out / "hits.json").read_text(encoding="utf-8"))
    red = document["queries"]["red"]["reranked"]
    assert red["precision"] == 0.25
    by_image = {hit["image"]: hit for hit in red["hits"]}
    assert len(by_image) == 8
    assert {by_image[name]["judgement"] for name in ("coco__1.png", "coco__6.png")} == {"right"}
    assert by_image["coco__2.png"]["judgement"] == "wrong"
    assert by_image["imagenet__2.png"]["judgement"] is None
    assert by_image["imagenet__2.png"]["source"] == "imagenet"
    assert "imagenet__2.png" in document["not_judged"]["red"]
    assert document["precision_at_8"] == {"towers": 0.125, "reranked": 0.125}
    page = (out / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'<img src="([^"]+)"', page) == ["01-red.webp", "02-a-green-thing.webp"]
    assert "<h2>a &quot;green&quot; thing</h2>" in page


def test_the_command_searches_an_index(
    everyday: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `--index` nothing is indexed, and the table has a row for each query and the mean."""
    with Catalog.open(tmp_path / "index", create=True) as catalog:
        index_paths(catalog, FakeEncoder(), [everyday / "images"])
    opened = SearchEngine.open
    monkeypatch.setattr(SearchEngine, "open", lambda path, **_: opened(path, encoder=FakeEncoder()))
    monkeypatch.setattr(typed_queries, "indexed", None)
    arguments = [str(everyday), "--index", str(tmp_path / "index"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["typed_queries", *arguments])
    main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(QUERIES) + 1
    assert lines[2].startswith("| a red double decker bus | 0.000 | 0.000 | ")
    assert len(list((tmp_path / "out").glob("*.webp"))) == len(QUERIES)

"""The everyday photographs: what is read, and in which orders a search is answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.everyday import indexed, precision, read_photographs, search
from tests.fakes import FakeEncoder


def test_photographs_of_a_split_are_read_with_what_they_show(everyday: Path) -> None:
    """Objects and classes alike are names in lower case; a picture may show none."""
    photographs = read_photographs(everyday, "val")
    assert len(photographs) == 9
    assert [len(read_photographs(everyday, split)) for split in ("train", "all")] == [1, 10]
    shown = {photograph.file.name: (photograph.source, photograph.names) for photograph in photographs}
    assert shown["coco__2.png"] == ("coco", frozenset({"red", "white"}))
    assert shown["coco__4.png"] == ("coco", frozenset())
    assert shown["grocery__1.png"] == ("grocery", frozenset({"green"}))
    assert all(photograph.file.is_file() for photograph in photographs)


def test_both_orders_are_those_of_searches_with_and_without_reranking(everyday: Path) -> None:
    """One search gives the towers' order and the reranked one, which here is the reverse."""
    with indexed(read_photographs(everyday), FakeEncoder(reverse_rerank=True)) as engine:
        hits = search(engine, "red")
        for stage, rerank in (("towers", False), ("reranked", True)):
            expected = engine.search_images("red", k=10, rerank=rerank, keywords=False).hits
            assert [hit.image_id for hit in hits[stage]] == [hit.image_id for hit in expected]
    assert hits["towers"] != hits["reranked"]


def test_names_of_files_do_not_help(everyday: Path) -> None:
    """A file called after its class would otherwise be found by that name."""
    with indexed(read_photographs(everyday), FakeEncoder()) as engine:
        assert "imagenet__1.png" in {
            hit.path.name for hit in engine.search_images("imagenet").hits if hit.matched and hit.path
        }
        assert all(not hit.matched and hit.sources == ("vector",) for hit in search(engine, "imagenet")["reranked"])


@pytest.mark.parametrize(
    ("right", "k", "expected"),
    [
        ([True, False, True, True], 2, 0.5),
        ([True, False, True, True], 4, 0.75),
        ([True], 4, 0.25),
        ([], 1, 0.0),
    ],
)
def test_precision_counts_the_first_hits_and_misses_those_that_lack(right: list[bool], k: int, expected: float) -> None:
    """The share is of k, however many hits there are."""
    assert precision(right, k) == expected

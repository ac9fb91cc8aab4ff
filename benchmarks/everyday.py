"""The everyday photographs, and searches of them: what `objects.py` and `typed_queries.py` share."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from api.cli.output import progress
from encoders import Encoder
from indexer import Catalog, index_paths
from search import Hit, SearchEngine

SPLITS = ("val", "train", "all")
STAGES = ("towers", "reranked")
DEPTH = 100
"""Number of candidates that a search reranks, as many as `crosslook search` does."""


@dataclass(frozen=True)
class Photograph:
    """A photograph: its file, its source, what it shows, its captions and its query.

    `names` are COCO's object names, of other sources the name of the class, all in lower case: sources spell one name
    differently.
    """

    file: Path
    source: str
    names: frozenset[str]
    captions: tuple[str, ...] = ()
    query: str = ""


def read_photographs(folder: Path, split: str = "all") -> tuple[Photograph, ...]:
    """Read the photographs of a split from `everyday.jsonl`."""
    lines = (folder / "everyday.jsonl").read_text(encoding="utf-8").splitlines()
    documents = [document for line in lines if split in ((document := json.loads(line))["split"], "all")]
    return tuple(
        Photograph(
            folder.resolve() / document["image"],
            document["source"],
            frozenset(map(str.lower, document["objects"] if "objects" in document else [document["class"]])),
            tuple(document.get("captions", ())),
            document.get("query", ""),
        )
        for document in documents
    )


@contextmanager
def indexed(photographs: Sequence[Photograph], encoder: Encoder) -> Iterator[SearchEngine]:
    """Index photographs in a temporary folder, as `crosslook index` does, to search them."""
    with tempfile.TemporaryDirectory() as scratch:
        index = Path(scratch)
        with Catalog.open(index, create=True) as catalog, progress() as advance:
            index_paths(catalog, encoder, [photograph.file for photograph in photographs], progress=advance)
        with SearchEngine.open(index, encoder=encoder) as engine:
            yield engine


def search(engine: SearchEngine, text: str) -> dict[str, tuple[Hit, ...]]:
    """The hits of one search by stage, best first: in the towers' order and reranked.

    Keywords are off, because many of these files have the name of their class in theirs.
    """
    reranked = engine.search_images(text, k=DEPTH, depth=DEPTH, keywords=False).hits
    return {"towers": tuple(sorted(reranked, key=lambda hit: hit.retrieval_rank)), "reranked": reranked}


def precision(right: Sequence[bool], k: int) -> float:
    """Share of the first k hits that are right, in [0, 1]; a hit that is missing counts as wrong."""
    return sum(right[:k]) / k

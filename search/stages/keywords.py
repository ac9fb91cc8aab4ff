"""What file names, folder names and captions add to what the model sees.

The model knows what a dog looks like, but not who Anna is, nor which picture is IMG_2034. So a word of the query counts
as a keyword as far as the model never learned it (`Encoder.strangeness`), and the more, the fewer pictures carry it: an
ordinary sentence is left to the model, a name decides.

Evidence is in log-odds, so that it adds up with what the model says: a match probability is the same on another scale.
A word weighs strangeness · (log((N - n + ½) / (n + ½)) + C) where n of N pictures carry it.

Source: Robertson and Spärck Jones, "Relevance weighting of search terms", 1976 (the weight that BM25 gives a word);
Croft and Harper, "Using probabilistic models of document retrieval without relevance information", 1979 (the constant).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from encoders import Floats
from indexer import Catalog
from indexer.catalog.fulltext import images_named, images_with_term
from indexer.catalog.records import Ids

from .query import Query

PRESENCE = 3.0
"""C: a picture that is meant by a strange word carries it in 95 of 100 cases, log(0.95 / 0.05)."""

CERTAIN = 20.0
"""Log-odds of a picture whose file name is the whole query, unless that is a familiar word: beyond any doubt."""

_ENDING = re.compile(r"\.\w{2,5}$")

FAMILIAR = 0.05
"""Words less strange than this are not looked up: they would add next to nothing, and millions of captions say them."""

MOST = 20_000
"""Words that more pictures carry tell too little to be worth reading so many rows."""


@dataclass(frozen=True)
class Term:
    """A word of the query, its weight in log-odds (negative where it is taken away), and the images that carry it."""

    text: str
    weight: float
    names: Ids
    captions: Ids


@dataclass(frozen=True)
class Keywords:
    """What the words of a query say about images; about most, nothing."""

    terms: tuple[Term, ...] = ()

    def evidence(self, ids: Ids) -> Floats:
        """Log-odds (K,) of some images (K,)."""
        total = np.zeros(len(ids), np.float32)
        for term in self.terms:
            total += term.weight * (np.isin(ids, term.names) | np.isin(ids, term.captions))
        return total

    def images(self) -> Ids:
        """Images that carry a word which the query looks for, ascending."""
        found = [ids for term in self.terms if term.weight > 0 for ids in (term.names, term.captions)]
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)

    def sources(self, image_id: int) -> tuple[str, ...]:
        """Where the words were found: `name`, `caption`, both or neither."""
        wanted = [term for term in self.terms if term.weight > 0]
        in_name = any(image_id in term.names for term in wanted)
        in_caption = any(image_id in term.captions for term in wanted)
        return ("name",) * in_name + ("caption",) * in_caption

    def matched(self, image_id: int) -> tuple[str, ...]:
        """The words that were found, as the query wrote them."""
        wanted = (term for term in self.terms if term.weight > 0)
        return tuple(dict.fromkeys(t.text for t in wanted if image_id in t.names or image_id in t.captions))


def look_up(
    catalog: Catalog, query: Query, strangeness: Callable[[Sequence[str]], Sequence[float]], count: int
) -> Keywords:
    """Find what the catalog's words say about a query.

    Args:
        catalog: where.
        query: the sentence, and what is taken away.
        strangeness: of the model, see `Encoder.strangeness`.
        count: how many images there are.
    """
    wanted = _words(query.text.split())
    named = images_named(catalog, query.text)
    sure = 1.0 if _ENDING.search(query.text) else max(strangeness(wanted), default=0.0)  # dog may be meant, not dog.jpg
    terms = [Term(query.text, sure * CERTAIN, named, np.empty(0, np.int64))] if len(named) and sure >= FAMILIAR else []
    for sign, words in ((1, wanted), (-1, _words(query.without))):
        for word, strange in zip(words, strangeness(words), strict=True):
            if strange >= FAMILIAR:
                names, captions = images_with_term(catalog, word, limit=MOST)
                weight = sign * strange * _weight(len(np.union1d(names, captions)), count)
                if weight and max(len(names), len(captions)) < MOST:
                    terms.append(Term(word, weight, names, captions))
    return Keywords(tuple(terms))


def _words(texts: Iterable[str]) -> list[str]:
    """Words as a file name would hold them; one or two letters or digits are too many things' names."""
    bare = (match[0] for text in texts if (match := re.search(r"\w(?:.*\w)?", text)))
    bare = (word.removesuffix("'s").removesuffix("\u2019s") for word in bare)
    return list(dict.fromkeys(word for word in bare if len(word) > 2 or not word.isascii()))


def _weight(carrying: int, count: int) -> float:
    """Log-odds of a word that `carrying` of `count` images carry; 0 where none do, or so many that it tells nothing."""
    if not 0 < carrying <= count:
        return 0.0
    return max(0.0, math.log((count - carrying + 0.5) / (carrying + 0.5)) + PRESENCE)

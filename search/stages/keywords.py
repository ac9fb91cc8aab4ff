"""Keywords: words of the query that file names, folder names, captions and annotations contain.

The model knows what a dog looks like, but not who Anna is, nor which picture is IMG_2034. So the less the model knows a
word of the query (`Encoder.strangeness`), and the rarer the word is in the index, the more it counts as a keyword. For
an ordinary sentence the model decides, for a name the keyword does. Words that people attached to a picture, its
annotations, count even if the model knows them: as much as a name if they are the whole query, and less the more other
words it has.

Evidence is in log-odds, the scale on which it adds to the match probability. A word that n of N images contain weighs
strangeness · (log((N - n + ½) / (n + ½)) + C).

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
from indexer.catalog.fulltext import TermMatches, images_annotated, images_named, images_with_term, places_among
from indexer.catalog.records import Ids
from indexer.catalog.words import is_unspaced

from .query import FILE_NAME, Query

SOURCES = ("name", "caption", "annotation")
"""What an answer calls the places in which a word was found, in the order of `TermMatches`."""

PRESENCE = 3.0
"""C: assumes that 95 % of the images that an unknown word refers to contain it: log(0.95 / 0.05)."""

CERTAIN = 20.0
"""Log-odds of an image whose file name is the query; times the strangeness if the query has no suffix like .jpg."""

PAIR = 2
"""Characters of the words that are looked up in a sentence without spaces."""

FAMILIAR = 0.05
"""Minimum strangeness of keywords: the others add next to nothing, and millions of captions contain them."""

MOST = 20_000
"""Words in more images than this are ignored: they say too little to be worth reading so many rows."""


@dataclass(frozen=True)
class Term:
    """A word of the query, its weight in log-odds (negative if excluded), and the images that contain it."""

    text: str
    weight: float
    matches: TermMatches


@dataclass(frozen=True)
class Keywords:
    """The keywords of a query."""

    terms: tuple[Term, ...] = ()

    def evidence(self, ids: Ids) -> Floats:
        """The evidence of all keywords about images (K,), in log-odds (K,)."""
        total = np.zeros(len(ids), np.float32)
        for term in self.terms:
            total += term.weight * np.isin(ids, np.concatenate(term.matches))
        return total

    def images(self) -> Ids:
        """Ids of the images that contain a keyword that is not excluded, ascending."""
        ids = [ids for term in self.terms if term.weight > 0 for ids in term.matches]
        return np.unique(np.concatenate(ids)) if ids else np.empty(0, np.int64)

    def sources(self, image_id: int) -> tuple[str, ...]:
        """Where an image contains keywords: `name`, `caption`, `annotation`, several of them or none."""
        terms = [term for term in self.terms if term.weight > 0]
        return tuple(
            source
            for source, place in zip(SOURCES, TermMatches._fields, strict=True)
            if any(image_id in getattr(term.matches, place) for term in terms)
        )

    def matched(self, image_id: int) -> tuple[str, ...]:
        """The keywords that an image contains, as written in the query."""
        terms = (term for term in self.terms if term.weight > 0)
        return tuple(dict.fromkeys(t.text for t in terms if any(image_id in ids for ids in t.matches)))


def find_keywords(
    catalog: Catalog, query: Query, strangeness: Callable[[Sequence[str]], Sequence[float]], count: int
) -> Keywords:
    """Look up the words of a query in the names, captions and annotations of a catalog.

    Args:
        catalog: the catalog.
        query: the sentence and its excluded phrases.
        strangeness: `Encoder.strangeness`.
        count: N, the number of images.
    """
    included = _words(query.text.split())
    named = images_named(catalog, query.text)
    terms: list[Term] = []
    # "dog.jpg" can only be a file name; "dog" may mean any dog
    certainty = 1.0 if FILE_NAME.search(query.text) else max(strangeness(included), default=0.0)
    if len(named) and certainty >= FAMILIAR:
        terms.append(Term(query.text, certainty * CERTAIN, TermMatches(named, named[:0], named[:0])))
    included += places_among(catalog, _sequences(query.text))
    for sign, words in ((1, included), (-1, _words(query.without))):
        for word, unknown in zip(words, strangeness(words), strict=True):
            for part, matches in _lookup(catalog, word) if unknown >= FAMILIAR else ():
                weight = sign * unknown * _weight(len(np.unique(np.concatenate(matches))), count)
                if weight and max(map(len, matches)) < MOST:
                    terms.append(Term(part, weight, matches))
            counted = unknown if unknown >= FAMILIAR else 0.0
            if counted < 1 / len(words):
                annotated = images_annotated(catalog, word, limit=MOST)
                weight = sign * (1 / len(words) - counted) * _weight(len(annotated), count)
                if weight and len(annotated) < MOST:
                    terms.append(Term(word, weight, TermMatches(annotated[:0], annotated[:0], annotated)))
    return Keywords(tuple(terms))


def _words(texts: Iterable[str]) -> list[str]:
    """Strip punctuation and possessive endings; words of one or two ASCII characters are left out as too ambiguous."""
    words = (match[0] for text in texts if (match := re.search(r"\w(?:.*\w)?", text)))
    words = (word.removesuffix("'s").removesuffix("\u2019s") for word in words)
    return list(dict.fromkeys(word for word in words if len(word) > 2 or not word.isascii()))


def _sequences(text: str) -> list[str]:
    """Two or three neighbouring words, such as `New York`."""
    words = re.findall(r"[^\W_]+", text)
    return [" ".join(words[i : i + n]) for n in (2, 3) for i in range(len(words) - n + 1)]


def _lookup(catalog: Catalog, word: str) -> list[tuple[str, TermMatches]]:
    """Find the images that contain a word.

    A sentence without spaces, as in Chinese, is one word here. If no image contains all of it, its pairs of characters
    are looked up: most words consist of two.
    """
    matches = images_with_term(catalog, word, limit=MOST)
    if any(map(len, matches)) or len(word) <= PAIR or not is_unspaced(word):
        return [(word, matches)]
    pairs = dict.fromkeys(word[start : start + PAIR] for start in range(len(word) - PAIR + 1))
    return [(pair, images_with_term(catalog, pair, limit=MOST)) for pair in pairs]


def _weight(matching: int, count: int) -> float:
    """Log-odds of a word that `matching` of `count` images contain; 0 if none or too many do."""
    if not 0 < matching <= count:
        return 0.0
    return max(0.0, math.log((count - matching + 0.5) / (matching + 0.5)) + PRESENCE)

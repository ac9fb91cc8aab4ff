"""Which pictures a sentence or a word describes, as far as captions and labels tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from encoders.checkpoint.tokenizer import Tokenizer
from encoders.datasets import Example, Label
from encoders.training.data.judgement import LabelQueries, coverage

WORDS = ["a", "black", "dog", "runs", "cat", "sleeps", "on", "the", "sofa", "person", "fork", "violin"]
TOKENIZER = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS], 16)


def example(caption: str, *labels: str) -> Example:
    """A picture that is never opened."""
    kind = "class" if labels == ("violin",) else "objects"
    return Example(Path("picture.png"), (caption,), "val", tuple(Label(kind, label) for label in labels))


def test_coverage_is_the_share_of_what_is_said_rare_words_counting_more() -> None:
    """All of a caption about its own picture; of another's, the words that its captions use too."""
    captions = TOKENIZER(["a black dog runs", "the dog runs", "a cat sleeps on the sofa", "a dog"])
    image_of = np.array([0, 0, 1, 2])
    queries, pictures = np.array([[0, 0, 0], [3, 3, 3], [1, 1, 1]]), np.array([[0, 1, 2]] * 3)
    covered = coverage(captions, image_of, queries, pictures)
    rarity = {"a": np.log(3 / 3), "dog": np.log(3 / 2), "black": np.log(3), "runs": np.log(3), "the": np.log(3 / 2)}
    whole = sum(rarity[word] for word in ("a", "black", "dog", "runs"))
    assert covered[0] == pytest.approx([1, 0, rarity["dog"] / whole], abs=1e-4)
    assert covered[1] == pytest.approx([1, 0, 1], abs=1e-4)
    assert coverage(captions, image_of, queries, pictures, unknown=TOKENIZER.vocabulary.index("the"))[2, 0] == (
        pytest.approx((rarity["dog"] + rarity["runs"]) / (np.log(3) + rarity["dog"] + rarity["runs"]), abs=1e-4)
    )
    assert covered[2, 1] == pytest.approx(rarity["the"] / (rarity["the"] + rarity["dog"] + rarity["runs"]), abs=1e-4)


def test_labels_are_judged_within_their_list() -> None:
    """Whoever named objects named all; who named a class says nothing about objects; a caption's words count too."""
    examples = [
        example("a cat", "dog", "person"),
        example("a sofa", "person"),
        example("the person runs", "violin"),
        example("a fork on the sofa", "fork", "person"),
        example("a dog"),
    ]
    labels = LabelQueries.of(examples, TOKENIZER)
    assert labels is not None
    names = labels.names
    assert names == ("dog", "fork", "person", "violin")
    assert [TOKENIZER.vocabulary[row[1]] for row in labels.tokens.ids] == list(names)
    flags = {
        name: "".join("01"[int(s)] if j else "?" for s, j in zip(shown, judged, strict=True))
        for name, shown, judged in zip(names, labels.shown, labels.judged, strict=True)
    }
    assert flags == {"dog": "10?01", "fork": "00?1?", "person": "1111?", "violin": "??1??"}


def test_pictures_without_labels_give_no_queries() -> None:
    """There is nothing to judge."""
    assert LabelQueries.of([example("a dog")], TOKENIZER) is None

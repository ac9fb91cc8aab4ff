"""Evaluation of a model, compared with an oracle over the full matrix of pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoders import Floats, ImageFeatures, TextFeatures
from encoders.datasets import Dataset, Example
from encoders.features import pack_states, unpack_states
from encoders.recall import Ranks, Recalls
from search import evaluate
from search.errors import EvaluationError
from search.evaluation.evaluate import measure_recall
from tests.conftest import Paint
from tests.fakes import COLOURS, FakeEncoder


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Twelve pictures of two random colours each, with two captions that name them more or less precisely."""
    rng = np.random.default_rng(3)
    names = list(COLOURS)
    examples = []
    for i in range(12):
        one, two = rng.choice(names, 2)
        image = Image.new("RGB", (32, 32), COLOURS[one])
        image.paste(COLOURS[two], (0, 0, 32, int(rng.integers(4, 28))))
        path = tmp_path / f"{i}.png"
        image.save(path)
        examples.append(Example(path, (f"{one} and {two}", f"{rng.choice(names)} {two}"), "all"))
    return Dataset("twelve", tuple(examples))


def stored_states(states: Floats) -> Floats:
    """Round states as an index stores them."""
    return unpack_states(pack_states(states))


def stored_vectors(vectors: Floats) -> Floats:
    """Round vectors as an index stores them."""
    return vectors.astype(np.float16).astype(np.float32)


class Shifted(FakeEncoder):
    """A model whose query vectors differ from its sentence vectors."""

    def query(self, text: TextFeatures) -> TextFeatures:
        """Swap red, green and blue."""
        asked = super().query(text)
        return replace(asked, vectors=np.concatenate([np.roll(asked.vectors[:, :3], 1, 1), asked.vectors[:, 3:]], 1))


def oracle_recalls(dataset: Dataset, encoder: FakeEncoder, depth: int) -> dict[str, dict[str, list[float]]]:
    """Score every pair of the dataset, and sort by the towers, then the top `depth` by the reranker."""
    pictures = encoder.encode_images(np.stack([encoder.prepare(Image.open(e.image)) for e in dataset.examples]))
    texts = [c for e in dataset.examples for c in e.captions]
    owner = [i for i, e in enumerate(dataset.examples) for _ in e.captions]
    words = encoder.encode_texts(texts)
    queries = encoder.query(replace(words, vectors=stored_vectors(words.vectors))).vectors
    for_text, for_image = (
        rows @ stored_vectors(pictures.vectors).T for rows in (queries, stored_vectors(words.vectors))
    )
    match_text, match_image = np.zeros_like(for_text), np.zeros_like(for_image)
    for c, tokens in enumerate(words.tokens):
        for i, regions in enumerate(pictures.regions):
            text = TextFeatures(queries[c : c + 1], (stored_states(tokens),))
            caption = TextFeatures(stored_vectors(words.vectors[c : c + 1]), (stored_states(tokens),))
            image = ImageFeatures(stored_vectors(pictures.vectors[i : i + 1]), stored_states(regions)[None])
            match_text[c, i] = encoder.match_images(text, image).scores[0]
            match_image[c, i] = encoder.match_captions(image, caption).scores[0]

    def order(row: Floats, scores: Floats) -> list[int]:
        towers = sorted(range(len(row)), key=lambda j: -row[j])
        return sorted(towers[:depth], key=lambda j: -scores[j]) + towers[depth:]

    def recall(ranks: list[int]) -> list[float]:
        return [round(100 * sum(r < k for r in ranks) / len(ranks), 2) for k in (1, 5, 10)]

    to_image = [order(for_text[c], match_text[c]).index(owner[c]) for c in range(len(texts))]
    to_text = []
    for i in range(len(dataset.examples)):
        ranked = order(for_image[:, i], match_image[:, i])
        to_text.append(next(r for r, c in enumerate(ranked) if owner[c] == i))
    return {"text_to_image": {"reranked": recall(to_image)}, "image_to_text": {"reranked": recall(to_text)}}


@pytest.mark.parametrize("depth", [1, 4, 100])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", [FakeEncoder, Shifted])
def test_reranked_recall_agrees_with_the_oracle(
    dataset: Dataset, kind: type[FakeEncoder], depth: int, *, reverse: bool
) -> None:
    """With a good and a reversed reranker, at every depth, and with query vectors of their own."""
    encoder = kind(reverse_rerank=reverse)
    evaluation = evaluate(dataset, encoder, depth=depth, batch_size=5).as_dict()
    expected = oracle_recalls(dataset, encoder, depth)
    for way in ("text_to_image", "image_to_text"):
        assert list(evaluation[way]["reranked"].values()) == expected[way]["reranked"]


def test_the_document_has_the_documented_keys(dataset: Dataset) -> None:
    """Other programs read this JSON."""
    document = evaluate(dataset, FakeEncoder(), depth=7).as_dict()
    assert list(document) == ["n_images", "n_captions", "depth", "text_to_image", "image_to_text"]
    assert (document["n_images"], document["n_captions"], document["depth"]) == (12, 24, 7)
    for way in ("text_to_image", "image_to_text"):
        assert list(document[way]) == ["retrieval", "reranked"]
        assert all(list(recalls) == ["r1", "r5", "r10"] for recalls in document[way].values())


def test_depth_one_changes_nothing_and_a_bad_reranker_lowers_recall(dataset: Dataset) -> None:
    """Reranking one candidate cannot reorder; reversing the whole order lowers recall."""
    same = evaluate(dataset, FakeEncoder(reverse_rerank=True), depth=1)
    assert same.text_to_image["retrieval"].r5 == same.text_to_image["reranked"].r5
    worse = evaluate(dataset, FakeEncoder(reverse_rerank=True), depth=100)
    assert worse.text_to_image["reranked"].r5 < worse.text_to_image["retrieval"].r5


def test_a_picture_that_cannot_be_read_is_named(dataset: Dataset, paint: Paint) -> None:
    """Leaving it out silently would change the result."""
    bad = paint("bad.png")
    bad.write_text("no picture")
    broken = Dataset("broken", (*dataset.examples, Example(bad, ("red",), "all")))
    with pytest.raises(EvaluationError, match=r"bad\.png: not an image.*remove it from the dataset"):
        evaluate(broken, FakeEncoder())
    with pytest.raises(EvaluationError, match="depth must be at least 1"):
        evaluate(dataset, FakeEncoder(), depth=0)


@pytest.mark.parametrize(("depth", "reverse"), [(1, False), (30, False), (100, False), (100, True)])
def test_ties_keep_the_order_of_retrieval_and_that_the_order_of_the_dataset(
    monkeypatch: pytest.MonkeyPatch, depth: int, *, reverse: bool
) -> None:
    """Thirty of sixty pictures tie for each caption: retrieval ranks the right one last, reranking keeps the order."""
    states = np.eye(8, dtype=np.float32)[[i % 2 for i in range(60)]]  # their products are exact
    images, texts = ImageFeatures(states, states[:, None]), TextFeatures(states, tuple(states[:, None]))
    ranks: list[list[int]] = []
    of = Recalls.of

    def noted(each: Ranks) -> Recalls:
        ranks.append(each.tolist())
        return of(each)

    monkeypatch.setattr(Recalls, "of", noted)
    measure_recall(FakeEncoder(reverse_rerank=reverse), images, texts, np.arange(60), depth=depth)
    behind_all, in_order = [29] * 60, [30 * reverse + i // 2 for i in range(60)]
    assert ranks == [behind_all, in_order, behind_all, in_order]

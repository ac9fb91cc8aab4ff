"""Comparing the models of an index on its own images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoders import TextFeatures
from encoders.datasets import Dataset, Example
from indexer import Catalog, add_model, index_paths
from indexer.catalog.captions import add_bank
from indexer.catalog.images import content_hashes, images_by_id
from indexer.catalog.records import EncoderRow
from search import compare_models, evaluate
from search.errors import EvaluationError
from tests.fakes import COLOURS, FakeEncoder


@pytest.fixture
def contrary() -> FakeEncoder:
    """A model with the first model's towers, and a reranker that reverses every order."""
    return FakeEncoder(name="contrary", fingerprint="0" * 64, reverse_rerank=True)


@pytest.fixture
def pictures(tmp_path: Path) -> Dataset:
    """Fourteen pictures of two random colours each, with captions that name them more or less precisely."""
    rng = np.random.default_rng(5)
    examples = []
    for i in range(14):
        one, two, third = rng.choice(list(COLOURS), 3)
        image = Image.new("RGB", (32, 32), COLOURS[one])
        image.paste(COLOURS[two], (0, 0, 32, int(rng.integers(4, 28))))
        image.putpixel((i, 31), (i, 77, 99))
        path = tmp_path / "pictures" / f"{i:02}.png"
        path.parent.mkdir(exist_ok=True)
        image.save(path)
        examples.append(Example(path, tuple(sorted({f"{one} and {two}", f"{third} {two} {i}"})), "all"))
    return Dataset("fourteen", tuple(examples))


@pytest.fixture
def load(encoder: FakeEncoder, contrary: FakeEncoder) -> Callable[[EncoderRow], FakeEncoder]:
    """Load a model by its row."""
    return lambda row: {e.fingerprint: e for e in (encoder, contrary)}[row.fingerprint]


@pytest.fixture
def both(catalog: Catalog, encoder: FakeEncoder, contrary: FakeEncoder, pictures: Dataset) -> Catalog:
    """The pictures without captions, embedded by both models."""
    index_paths(catalog, encoder, [example.image for example in pictures.examples])
    add_model(catalog, contrary)
    return catalog


def caption(pictures: Dataset, count: int = 99) -> None:
    """Write the captions of some of the pictures as sidecars."""
    for example in pictures.examples[:count]:
        example.image.with_suffix(".txt").write_text("\n".join(example.captions) + "\n")


def test_recall_is_that_of_an_evaluation(
    both: Catalog,
    encoder: FakeEncoder,
    contrary: FakeEncoder,
    pictures: Dataset,
    load: Callable[[EncoderRow], FakeEncoder],
    tmp_path: Path,
) -> None:
    """For both directions and stages, although no picture is encoded again."""
    caption(pictures)
    index_paths(both, encoder, [tmp_path / "pictures"])
    expected = [evaluate(pictures, model, depth=6) for model in (encoder, contrary)]
    encoder.images_encoded = 0
    comparison = compare_models(both, both.encoders(), load, depth=6)
    assert [model.evaluation for model in comparison.models] == expected
    assert expected[0] != expected[1]
    assert (comparison.n_images, comparison.n_texts, comparison.own_captions) == (14, expected[0].n_captions, True)
    assert [(m.name, m.active, m.agreement) for m in comparison.models] == [
        ("fake", True, None),
        ("contrary", False, None),
    ]
    assert encoder.images_encoded == 14  # to see how fast it is: four to warm up, ten timed


def test_the_speed_of_each_is_measured(both: Catalog, load: Callable[[EncoderRow], FakeEncoder]) -> None:
    """Milliseconds per query, images per second and bytes per image; no rate if no file exists."""
    fast = compare_models(both, both.encoders(), load).models[0]
    assert fast.ms_per_query > 0
    assert fast.images_per_second is not None
    assert fast.images_per_second > 0
    assert fast.bytes_per_image == 2 * 8 + 4 + 16 * (4 + 8)
    for record in images_by_id(both, sorted(content_hashes(both).values())).values():
        assert record.path is not None
        record.path.unlink()
    assert compare_models(both, both.encoders(), load).models[0].images_per_second is None


def test_without_captions_agreement_is_measured(both: Catalog, load: Callable[[EncoderRow], FakeEncoder]) -> None:
    """It is 100 % for the first model, and lower after reranking with a reversed reranker."""
    comparison = compare_models(both, both.encoders(), load)
    assert (comparison.own_captions, comparison.n_images, comparison.n_texts) == (False, 14, 200)
    assert all(model.evaluation is None for model in comparison.models)
    assert comparison.models[0].agreement == {"retrieval": 100.0, "reranked": 100.0}
    agreement = comparison.models[1].agreement
    assert agreement is not None
    assert agreement["retrieval"] == 100.0
    assert 40 <= agreement["reranked"] < 100  # of fourteen, any two tens share at least six


class Swapped(FakeEncoder):
    """A model whose query vectors exchange red, green and blue."""

    def query(self, text: TextFeatures) -> TextFeatures:
        """Swap the colours of a query."""
        asked = super().query(text)
        return replace(asked, vectors=np.concatenate([np.roll(asked.vectors[:, :3], 1, 1), asked.vectors[:, 3:]], 1))


def test_agreement_is_that_of_query_vectors(both: Catalog, encoder: FakeEncoder) -> None:
    """Models that differ only in their query vectors retrieve other images."""
    swapped = Swapped(name="contrary", fingerprint="0" * 64)
    load = {encoder.fingerprint: encoder, swapped.fingerprint: swapped}
    agreement = compare_models(both, both.encoders(), lambda row: load[row.fingerprint]).models[1].agreement
    assert agreement is not None
    assert agreement["retrieval"] < 100


def test_the_sample_is_of_captioned_images_that_all_have_embedded(
    both: Catalog, encoder: FakeEncoder, pictures: Dataset, load: Callable[[EncoderRow], FakeEncoder], tmp_path: Path
) -> None:
    """A seed always gives the same sample; captions of the bank do not count."""
    caption(pictures, 9)
    bank = ["a red thing"]
    add_bank(both, bank, encoder.encode_texts(bank))
    new = Image.new("RGB", (32, 32), COLOURS["yellow"])
    new.save(tmp_path / "pictures" / "new.png")
    (tmp_path / "pictures" / "new.txt").write_text("yellow\n")
    index_paths(both, encoder, [tmp_path / "pictures"])
    assert compare_models(both, both.encoders(), load).n_images == 9
    assert compare_models(both, both.encoders()[:1], load).n_images == 10
    one, two = (compare_models(both, both.encoders(), load, sample=5, seed=3) for _ in range(2))
    assert one.n_images == 5
    assert [m.evaluation for m in one.models] == [m.evaluation for m in two.models]


def test_models_without_a_common_image_are_rejected(
    indexed: Catalog, contrary: FakeEncoder, load: Callable[[EncoderRow], FakeEncoder], folder: Path
) -> None:
    """The message names them; numbers below one are rejected too."""
    for file in folder.iterdir():
        file.unlink()
    add_model(indexed, contrary)
    with pytest.raises(EvaluationError, match=r"is embedded by all of: fake, contrary; embed them with: crosslook"):
        compare_models(indexed, indexed.encoders(), load)
    with pytest.raises(EvaluationError, match="must be at least 1, not 0 and 100"):
        compare_models(indexed, indexed.encoders(), load, sample=0)


def test_the_document_has_the_documented_keys(both: Catalog, load: Callable[[EncoderRow], FakeEncoder]) -> None:
    """Other programs read this JSON."""
    document = compare_models(both, both.encoders(), load, depth=7, seed=2).as_dict()
    assert list(document) == ["n_images", "n_texts", "own_captions", "depth", "seed", "models"]
    assert (document["depth"], document["seed"]) == (7, 2)
    keys = ["name", "fingerprint", "active", "text_to_image", "image_to_text", "agreement"]
    assert list(document["models"][0]) == [*keys, "ms_per_query", "images_per_second", "bytes_per_image"]
    assert document["models"][0]["text_to_image"] is None

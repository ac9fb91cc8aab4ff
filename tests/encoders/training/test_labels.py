"""Single words as queries in training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from encoders.checkpoint.files import read_checkpoint
from encoders.checkpoint.tokenizer import Tokenizer
from encoders.datasets import Dataset, Example
from encoders.training import train
from encoders.training.data import prepare_pairs
from encoders.training.labels import LEAST_PICTURES, Labels
from encoders.training.losses import label_candidates, label_loss
from tests.encoders.conftest import WORDS, tiny_checkpoint
from tests.encoders.training.test_trainer import CONFIG, open_picture

CAPTIONS = ("a hot dog on a plate", "two dogs in the snow", "a cat sleeping", "an empty street")


def example(caption: str, *labels: str) -> Example:
    """A picture that is never opened."""
    return Example(Path("picture.png"), (caption,), "train", labels)


def labels_of(labels: Labels, tokenizer: Tokenizer, picture: int) -> list[set[str]]:
    """A picture's names and words as text."""
    texts = [
        " ".join(tokenizer.vocabulary[i] for i in ids[mask])
        for ids, mask in zip(labels.tokens.ids, labels.tokens.mask, strict=True)
    ]
    return [{texts[row] for row in kind[picture]} for kind in (labels.names, labels.words)]


def test_names_and_common_words_are_labels() -> None:
    """Of the dataset and of captions: in the plural and in phrases, but no rare, ubiquitous or function word."""
    examples = [
        example(CAPTIONS[0], "fork"),
        example(CAPTIONS[1]),
        example(CAPTIONS[2], "Hot Dog"),
        example(CAPTIONS[3]),
    ]
    every = [
        *examples,
        *(example("the dog in snow") for _ in range(LEAST_PICTURES)),
        *(example("a street") for _ in range(60)),
    ]
    tokenizer = Tokenizer.fit([*CAPTIONS, "fork hot dog dog snow plate"], min_count=1)
    labels = Labels.of(every, tokenizer)
    assert labels_of(labels, tokenizer, 0) == [{"fork", "hot dog"}, {"dog"}]
    assert labels_of(labels, tokenizer, 1) == [set(), {"dog", "snow"}]
    assert labels_of(labels, tokenizer, 2) == [{"hot dog"}, set()]
    assert labels_of(labels, tokenizer, 3) == [set(), set()]


def test_a_batch_knows_all_pictures_that_show_its_labels() -> None:
    """Each picture contributes at most one name and one word; a label is drawn once."""
    tokenizer = Tokenizer.fit(["dog cat snow fork"], min_count=1)
    examples = [example("the dog", "cat", "fork"), *(example("dog in snow", "cat") for _ in range(LEAST_PICTURES))]
    examples += [example("nothing here") for _ in range(40)]
    labels = Labels.of(examples, tokenizer)
    pictures = np.array([0, 3, 20])
    seen = set()
    for seed in range(20):
        batch = labels.sample(pictures, np.random.default_rng(seed))
        assert batch is not None
        words = [tokenizer.vocabulary[row[1]] for row in batch.ids.tolist()]
        assert len(set(words)) == len(words) <= 4
        assert bool(batch.shown[torch.arange(len(words)), batch.chosen].all())
        shown = {word: row.tolist() for word, row in zip(words, batch.shown, strict=True)}
        expected = {
            "cat": [True, True, False],
            "fork": [True, False, False],
            "dog": [True, True, False],
            "snow": [False, True, False],
        }
        assert shown == {word: expected[word] for word in words}
        seen.update(words)
    assert seen == {"cat", "fork", "dog", "snow"}
    assert labels.sample(np.array([20, 21]), np.random.default_rng(0)) is None


def test_label_loss_agrees_with_oracle() -> None:
    """Of each label, the pictures that show it share the target."""
    logits = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shown = torch.tensor([[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 1], [0, 0, 0, 1, 1, 0], [1, 1, 1, 1, 1, 1]]).bool()
    for row, mask, loss in zip(logits, shown, label_loss(logits, shown), strict=True):
        probabilities = row.exp() / row.exp().sum()
        assert float(loss) == pytest.approx(-float(probabilities[mask].log().mean()), rel=1e-9)


def test_lists_of_labels_hold_the_hardest_pictures() -> None:
    """First the chosen picture, then the most similar of those that do not show the label."""
    similarities = torch.tensor([[0.9, 0.1, 0.8, 0.7, 0.2], [0.5, 0.4, 0.3, 0.2, 0.1]])
    shown = torch.tensor([[True, False, False, False, True], [False, True, False, False, False]])
    lists = label_candidates(similarities, shown, torch.tensor([4, 1]), 2)
    assert lists.tolist() == [[4, 2, 3], [1, 0, 2]]
    assert label_candidates(similarities, shown, torch.tensor([4, 1]), 9)[0].tolist() == [4, 2, 3, 1, 0]


def test_training_learns_names_that_no_caption_has(pictures: Dataset, tmp_path: Path) -> None:
    """With labels a name finds the pictures that show it; without them it means nothing."""
    word = "door"
    examples = [replace(e, labels=(word,) if "red" in e.captions[0] else ()) for e in pictures.examples]
    labelled = replace(pictures, examples=tuple(examples))
    training, validation = labelled.select("train"), labelled.select("dev")
    assert word in WORDS
    assert not any(word in caption for e in examples for caption in e.captions)

    def precision(weight: float) -> float:
        config = replace(CONFIG, epochs=16, label_weight=weight)
        out = tmp_path / str(weight)
        train(tiny_checkpoint(), [training], [validation], out, config=config, open_picture=open_picture)
        trained = read_checkpoint(out / "model")
        tower, tokenizer = trained.model.image.tower, trained.tokenizer
        pairs = prepare_pairs(validation, open_picture, tower, tokenizer, out / "cache", cut=0, views=1)
        tokens = tokenizer([word])
        with torch.inference_mode():
            model = trained.model.eval()
            images = model.image.from_activations(torch.from_numpy(pairs.activations[:, 0]).float(), 0).vectors
            text = model.text(*(torch.from_numpy(x) for x in (tokens.ids, tokens.mask, tokens.attended))).vectors
        shown = torch.tensor([bool(e.labels) for e in validation.examples])
        return float(shown[(images @ text[0]).topk(int(shown.sum())).indices].float().mean())

    with_labels, without = precision(1.0), precision(0.0)
    assert with_labels >= 0.8
    assert without < 0.5

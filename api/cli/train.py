"""The train and evaluate commands."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from PIL import Image
from rich.table import Table

from encoders import load_encoder
from encoders.datasets import Dataset, read_dataset
from encoders.recall import Recalls
from indexer import open_image
from indexer.errors import DecodeError
from search import Evaluation
from search import evaluate as measure

from ..errors import InputError
from .options import Depth, Device, Json, ModelOrBase, model_directory
from .output import count_of, message, print_json, print_table, progress

if TYPE_CHECKING:
    from encoders.training import TrainResult

VALIDATION_NAMES = ("dev", "val", "validation", "valid")
HELD_OUT_SHARE = 0.1
MIN_VALIDATION_IMAGES = 30
"""With fewer, differences between epochs are mostly noise."""

Data = Annotated[Path, typer.Argument(metavar="DATASET", help="A folder or file of captioned images.")]
Images = Annotated[
    Path | None, typer.Option("--images", metavar="DIR", help="Where the images are, if not beside the captions.")
]


def train(
    dataset: Data,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Output folder for the model, the curves and the --resume state."),
    ],
    init: Annotated[
        Path | None,
        typer.Option("--init", metavar="CHECKPOINT", help="Fine-tune this model; 'base' for the base model."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue after the last finished epoch.")] = False,
    images: Images = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Split to train on.", show_default="train, or all")
    ] = None,
    validation: Annotated[
        str | None, typer.Option("--validation", help="Split to validate on.", show_default="dev, or a tenth held out")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option("--backbone", help="Without --init: a timm CNN, torchvision/NAME, open_clip/NAME.")
    ] = None,
    text_tower: Annotated[
        str | None, typer.Option("--text-tower", help="Without --init: transformer, gru, lstm.")
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1)] = 15,
    batch_size: Annotated[int, typer.Option("--batch-size", min=2)] = 96,
    learning_rate: Annotated[float, typer.Option("--learning-rate", min=0)] = 1e-3,
    patience: Annotated[
        int, typer.Option("--patience", min=1, help="Stop after this many epochs without improvement.")
    ] = 5,
    image_cut: Annotated[
        int | None,
        typer.Option("--image-cut", min=0, help="Frozen CNN stages.", show_default="with --init all but three, else 0"),
    ] = None,
    text_cut: Annotated[
        int | None,
        typer.Option("--text-cut", min=0, help="Frozen text layers.", show_default="with --init all but two, else 0"),
    ] = None,
    keep: Annotated[
        float | None,
        typer.Option(
            "--keep",
            min=0,
            max=0.99,
            help="Share of the initial weights in the result.",
            show_default="with --init 0.5",
        ),
    ] = None,
    views: Annotated[int, typer.Option("--views", min=1, help="Fixed views of each image.")] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    precision: Annotated[str, typer.Option("--precision", help="auto, float32, bfloat16.")] = "auto",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Train both towers and the reranker together, or fine-tune a model.

    With several processes: torchrun --nproc-per-node N --no-python crosslook train …
    """
    if init is not None and (backbone or text_tower):
        raise typer.BadParameter("--backbone and --text-tower are for a new model, without --init")
    if init is None and keep:
        raise typer.BadParameter("--keep is a share of the --init model's weights, so it needs --init")
    from encoders.checkpoint.files import read_checkpoint  # noqa: PLC0415  these bring torch
    from encoders.training import TrainConfig, fine_tuning_cuts, fresh_start, is_first_process  # noqa: PLC0415
    from encoders.training import train as run  # noqa: PLC0415

    quiet = not is_first_process()  # under torchrun, only the first process prints
    training, held_out = _splits(_read(dataset, images, quiet=quiet), split, validation, seed)
    if not quiet:
        _announce(training, held_out)
    directory = model_directory(init)
    if directory is not None:
        start = read_checkpoint(directory)
        cuts = fine_tuning_cuts(start)
    else:
        cuts = (0, 0)
        start = fresh_start(
            training,
            backbone=backbone or "tf_efficientnet_lite2",
            text_tower=text_tower or "gru",
            seed=seed,
        )
    config = TrainConfig(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        patience=patience,
        image_cut=cuts[0] if image_cut is None else image_cut,
        text_cut=cuts[1] if text_cut is None else text_cut,
        keep=(0.5 if init else 0.0) if keep is None else keep,
        views=views,
        seed=seed,
        precision=precision,
        device=device,
    )
    start = replace(start, name=out.resolve().name)  # a model is named after its folder
    with progress(quiet=quiet) as advance:
        result = run(
            start, training, held_out, out, config=config, open_picture=open_picture, resume=resume, progress=advance
        )
    if quiet:
        return
    if result.best_epoch == 0:
        message(
            f"None of {result.epochs} epochs validated better than the starting model, "
            f"which is the result, unchanged → {result.model}",
            style="yellow",
        )
    if json:
        print_json(_train_json(result))
        return
    if result.best_epoch:
        message(f"Epoch {result.best_epoch} of {result.epochs} validated best → {result.model}", style="green")
    _print_recalls(
        {
            name: {
                stage: Recalls(*(result.metrics[f"{stage}_{direction}_r{k}"] for k in (1, 5, 10)))
                for stage in ("retrieval", "reranked")
            }
            for name, direction in (("text → image", "t2i"), ("image → text", "i2t"))
        }
    )


def evaluate(
    dataset: Data,
    split: Annotated[
        str | None, typer.Option("--split", help="Split to evaluate.", show_default="test; all if there are no splits")
    ] = None,
    images: Images = None,
    depth: Depth = 100,
    model: ModelOrBase = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure recall@1, 5 and 10 in both directions, before and after reranking."""
    data = _read(dataset, images)
    test = data.select(split or ("all" if data.splits == ("all",) else "test"))
    encoder = load_encoder(model_directory(model), device=device)
    with progress() as advance:
        evaluation = measure(test, encoder, depth=depth, progress=advance)
    if json:
        print_json(evaluation.as_dict())
    else:
        _print_evaluation(test, evaluation)


def open_picture(path: Path) -> Image.Image:
    """Decode a training image the same way as an indexed one.

    Raises:
        InputError: the file cannot be read; the message names it.
    """
    try:
        return open_image(path)
    except DecodeError as exc:
        raise InputError(f"{path}: {exc}; repair it or remove it from the dataset") from exc


def _read(path: Path, images: Path | None, *, quiet: bool = False) -> Dataset:
    dataset = read_dataset(path, images=images)
    if dataset.rejected and not quiet:
        message(f"{count_of(len(dataset.rejected), 'row')} skipped, the first: {dataset.rejected[0]}", style="yellow")
    return dataset


def _splits(dataset: Dataset, split: str | None, validation: str | None, seed: int) -> tuple[Dataset, Dataset]:
    """The training and validation sets; they never share images."""
    held_out = validation or next((name for name in VALIDATION_NAMES if name in dataset.splits), None)
    training = split or ("train" if "train" in dataset.splits else "all")
    if held_out is None:
        return dataset.select(training).hold_out(HELD_OUT_SHARE, seed)
    if held_out == training or "all" in (held_out, training):
        raise InputError(
            f"cannot train on {training!r} and validate on {held_out!r}: they share images; "
            f"the dataset has the splits {', '.join(dataset.splits)}"
        )
    return dataset.select(training), dataset.select(held_out)


def _announce(training: Dataset, held_out: Dataset) -> None:
    """Print the number of images, and warn if the validation set is too small to choose an epoch."""
    n_training, n_validation = len(training.examples), len(held_out.examples)
    message(f"{n_training:,} images to train on, {n_validation:,} to validate on", style="dim")
    if n_validation < MIN_VALIDATION_IMAGES:
        message(
            f"{n_validation} validation images are too few to choose an epoch reliably; use a larger --validation",
            style="yellow",
        )


def _train_json(result: TrainResult) -> dict[str, Any]:
    """The result as JSON; a `best_epoch` of 0 means the starting model."""
    return asdict(result) | {"model": str(result.model)}


def _print_evaluation(dataset: Dataset, evaluation: Evaluation) -> None:
    message(
        f"{dataset.name}: {evaluation.n_images} images, {evaluation.n_captions} captions, "
        f"the top {evaluation.depth} reranked",
        style="dim",
    )
    _print_recalls({"text → image": evaluation.text_to_image, "image → text": evaluation.image_to_text})


def _print_recalls(directions: dict[str, dict[str, Recalls]]) -> None:
    table = Table("", "", "R@1", "R@5", "R@10", box=None)
    for column in table.columns[2:]:
        column.justify = "right"
    for direction, stages in directions.items():
        for stage, recalls in stages.items():
            figures = [f"{value:.1f}" for value in (recalls.r1, recalls.r5, recalls.r10)]
            table.add_row(direction if stage == "retrieval" else "", stage, *figures)
    print_table(table)

"""The train command."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from PIL import Image

from encoders.checkpoint.graphs import GRAPHS
from encoders.datasets import Dataset
from encoders.errors import first_line
from encoders.pairs.known import licence_of
from encoders.pairs.sources import find_pair, is_source, obtain
from encoders.progress import Progress
from encoders.quantization import sample_photographs
from encoders.recall import Recalls
from indexer import open_image
from indexer.errors import DecodeError

from ..errors import InputError
from .datasets import Datasets, Directions, Images, print_recalls, read_datasets
from .options import Device, Json, model_directory
from .output import message, print_json, progress

if TYPE_CHECKING:
    from encoders.checkpoint.files import Checkpoint
    from encoders.training import TrainResult
    from encoders.training.data.frozen import Frozen

HELD_OUT_SHARE = 0.1
MIN_VALIDATION_IMAGES = 30
"""With fewer, differences between epochs are mostly noise."""


def train(
    datasets: Datasets,
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
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="W,W,…",
            help="How often each dataset's images are drawn in an epoch.",
            show_default="once",
        ),
    ] = None,
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
    towers: Annotated[
        str | None,
        typer.Option(
            "--towers",
            metavar="PAIR",
            help="Train only a reranker, on a pair: its name, folder, or open_clip:NAME/WEIGHTS, hf:…, onnx:…",
        ),
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
    views: Annotated[
        int | None,
        typer.Option("--views", min=1, help="Fixed views of each image.", show_default="4, with --towers 2"),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    precision: Annotated[str, typer.Option("--precision", help="auto, float32, bfloat16.")] = "auto",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Train both towers and the reranker together, fine-tune a model, or train a reranker on a pretrained pair.

    Several datasets are mixed; an image file that several of them have gets all their captions.

    With several processes: torchrun --nproc-per-node N --no-python crosslook train …
    """
    _check_options(init, towers, (backbone, text_tower), keep)
    dataset_weights = () if weights is None else _weights(weights, len(datasets))
    _require_libraries()
    from encoders.pairs.training import on_pair  # noqa: PLC0415  these bring torch
    from encoders.training import TrainConfig, fine_tuning_cuts, is_first_process  # noqa: PLC0415
    from encoders.training import train as run  # noqa: PLC0415

    quiet = not is_first_process()  # under torchrun, only the first process prints
    captioned = read_datasets(datasets, images, quiet=quiet)
    parts = [_splits(dataset, split, validation, seed) for dataset in captioned]
    training, held_out = [part[0] for part in parts], [part[1] for part in parts]
    if not quiet:
        for dataset, part in zip(captioned, parts, strict=True):
            _announce(*part, prefix=f"{dataset.name}: " if len(datasets) > 1 else "")
    start, frozen = _start(init, towers, training, (backbone, text_tower), seed, quiet=quiet)
    cuts = fine_tuning_cuts(start) if init is not None else (0, 0)
    config = TrainConfig(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        patience=patience,
        image_cut=cuts[0] if image_cut is None else image_cut,
        text_cut=cuts[1] if text_cut is None else text_cut,
        keep=(0.5 if init else 0.0) if keep is None else keep,
        dataset_weights=dataset_weights,
        views=views or (4 if towers is None else 2),
        seed=seed,
        precision=precision,
        device=device,
    )
    if towers is not None:
        config = on_pair(config)
    start = replace(start, name=out.resolve().name)  # a model is named after its folder
    with progress(quiet=quiet) as advance:
        result = run(
            start,
            training,
            held_out,
            out,
            config=config,
            open_picture=open_picture,
            resume=resume,
            progress=advance,
            frozen=frozen,
        )
        if quiet:
            return
        _write_graphs(result.model, [e.image for dataset in training for e in dataset.examples], advance)
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
    print_recalls(
        {dataset.name: _recalls(result, prefix=f"{dataset.name} " if len(held_out) > 1 else "") for dataset in held_out}
    )


def _check_options(
    init: Path | None, towers: str | None, new_towers: tuple[str | None, str | None], keep: float | None
) -> None:
    """Refuse options that contradict each other."""
    if towers is not None and (init is not None or any(new_towers)):
        raise typer.BadParameter("--towers are those of the model; leave out --init, --backbone and --text-tower")
    if init is not None and any(new_towers):
        raise typer.BadParameter("--backbone and --text-tower are for a new model, without --init")
    if init is None and keep:
        raise typer.BadParameter("--keep is a share of the --init model's weights, so it needs --init")


def _start(
    init: Path | None,
    towers: str | None,
    training: Sequence[Dataset],
    new_towers: tuple[str | None, str | None],
    seed: int,
    *,
    quiet: bool,
) -> tuple[Checkpoint, Frozen | None]:
    """The model to start from, and the pair if it stands for the towers; it is fetched first if it is not there yet."""
    from encoders.checkpoint.files import read_checkpoint  # noqa: PLC0415  these bring torch
    from encoders.pairs.training import start_on_pair  # noqa: PLC0415
    from encoders.training import fresh_start  # noqa: PLC0415

    if towers is not None:
        if not quiet and (licence := licence_of(towers)) is not None:
            message(f"{towers}: licence {licence}", style="dim")
        with progress(quiet=quiet) as advance:
            folder = obtain(towers, progress=advance) if is_source(towers) else find_pair(towers)
        return start_on_pair(folder, seed=seed)
    directory = model_directory(init)
    if directory is None:
        backbone, text_tower = new_towers
        start = fresh_start(
            training, backbone=backbone or "tf_efficientnet_lite2", text_tower=text_tower or "gru", seed=seed
        )
        return start, None
    start = read_checkpoint(directory)
    if start.pair is not None:
        raise InputError(f"{directory} is a reranker on a pair; train another one with: --towers {start.pair}")
    return start, None


def _require_libraries() -> None:
    missing = [
        name for name in ("torch", "torchvision", "timm", "onnx", "onnxscript", "matplotlib") if not find_spec(name)
    ]
    if missing:
        raise InputError(f"training needs {', '.join(missing)}: pip install 'crosslook[train]'")


def _write_graphs(directory: Path, pictures: Sequence[Path], advance: Progress) -> None:
    """Write the graphs of a model; without them it is whole, and PyTorch runs it."""
    from encoders.export import write_graphs  # noqa: PLC0415  brings torch

    try:
        write_graphs(directory, advance, partial(sample_photographs, pictures, open_picture))
    except Exception as exc:  # noqa: BLE001  the exporter raises anything; hours of training must not end in that
        exact = (directory / GRAPHS).exists()  # they are written first
        lack, runner = ("No graph in int8", "the exact one") if exact else ("No graphs for ONNX Runtime", "PyTorch")
        message(f"{lack} ({first_line(exc)}); {runner} will run the model", style="yellow")


def open_picture(path: Path) -> Image.Image:
    """Decode a training image the same way as an indexed one.

    Raises:
        InputError: the file cannot be read; the message names it.
    """
    try:
        return open_image(path)
    except DecodeError as exc:
        raise InputError(f"{path}: {exc}; repair it or remove it from the dataset") from exc


def _weights(text: str, count: int) -> tuple[float, ...]:
    """The numbers of `--weights`."""
    try:
        weights = tuple(map(float, text.split(",")))
    except ValueError:
        weights = ()
    if len(weights) != count or not all(0 < weight < math.inf for weight in weights):
        numbers = "a number" if count == 1 else f"{count} numbers, one for each dataset,"
        raise typer.BadParameter(f"--weights takes {numbers} above 0, such as {','.join(['1'] * count)}; not {text!r}")
    return weights


def _splits(dataset: Dataset, split: str | None, validation: str | None, seed: int) -> tuple[Dataset, Dataset]:
    """The training and validation sets; they never share images."""
    held_out = validation or dataset.validation_split
    training = split or ("train" if "train" in dataset.splits else "all")
    if held_out is None:
        return dataset.select(training).hold_out(HELD_OUT_SHARE, seed)
    parts = dataset.select(training), dataset.select(held_out)
    if {example.image for example in parts[0].examples} & {example.image for example in parts[1].examples}:
        raise InputError(
            f"cannot train on {training!r} and validate on {held_out!r}: they share images; "
            f"the dataset has the splits {', '.join(dataset.splits)}"
        )
    return parts


def _announce(training: Dataset, held_out: Dataset, prefix: str) -> None:
    """Print the number of images, and warn if the validation set is too small to choose an epoch."""
    n_training, n_validation = len(training.examples), len(held_out.examples)
    message(f"{prefix}{n_training:,} images to train on, {n_validation:,} to validate on", style="dim")
    if n_validation < MIN_VALIDATION_IMAGES:
        message(
            f"{prefix}{n_validation} validation images are too few to choose an epoch reliably; "
            "use a larger --validation",
            style="yellow",
        )


def _train_json(result: TrainResult) -> dict[str, Any]:
    """The result as JSON; a `best_epoch` of 0 means the starting model."""
    return asdict(result) | {"model": str(result.model)}


def _recalls(result: TrainResult, prefix: str) -> Directions:
    """The recalls of the dataset whose metrics begin with a prefix."""
    return {
        direction: {
            stage: Recalls(*(result.metrics[f"{prefix}{stage}_{short}_r{k}"] for k in (1, 5, 10)))
            for stage in ("retrieval", "reranked")
        }
        for direction, short in (("text → image", "t2i"), ("image → text", "i2t"))
    }

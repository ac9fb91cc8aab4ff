"""Commands for the models of an index: list, add, compare, switch, remove. See docs/MODELS.md."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from encoders import load_encoder
from encoders.checkpoint.graphs import GRAPHS
from encoders.checkpoint.identity import PAIR_FOLDER, WEIGHTS
from encoders.errors import CheckpointError
from encoders.loading import abilities
from encoders.pairs.calibration import read_curve, write_curve
from encoders.pairs.description import is_pair, read_pair, verify
from encoders.pairs.known import KNOWN, licence_of
from encoders.pairs.sources import is_source, obtain
from encoders.recall import Recalls
from indexer import Catalog, add_model, remove_model, switch_model
from indexer.models import AddReport, ModelState, find_model, model_states
from search import compare_models
from search.active_model import load_model
from search.evaluation.calibrate import fit_curve_to_captions
from search.evaluation.compare import Comparison, ModelResult

from .interrupt import stop_on_interrupt
from .options import DEFAULT_INDEX, Depth, Device, Index, Json, model_directory
from .output import count_of, message, print_json, print_table, progress, size
from .run_report import SHOWN_FAILURES

DIRECTIONS = {"text_to_image": "text → image R@1 / 5 / 10", "image_to_text": "image → text R@1 / 5 / 10"}
STAGES = ("retrieval", "reranked")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A model of the index, or the start of its fingerprint.")]

app = typer.Typer(help="Add models to an index, compare them, and switch between them.", no_args_is_help=True)


@app.command("list")
def list_models(index: Index = DEFAULT_INDEX, json: Json = False) -> None:
    """List the models of the index, how much each has embedded, and which one is active."""
    with Catalog.open(index) as catalog:
        states = model_states(catalog)
    if json:
        print_json({"models": [_state_json(state) for state in states]})
        return
    table = Table("", "model", "kind", "fingerprint", "dimension", "images", "captions", "size", "directory", box=None)
    for state in states:
        table.add_row(
            "active" if state.active else "",
            Text(state.name),
            _kind(state),
            state.fingerprint[:12],
            str(state.dimension),
            f"{state.images:,} of {state.images_of:,}",
            f"{state.captions:,} of {state.captions_of:,}",
            size(state.bytes),
            Text(state.path or "built in"),
        )
    print_table(table)


@app.command()
def available(json: Json = False) -> None:
    """List pretrained pairs that are known to be good. They are fetched by open_clip when they are added."""
    if json:
        print_json({"models": [pair._asdict() for pair in KNOWN]})
        return
    table = Table("model", "size", "languages", "Flickr30k R@1", "COCO R@1", "licence", box=None)
    for pair in KNOWN:
        recalls = ("no figure" if recall is None else f"{recall:.1f}" for recall in (pair.flickr, pair.coco))
        table.add_row(pair.source, size(pair.megabytes * 1e6), pair.languages, *recalls, pair.licence)
    print_table(table)
    message("Add one with: crosslook models add MODEL (needs pip install 'crosslook[towers]')", style="dim")


@app.command()
def add(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Folder of a model, 'base', or a pretrained pair: open_clip:NAME/WEIGHTS, hf:REPOSITORY, onnx:FOLDER.",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Name in the index.", show_default="the model's own name"),
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, max=1024, help="Images per forward pass.")] = 32,
    index: Index = DEFAULT_INDEX,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Embed the index with another model, or complete one. Searches keep using the active model."""
    with Catalog.open(index) as catalog:
        if is_source(model):
            if (licence := licence_of(model)) is not None:
                message(f"{model}: licence {licence}", style="dim")
            with progress(quiet=json) as advance:
                directory: Path | None = obtain(model, progress=advance)
        else:
            directory = model_directory(Path(model))
            for pair in () if directory is None else (directory, directory / PAIR_FOLDER):
                if is_pair(pair):
                    verify(pair)
            _write_missing_graphs(directory, quiet=json)
        encoder = load_encoder(directory, device=device)
        with stop_on_interrupt() as stop, progress() as advance:
            report = add_model(catalog, encoder, name=name, batch_size=batch_size, progress=advance, stop=stop)
        if directory is not None and not report.stopped:
            _calibrate(catalog.for_model(report.state.name, report.state.fingerprint), directory)
    if json:
        print_json(_add_json(report))
    else:
        _print_added(report, index)
    if report.stopped:
        message("Stopped. Finished work is kept; repeat the command to continue.", style="yellow")
        raise typer.Exit(1)


@app.command()
def compare(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help="Models to compare.", show_default="all of the index")
    ] = None,
    sample: Annotated[int, typer.Option("--sample", min=1, max=5000, help="Maximum number of images.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed for sampling the images.")] = 0,
    depth: Depth = 100,
    index: Index = DEFAULT_INDEX,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Compare models on your own captions: recall in both directions, before and after reranking, and speed."""
    with Catalog.open(index) as catalog:
        models = [find_model(catalog, name) for name in names or ()] or catalog.encoders()
        with progress() as advance:
            comparison = compare_models(
                catalog,
                models,
                lambda row: load_model(catalog, row, device=device),
                sample=sample,
                depth=depth,
                seed=seed,
                progress=advance,
            )
    if json:
        print_json(comparison.as_dict())
    else:
        _print_comparison(comparison)


@app.command()
def switch(
    name: Name,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Switch even if it has not embedded everything; the rest stays hidden.")
    ] = False,
    index: Index = DEFAULT_INDEX,
    json: Json = False,
) -> None:
    """Make another model the active one; a running server uses it from its next query on."""
    with Catalog.open(index) as catalog:
        previous, state = switch_model(catalog, name, incomplete=incomplete)
    if json:
        print_json({"before": previous.name, "active": _state_json(state)})
        return
    _warn_hidden(state)
    if previous.fingerprint == state.fingerprint:
        message(f"{state.name} was already active", style="green")
    else:
        message(
            f"{state.name} is active; to go back: crosslook models switch {previous.name}{_option(index)}",
            style="green",
        )


@app.command()
def remove(
    name: Name,
    vacuum: Annotated[
        bool,
        typer.Option(
            "--vacuum", help="Shrink the catalog file now; slow, and needs as much free space as the index takes."
        ),
    ] = False,
    index: Index = DEFAULT_INDEX,
    json: Json = False,
) -> None:
    """Delete a model's embeddings from the index; the model itself is kept."""
    with Catalog.open(index) as catalog:
        state = remove_model(catalog, name)
        if vacuum:
            message("Rewriting the catalog …", style="dim")
            catalog.vacuum()
    if json:
        print_json({"removed": _state_json(state), "vacuumed": vacuum})
        return
    effect = "freed" if vacuum else "free for reuse; --vacuum would also have shrunk the file"
    message(f"{state.name} removed: {state.images:,} images, about {size(state.bytes)} {effect}", style="green")


def _write_missing_graphs(directory: Path | None, *, quiet: bool) -> None:
    """Write the graphs of a model from an earlier version of crosslook, if the libraries for that are installed."""
    if directory is None or (directory / GRAPHS).exists() or not (directory / WEIGHTS).exists():
        return
    if all(find_spec(name) for name in ("torch", "timm", "onnx", "onnxscript")):
        from encoders.export import write_graphs  # noqa: PLC0415  brings torch

        with progress(quiet=quiet) as advance, suppress(OSError):  # a folder that cannot be written
            write_graphs(directory, advance)


def _calibrate(view: Catalog, directory: Path) -> None:
    """Fit the probability of a pair that has none to the captions of an index, if there are enough.

    One that was fitted to more captions is kept, such as those of another index.
    """
    if not is_pair(directory) or read_pair(directory).bias is not None:
        return
    known, curve = read_curve(directory), fit_curve_to_captions(view)
    if curve is None or (known is not None and known.captions > curve.captions):
        return
    with suppress(CheckpointError):
        write_curve(curve, directory)
        message(f"Match probabilities fitted to {count_of(curve.captions, 'caption')} of the index", style="dim")


def _abilities(state: ModelState) -> list[str]:
    return abilities(None if state.path is None else Path(state.path))


def _kind(state: ModelState) -> str:
    """What a model does beside retrieving by vectors; one that reranks does all."""
    able = _abilities(state)
    return "reranks" if "reranks" in able else ", ".join(able) or "vectors only"


def _state_json(state: ModelState) -> dict[str, Any]:
    able = _abilities(state)
    return {
        "name": state.name,
        "fingerprint": state.fingerprint,
        "dimension": state.dimension,
        "path": state.path,
        **{key: key.replace("_", " ") in able for key in ("reranks", "heat_maps", "probabilities")},
        "active": state.active,
        "images": {"embedded": state.images, "of": state.images_of, "files_missing": state.missing},
        "captions": {"embedded": state.captions, "of": state.captions_of},
        "bytes": state.bytes,
    }


def _add_json(report: AddReport) -> dict[str, Any]:
    return {
        "model": _state_json(report.state),
        "images_added": report.images_added,
        "captions_added": report.captions_added,
        "unread": [{"image_id": u.image_id, "path": u.path, "reason": u.reason} for u in report.unread],
        "stopped": report.stopped,
        "seconds": round(report.seconds, 3),
    }


def _print_added(report: AddReport, index: Path) -> None:
    state, option = report.state, _option(index)
    for unread in report.unread[:SHOWN_FAILURES]:
        message(f"{unread.path}: {unread.reason}", style="yellow")
    if len(report.unread) > SHOWN_FAILURES:
        message(f"… and {len(report.unread) - SHOWN_FAILURES} more; list them with --json", style="yellow")
    bank = " (built-in ones included)" if report.captions_added > state.captions_of else ""
    message(
        f"{state.name} ({state.fingerprint[:12]}) has embedded {state.images:,} of {state.images_of:,} images and "
        f"{state.captions:,} of {state.captions_of:,} captions of the index; this run added "
        f"{count_of(report.images_added, 'image')} and {count_of(report.captions_added, 'caption')}{bank} "
        f"in {report.seconds:.1f} s",
        style="green",
    )
    _warn_hidden(state)
    if not (report.stopped or state.active):
        message(
            f"Now try: crosslook models compare{option}; then: crosslook models switch {state.name}{option}",
            style="dim",
        )


def _option(index: Path) -> str:
    """The `--index` option for a suggested command, if it needs one."""
    return "" if index == DEFAULT_INDEX else f" --index {index}"


def _warn_hidden(state: ModelState) -> None:
    """Warn about images and captions that searches with this model cannot find."""
    if state.unembedded or state.missing:
        images = f"{state.images_of - state.images:,} images" + (
            f" ({state.missing:,} without files)" if state.missing else ""
        )
        captions = state.captions_of - state.captions
        message(
            f"{images}{f' and {captions:,} captions' if captions else ''} are not embedded by {state.name}; while it "
            "is active they are hidden, until crosslook index or models add finds their files and embeds them",
            style="yellow",
        )


def _print_comparison(comparison: Comparison) -> None:
    texts = "of their captions" if comparison.own_captions else "lines of the caption bank"
    message(
        f"{comparison.n_images:,} images, {comparison.n_texts:,} {texts}, the top {comparison.depth} reranked",
        style="dim",
    )
    if not comparison.own_captions:
        message(
            "None of the images has a caption of its own, so recall cannot be measured. Agreement is the share of the "
            "top 10 that a model has in common with the first one; it does not measure quality. Captions come from "
            "NAME.txt beside NAME.jpg, or from: crosslook index FOLDER --captions FILE",
            style="yellow",
        )
    table = Table("", "", box=None)
    for model in comparison.models:
        table.add_column(Text(f"{model.name} (active)" if model.active else model.name), justify="right")
    for direction, label in DIRECTIONS.items() if comparison.own_captions else ():
        for stage in STAGES:
            table.add_row(label, stage, *(_recalls(model, direction, stage) for model in comparison.models))
    for stage in () if comparison.own_captions else STAGES:
        table.add_row("agreement of the top 10", stage, *(_agreement(model, stage) for model in comparison.models))
    table.add_row("ms per query", "", *(f"{model.ms_per_query:.1f}" for model in comparison.models))
    table.add_row("images per second", "", *(_rate(model.images_per_second) for model in comparison.models))
    table.add_row("bytes per image", "", *(f"{model.bytes_per_image:,}" for model in comparison.models))
    print_table(table)


def _recalls(model: ModelResult, direction: str, stage: str) -> str:
    recalls: Recalls = getattr(model.evaluation, direction)[stage]
    return f"{recalls.r1:.1f} / {recalls.r5:.1f} / {recalls.r10:.1f}"


def _agreement(model: ModelResult, stage: str) -> str:
    return "" if model.agreement is None else f"{model.agreement[stage]:.1f} %"


def _rate(images_per_second: float | None) -> str:
    return "no files" if images_per_second is None else f"{images_per_second:.1f}"

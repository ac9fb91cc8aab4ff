"""Commands that build and inspect an index: index, forget, stats, doctor, rebuild."""

from __future__ import annotations

import os
import platform
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from encoders import BASE_MODEL, Encoder, EncodersError, load_encoder
from encoders.datasets import read_captions
from encoders.hardware import machine, nvidia_gpus, package_version
from encoders.loading import try_devices
from indexer import Catalog, IndexerError, VectorIndex, follow, index_paths
from indexer import forget as forget_path
from indexer.catalog.connection import DATABASE
from indexer.catalog.contents import catalog_stats, recorded_failures
from indexer.catalog.records import Kind
from indexer.errors import ModelError
from indexer.ingest.lock import indexing_lock
from indexer.ingest.rules import typed_patterns
from indexer.pictures.formats import supported_formats
from indexer.vectors.files import stored_structure
from indexer.vectors.segment import gpu_count
from indexer.vectors.structure import IndexStructure

from .interrupt import stop_on_interrupt
from .options import DEFAULT_INDEX, Device, Index, Json, Model, model_for
from .output import count_of, message, print_facts, print_json, progress, size
from .run_report import print_report, report_json

SHOWN_ROOTS = 5
CAPTION_SOURCES = {"sidecar": "from sidecars", "dataset": "from --captions", "bank": "built in"}

SAME = 0.99
"""Cosine from which vectors of two devices are the same to a search; bf16 gives 0.995."""


def index(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH…", help="Folders or image files.", show_default="all indexed before"),
    ] = None,
    captions: Annotated[
        Path | None,
        typer.Option("--captions", metavar="FILE", help="Captions for the images (.token, .csv, .json, …)."),
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove images whose files no longer exist.")] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="PATTERN",
            help="Leave out files and folders from now on, as .gitignore does; repeatable; '' for none.",
            show_default="the patterns of the last run with any",
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Read and embed unchanged files again as well.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Keep running and index changes until Ctrl-C.")] = False,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, max=1024, help="Images per forward pass.")] = 32,
    index: Index = DEFAULT_INDEX,
    model: Model = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Index images or update the index; unchanged files are not opened again.

    Without PATH, updates all folders indexed before, silently if stdout is not a terminal (as in a cron job).
    Images in a missing folder (an unplugged drive) are hidden until it is back. A file .crosslookignore in a folder
    leaves out files and folders as .gitignore does.
    """
    new = not (index / DATABASE).exists()
    if new and not paths:
        raise typer.BadParameter(f"missing PATH: {index} holds no index yet; name the folders to index")
    for folder in paths or (Path(),):  # before anything is written
        typed_patterns(exclude or (), os.path.abspath(folder))
    caption_file = read_captions(captions) if captions else None
    if caption_file is not None and caption_file.rejected:
        rejected = caption_file.rejected
        message(f"{count_of(len(rejected), 'caption row')} skipped, the first: {rejected[0]}", style="yellow")
    encoder = load_encoder(model_for(index, model), device=device, lazy=True)
    options: dict[str, Any] = {"captions": caption_file, "prune": prune, "batch_size": batch_size}
    options |= {"exclude": exclude, "again": again}
    quiet = not paths and caption_file is None and not sys.stdout.isatty()
    with Catalog.open(index, create=True) as catalog, stop_on_interrupt() as stop:
        if watch:
            _follow(catalog, encoder, paths or (), stop, options, json=json)
            return
        with progress(quiet=quiet) as advance:
            report = index_paths(catalog, encoder, paths or (), progress=advance, stop=stop, **options)
    if json:
        print_json(report_json(report))
    elif not quiet:
        print_report(report, index, new=new)
    if report.stopped:
        message("Stopped. Finished work is kept; repeat the command to continue.", style="yellow")
        raise typer.Exit(1)
    named = {os.path.abspath(path) for path in paths or ()}
    if any(failure.path in named for failure in report.failed):  # a script asked for this file
        raise typer.Exit(1)


def forget(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder or file; it need not exist any more.")],
    index: Index = DEFAULT_INDEX,
    json: Json = False,
) -> None:
    """Remove a folder and everything below it from the index; the files themselves are not touched."""
    with Catalog.open(index) as catalog:
        forgotten = forget_path(catalog, path)
    if json:
        print_json(asdict(forgotten))
        return
    message(
        f"Removed {count_of(forgotten.files, 'file')} from the index, and {count_of(forgotten.images, 'image')} "
        "that had no other file.",
        style="green",
    )
    if forgotten.below is not None:
        message(f"{path} still exists inside {forgotten.below}: the next run indexes it again.", style="yellow")


def stats(
    failures: Annotated[bool, typer.Option("--failures", help="List the files that could not be indexed.")] = False,
    index: Index = DEFAULT_INDEX,
    json: Json = False,
) -> None:
    """Show what the index contains."""
    with Catalog.open(index) as catalog:
        totals, failed = catalog_stats(catalog), recorded_failures(catalog) if failures else []
        structures = {kind.value: stored_structure(catalog, kind) for kind in Kind}
    bytes_per_image = round(totals.bytes_on_disk / totals.images) if totals.images else 0
    if json:
        vectors = {kind: None if structure is None else asdict(structure) for kind, structure in structures.items()}
        document = asdict(totals) | {"vectors": vectors, "bytes_an_image": bytes_per_image}
        print_json(
            document | {"failed": [{"path": f.path, "reason": f.reason} for f in failed]} if failures else document
        )
        return
    captions = ", ".join(f"{count:,} {CAPTION_SOURCES[source]}" for source, count in totals.captions.items())
    model = f"{totals.encoder.name} ({totals.encoder.fingerprint[:12]})" if totals.encoder else "none yet"
    print_facts(
        {
            "index": str(index),
            "images": f"{totals.images:,} in {count_of(totals.locations, 'file')}"
            + (f", {count_of(totals.missing, 'file')} missing" if totals.missing else "")
            + (f", {count_of(totals.excluded, 'file')} excluded" if totals.excluded else ""),
            "folders": _list_roots(totals.roots) or "none",
            **{f"left out of {folder}": "  ".join(patterns) for folder, patterns in totals.exclusions.items()},
            "captions": captions or "none",
            "failures": str(totals.failures)
            + (" (list them with --failures)" if totals.failures and not failures else ""),
            "model": model,
            "search": _describe_structure(structures[Kind.IMAGE.value]),
            "size": size(totals.bytes_on_disk) + (f", {size(bytes_per_image)} per image" if bytes_per_image else ""),
        }
    )
    if failed:
        print_facts({f.path: f.reason for f in failed})


def _describe_structure(structure: IndexStructure | None) -> str:
    """The type of the vector index and its measured recall@10."""
    if structure is None:
        return "exact; the FAISS file is not written yet"
    if structure.structure == "exact" or structure.recall is None:
        return structure.structure
    return f"{structure.structure}, recall@10 {structure.recall:.1%} at breadth {structure.breadth}"


def doctor(index: Index = DEFAULT_INDEX, model: Model = None, json: Json = False) -> None:
    """Show what this machine offers, and check the model and the index."""
    facts: dict[str, Any] = {"python": platform.python_version(), "system": platform.platform()} | machine()
    facts["faiss"] = _describe_faiss()
    facts["faiss_gpus"] = gpu_count()
    facts["formats"] = list(supported_formats())
    sound = True
    facts["model"] = {}
    encoder = None
    try:
        directory = _model_to_check(index, model)
        facts["model"] |= {"path": str(directory)}
        encoder = load_encoder(directory)
        facts["model"] |= {"name": encoder.name, "fingerprint": encoder.fingerprint, "sound": True}
        facts["devices"] = [trial._asdict() for trial in try_devices(directory)]
    except (EncodersError, ModelError) as exc:
        facts["model"] |= {"sound": False, "fault": str(exc)}
        sound = False
    facts["index"] = {"path": str(index)}
    if not (index / DATABASE).exists():
        facts["index"]["state"] = "none yet"
    else:
        try:
            with Catalog.open(index) as catalog:
                facts["index"] |= {"state": "sound", "images": catalog_stats(catalog).images}
                catalog.check()
                if encoder is not None:
                    catalog.for_model(encoder.name, encoder.fingerprint).active_encoder()  # raises if there is none
        except IndexerError as exc:
            facts["index"] |= {"state": "faulty", "fault": str(exc)}
            sound = False
    if json:
        print_json(facts)
    else:
        facts["devices"] = "; ".join(map(_describe_trial, facts.get("devices", []))) or "not tried"
        print_facts({name.replace("_", " "): _format_value(value) for name, value in facts.items()})
    if not sound:
        raise typer.Exit(1)


def _describe_faiss() -> str:
    """Which build of FAISS is installed, and why; setup.py chose it."""
    gpu_build = package_version("faiss-gpu")
    build = f"faiss-gpu {gpu_build}" if gpu_build else f"faiss-cpu {package_version('faiss-cpu')}"
    if not nvidia_gpus():
        return f"{build}; there is no NVIDIA GPU" + (", so it runs on the CPU" if gpu_build else "")
    return build if gpu_build else f"{build}, although there is a GPU: CROSSLOOK_FAISS=faiss-gpu pip install crosslook"


def _describe_trial(trial: dict[str, Any]) -> str:
    """How fast a device encodes pictures, and whether they come out as on the CPU."""
    if trial["fault"] is not None:
        return f"{trial['device']} does not work ({trial['fault']})"
    text = f"{trial['device']} {trial['milliseconds']:.1f} ms a picture"
    if trial["int8"]:
        return f"{text}, in int8 (cosine {trial['agreement']:.3f} with exact vectors, at least)"
    return text if trial["agreement"] > SAME else f"{text}, but other vectors (cosine {trial['agreement']:.3f})"


def rebuild(index: Index = DEFAULT_INDEX, json: Json = False) -> None:
    """Rebuild the FAISS files from the catalog."""
    with Catalog.open(index) as catalog, indexing_lock(index):
        counts = {kind.value: len(VectorIndex.rebuild(catalog, kind)) for kind in Kind}
    if json:
        print_json(counts)
    else:
        message(", ".join(f"{count} {kind} vectors" for kind, count in counts.items()) + " rebuilt", style="green")


def _follow(
    catalog: Catalog,
    encoder: Encoder,
    paths: Sequence[Path],
    stop: threading.Event,
    options: dict[str, Any],
    *,
    json: bool,
) -> None:
    """Index changes until stopped, and print a report after each run; with `json`, one line of JSON."""

    def report_progress(phase: str, done: int, total: int) -> None:
        advance(phase, done, total)

    reports = follow(catalog, encoder, paths, progress=report_progress, stop=stop, **options)
    announced = False
    while True:
        with progress(quiet=json) as advance:  # new bars for each run
            report = next(reports, None)
        if report is None:
            break
        if json:
            typer.echo(dumps(report_json(report), ensure_ascii=False))
        else:
            print_report(report, catalog.directory, new=False)
        sys.stdout.flush()
        if not announced and not stop.is_set():
            message("Following changes. Press Ctrl-C to stop.", style="dim")
        announced = True
    message("Stopped following changes. Finished work is kept.", style="dim")


def _list_roots(roots: Sequence[str]) -> str:
    """The first few roots; there may be very many, because single files are roots too."""
    more = f" and {len(roots) - SHOWN_ROOTS} more" if len(roots) > SHOWN_ROOTS else ""
    return ", ".join(roots[:SHOWN_ROOTS]) + more


def _model_to_check(index: Path, model: Path | None) -> Path:
    """The model folder; the base model if the index is damaged, which `doctor` reports separately."""
    try:
        return model_for(index, model) or BASE_MODEL
    except ModelError:
        raise
    except IndexerError:
        return BASE_MODEL


def _format_value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

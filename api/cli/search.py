"""The search commands: search, captions, similar, explain."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, cast

import typer
from platformdirs import user_cache_path

from encoders import load_encoder
from indexer import Catalog
from indexer.catalog.connection import DATABASE
from search import SearchEngine
from search.model_index import ModelIndex

from ..errors import InputError
from .options import DEFAULT_INDEX, Depth, Device, Index, Json, Model, NoRerank, Where, model_directory
from .output import message, print_captions, print_hits, print_json

Picture = Annotated[Path, typer.Argument(metavar="IMAGE", help="An image file, indexed or not.")]
Count = Annotated[int, typer.Option("-k", min=1, max=10_000, help="Maximum number of hits.")]


def search(
    text: Annotated[
        str | None,
        typer.Argument(
            help='Query text; -word and -"two words" exclude. Put -- before a text that begins with a hyphen. '
            "Optional with --image."
        ),
    ] = None,
    image: Annotated[
        Path | None, typer.Option("--image", metavar="FILE", help="Also search for images similar to this one.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="TEXT", help="Text to exclude; repeatable.")
    ] = None,
    k: Count = 10,
    depth: Depth = 100,
    no_rerank: NoRerank = False,
    no_keywords: Annotated[
        bool,
        typer.Option(
            "--no-keywords", help="Do not match words in names of files and folders, captions and annotations."
        ),
    ] = False,
    where: Where = None,
    min_probability: Annotated[
        float | None,
        typer.Option("--min-probability", metavar="P", min=0, max=1, help="Drop hits with a lower match probability."),
    ] = None,
    index: Index = DEFAULT_INDEX,
    model: Model = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Find images by text, by example image, or both."""
    if no_rerank and min_probability is not None:
        raise typer.BadParameter(
            "--min-probability needs reranking, which computes the probabilities; leave out --no-rerank"
        )
    if text is None and image is None:
        raise typer.BadParameter("give TEXT, --image FILE, or both")
    if text is None and min_probability is not None:
        raise typer.BadParameter("--min-probability needs TEXT: it is the probability that an image matches it")
    exclusions, filters = without or (), where or ()
    with _engine(index, model, device) as engine:
        if text is not None:
            answer = engine.search_images(
                text,
                image=image,
                without=exclusions,
                k=k,
                depth=depth,
                rerank=not no_rerank,
                keywords=not no_keywords,
                where=filters,
                min_probability=min_probability,
            )
        else:
            answer = engine.similar_images(cast(Path, image), without=exclusions, k=k, where=filters)
    if json:
        print_json(answer.as_dict())
    else:
        print_hits(answer.hits, answer.timings_ms)
        if answer.no_match and answer.hits:
            message("No good match: these are only the nearest pictures.", style="yellow")


def captions(
    image: Picture,
    k: Count = 5,
    bank: Annotated[
        Path | None, typer.Option("--bank", metavar="FILE", help="More captions to choose from, one per line.")
    ] = None,
    depth: Depth = 100,
    no_rerank: NoRerank = False,
    index: Index = DEFAULT_INDEX,
    model: Model = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Find captions for an image, among those of the index or else those of the built-in caption bank that fit."""
    lines = _read_bank(bank) if bank else None
    with _engine_or_bank(index, model, device) as engine:
        answer = engine.find_captions(image, k=k, depth=depth, rerank=not no_rerank, bank=lines)
    if json:
        print_json(answer.as_dict())
    else:
        print_captions(answer.hits, answer.timings_ms)


def similar(
    image: Picture,
    k: Count = 10,
    where: Where = None,
    index: Index = DEFAULT_INDEX,
    model: Model = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Find images similar to an image."""
    with _engine(index, model, device) as engine:
        answer = engine.similar_images(image, k=k, where=where or ())
    if json:
        print_json(answer.as_dict())
    else:
        print_hits(answer.hits, answer.timings_ms)


def explain(
    image: Picture,
    text: Annotated[str, typer.Argument(help="A sentence about the image.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.png", help="The PNG to write, a heat map for each word.")],
    index: Index = DEFAULT_INDEX,
    model: Model = None,
    device: Device = "auto",
) -> None:
    """Draw a heat map of where each word of a sentence appears in an image."""
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise InputError(f"--out {out}: the file name must end in .png, .jpg or .webp")
    with _engine_or_bank(index, model, device) as engine:
        explanation = engine.explain(image, text)
    out.parent.mkdir(parents=True, exist_ok=True)
    explanation.sheet().save(out)
    message(f"{len(explanation.words)} words → {out}", style="green")


@contextmanager
def _engine(index: Path, model: Path | None, device: str) -> Iterator[SearchEngine]:
    with SearchEngine.open(index, model=model_directory(model), device=device) as engine:
        yield engine


@contextmanager
def _engine_or_bank(index: Path, model: Path | None, device: str) -> Iterator[SearchEngine]:
    """Open the index; if there is none, one that holds only the caption bank, in the user's cache folder."""
    if (index / DATABASE).exists():
        with _engine(index, model, device) as engine:
            yield engine
        return
    encoder = load_encoder(model_directory(model), device=device)
    with (
        _bank_directory(encoder.fingerprint) as directory,
        Catalog.open(directory, create=True) as catalog,
        SearchEngine(ModelIndex(catalog, lambda: encoder)) as engine,
    ):
        yield engine


@contextmanager
def _bank_directory(fingerprint: str) -> Iterator[Path]:
    """The cache folder of the embedded caption bank; a temporary folder if the user's cache is not writable."""
    try:
        directory = user_cache_path("crosslook", appauthor=False) / fingerprint[:16]
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except (OSError, RuntimeError):  # platformdirs raises the latter if there is no home directory
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
    else:
        yield directory


def _read_bank(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not UTF-8"
        raise InputError(f"--bank {path} cannot be read: {reason}") from exc
    captions = [line.strip() for line in lines if line.strip()]
    if not captions:
        raise InputError(f"--bank {path} contains no captions; write one per line")
    return captions

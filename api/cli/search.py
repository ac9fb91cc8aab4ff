"""Commands that answer something: search, captions, similar, explain."""

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
Count = Annotated[int, typer.Option("-k", min=1, max=10_000, help="How many hits.")]


def search(
    text: Annotated[
        str | None,
        typer.Argument(
            help='What to look for, in a sentence; -word and -"two words" take away. Put -- before a text '
            "that begins with a hyphen. With --image it may be left out."
        ),
    ] = None,
    image: Annotated[
        Path | None, typer.Option("--image", metavar="FILE", help="A picture to look for as well.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="TEXT", help="Words to take away; may be given again.")
    ] = None,
    k: Count = 10,
    depth: Depth = 100,
    no_rerank: NoRerank = False,
    no_keywords: Annotated[
        bool, typer.Option("--no-keywords", help="Leave words of file names, folder names and captions out.")
    ] = False,
    where: Where = None,
    min_probability: Annotated[
        float | None, typer.Option("--min-probability", metavar="P", min=0, max=1, help="Leave out less likely hits.")
    ] = None,
    index: Index = DEFAULT_INDEX,
    model: Model = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Find images for a sentence, for a picture, or for both."""
    if no_rerank and min_probability is not None:
        raise typer.BadParameter("--min-probability needs reranking, which gives the probabilities")
    if text is None and image is None:
        raise typer.BadParameter("give TEXT, --image FILE, or both")
    if text is None and min_probability is not None:
        raise typer.BadParameter("--min-probability needs TEXT: it says how well a picture fits a sentence")
    away, filters = without or (), where or ()
    with _engine(index, model, device) as engine:
        if text is not None:
            answer = engine.search_images(
                text,
                image=image,
                without=away,
                k=k,
                depth=depth,
                rerank=not no_rerank,
                keywords=not no_keywords,
                where=filters,
                min_probability=min_probability,
            )
        else:
            answer = engine.similar_images(cast(Path, image), without=away, k=k, where=filters)
    if json:
        print_json(answer.as_dict())
    else:
        print_hits(answer.hits, answer.timings_ms)


def captions(
    image: Picture,
    k: Count = 5,
    bank: Annotated[
        Path | None, typer.Option("--bank", metavar="FILE", help="Further captions to choose from, one a line.")
    ] = None,
    depth: Depth = 100,
    no_rerank: NoRerank = False,
    index: Index = DEFAULT_INDEX,
    model: Model = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Find captions for an image: the index's own, else those of the bank that comes with crosslook."""
    lines = _bank(bank) if bank else None
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
    """Find images like an image."""
    with _engine(index, model, device) as engine:
        answer = engine.similar_images(image, k=k, where=where or ())
    if json:
        print_json(answer.as_dict())
    else:
        print_hits(answer.hits, answer.timings_ms)


def explain(
    image: Picture,
    text: Annotated[str, typer.Argument(help="A sentence about it.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.png", help="Where the heat maps go, one panel a word.")],
    index: Index = DEFAULT_INDEX,
    model: Model = None,
    device: Device = "auto",
) -> None:
    """Draw where in an image each word of a sentence is seen."""
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise InputError(f"--out {out}: give a name that ends in .png, .jpg or .webp")
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
    """The index; where there is none, one that holds the caption bank alone, kept in the user's cache."""
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
    """The user's cache of the caption bank; where it cannot be written to, a folder for this run alone."""
    try:
        directory = user_cache_path("crosslook", appauthor=False) / fingerprint[:16]
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except (OSError, RuntimeError):  # platformdirs raises the latter where there is no home directory
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
    else:
        yield directory


def _bank(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not UTF-8"
        raise InputError(f"--bank {path} cannot be read: {reason}") from exc
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise InputError(f"--bank {path} holds no caption; write one a line")
    return found

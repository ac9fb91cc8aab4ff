"""Manage the models of an index: add one beside the active one, switch, remove.

Embeddings are stored per model, so that a second one can embed while the first serves, and a switch updates one flag.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sqlalchemy import delete, insert, update

from encoders import Encoder
from encoders.progress import Progress, no_progress

from .catalog import schema
from .catalog.captions import bank_ids
from .catalog.catalog import VECTORS, Catalog
from .catalog.contents import catalog_stats
from .catalog.embeddings import bytes_per_item, unembedded_ids
from .catalog.images import images_by_id
from .catalog.paths import is_storable
from .catalog.records import BANK, EncoderRow, Kind
from .errors import ModelError
from .ingest.backfill import Unread, backfill
from .ingest.lock import indexing_lock, locked
from .vectors.rebuild import refresh

MIN_DIGITS = 6  # shortest prefix of a fingerprint that identifies a model


@dataclass(frozen=True)
class ModelState:
    """A model and how much of the index it has embedded; `bytes` estimates the size of its embeddings.

    `missing` counts unembedded images whose files are all missing; searches do not show these anyway.
    """

    name: str
    fingerprint: str
    dimension: int
    path: str | None
    active: bool
    images: int
    images_of: int
    captions: int
    captions_of: int
    missing: int
    bytes: int

    @property
    def unembedded(self) -> int:
        """Number of images and captions that a search with this model cannot find, without missing images."""
        return self.images_of - self.images - self.missing + self.captions_of - self.captions


@dataclass(frozen=True)
class AddReport:
    """The result of adding a model; `unread` lists images without a usable file."""

    state: ModelState
    images_added: int
    captions_added: int
    unread: list[Unread]
    stopped: bool
    seconds: float


def model_directory(catalog: Catalog, model: EncoderRow | None) -> Path | None:
    """The directory of a model; None for the base model, and for an index without a model.

    Raises:
        ModelError: the directory does not exist any more.
    """
    if model is None or model.path is None:
        return None
    if not Path(model.path).is_dir():
        raise ModelError(
            f"model {model.name} ({model.fingerprint[:12]}) of the index in {catalog.directory} is no longer in "
            f"{model.path}; if it moved, run: crosslook models add MODEL_DIR --index {catalog.directory}"
        )
    return Path(model.path)


def find_model(catalog: Catalog, name: str) -> EncoderRow:
    """Find a model by its name, or by the first digits of its fingerprint.

    Raises:
        ModelError: no model matches, or more than one.
    """
    models = catalog.encoders()
    matches = [model for model in models if model.name == name]
    if not matches and len(name) >= MIN_DIGITS:
        matches = [model for model in models if model.fingerprint.startswith(name.lower())]
    if len(matches) == 1:
        return matches[0]
    choices = ", ".join(f"{model.name} ({model.fingerprint[:12]})" for model in models) or "none"
    problem = "more than one model matches" if matches else "no model matches"
    raise ModelError(f"{problem} {name!r} in the index in {catalog.directory}; its models: {choices}")


def model_states(catalog: Catalog) -> list[ModelState]:
    """The state of every model of an index, the active one first."""
    return [_state(catalog, model) for model in catalog.encoders()]


def add_model(
    catalog: Catalog,
    encoder: Encoder,
    *,
    name: str | None = None,
    batch_size: int = 32,
    progress: Progress = no_progress,
    stop: threading.Event | None = None,
) -> AddReport:
    """Embed all images and captions of an index with another model. Searches keep using the active one.

    For a model of the index, embed only what is new, and update its directory, and its name if one is given. A run
    that was killed or stopped is resumed by the next.

    Args:
        catalog: an open index that is not empty.
        encoder: the model.
        name: its name in the index; None for its own name, with digits of its fingerprint if that is taken.
        batch_size: images per forward pass and transaction.
        progress: called as work goes on.
        stop: set it to stop after the current batch is committed.

    Raises:
        ModelError: the name is invalid or taken, or the index is empty.
        CatalogError: the catalog cannot be written.
    """
    start = time.perf_counter()
    model = _register(catalog, encoder, name)
    view = catalog.for_model(model.name, model.fingerprint)
    with indexing_lock(catalog.directory, f"adding-{model.fingerprint[:16]}.lock"):  # indexing may run concurrently
        outcome = backfill(view, encoder, batch_size=batch_size, progress=progress, stop=stop)
        refreshed = refresh(view, stop or threading.Event(), progress)
    seconds = time.perf_counter() - start
    stopped = outcome.stopped or not refreshed
    return AddReport(_state(catalog, model), outcome.images, outcome.captions, outcome.unread, stopped, seconds)


def switch_model(catalog: Catalog, name: str, *, incomplete: bool = False) -> tuple[EncoderRow, ModelState]:
    """Make another model the active one, in one transaction. Every search uses either one or the other.

    Args:
        catalog: an open index.
        name: name or fingerprint of the model to switch to.
        incomplete: allow a model that has not embedded everything; the rest is hidden until it is embedded.

    Returns:
        The previously active model, and the state of the new one.

    Raises:
        ModelError: there is no such model, its directory does not exist, or it is incomplete.
    """
    with catalog.transaction() as connection:  # blocks other writers, so that the counts stay valid
        model, previous = find_model(catalog, name), catalog.encoders()[0]
        directory = model_directory(catalog, model)
        state = _state(catalog, model)
        if state.unembedded and not incomplete:
            raise ModelError(
                f"{model.name} has embedded {state.images:,} of {state.images_of:,} images and {state.captions:,} of "
                f"{state.captions_of:,} captions; complete it with: crosslook models add {directory or 'base'} "
                f"--index {catalog.directory}; or switch anyway with --incomplete, which hides the rest"
            )
        connection.execute(update(schema.encoder).values(active=schema.encoder.c.id == model.id))
    return previous, replace(state, active=True)


@locked
def remove_model(catalog: Catalog, name: str) -> ModelState:
    """Delete a model's embeddings and FAISS files, but not its directory; return its last state.

    The database file keeps its size and reuses the space; `Catalog.vacuum` shrinks it.

    Raises:
        ModelError: there is no such model, or it is the active one.
    """
    with catalog.transaction() as connection:
        model = find_model(catalog, name)
        if model.active:
            raise ModelError(
                f"{model.name} ({model.fingerprint[:12]}) is the active model; switch to another one first: "
                f"crosslook models switch NAME --index {catalog.directory}"
            )
        state = _state(catalog, model)
        connection.execute(delete(schema.encoder).where(schema.encoder.c.id == model.id))  # cascades to its embeddings
    for file in (catalog.directory / VECTORS).glob(f"*-{model.fingerprint[:16]}*"):
        with suppress(OSError):  # a leftover cache file does no harm
            file.unlink()
    return state


def _register(catalog: Catalog, encoder: Encoder, name: str | None) -> EncoderRow:
    """Insert a model, or update its directory and name; return its row."""
    c = schema.encoder.c
    if name is not None and not (name.strip() and name.isprintable()):
        raise ModelError(f"{name!r} is not a valid model name; use printable characters")
    with catalog.transaction() as connection:
        models = catalog.encoders()
        if not models:
            raise ModelError(
                f"the index in {catalog.directory} is empty; fill it with: crosslook index FOLDER --model MODEL_DIR"
            )
        taken = {model.name for model in models if model.fingerprint != encoder.fingerprint}
        if name in taken:
            raise ModelError(
                f"the index in {catalog.directory} already has another model named {name}; choose a different --name"
            )
        existing = next((model for model in models if model.fingerprint == encoder.fingerprint), None)
        path = encoder.directory
        values = {"path": str(path) if path is not None and is_storable(path) else None}
        if existing is not None:
            values |= {"name": name} if name else {}
            connection.execute(update(schema.encoder).where(c.id == existing.id).values(values))
        else:
            suffix = f"-{encoder.fingerprint[:MIN_DIGITS]}" if encoder.name in taken else ""
            row = {"fingerprint": encoder.fingerprint, "dimension": encoder.dimension, "active": False}
            connection.execute(insert(schema.encoder).values(row | values | {"name": name or encoder.name + suffix}))
    return next(model for model in catalog.encoders() if model.fingerprint == encoder.fingerprint)


def _state(catalog: Catalog, model: EncoderRow) -> ModelState:
    view, stats = catalog.for_model(model.name, model.fingerprint), catalog_stats(catalog)
    unembedded = unembedded_ids(view, Kind.IMAGE).tolist()
    images = stats.images - len(unembedded)
    captions_of = sum(count for source, count in stats.captions.items() if source != BANK)  # embedded on first use
    captions = captions_of - len(np.setdiff1d(unembedded_ids(view, Kind.CAPTION), bank_ids(catalog)))
    size = images * bytes_per_item(view, Kind.IMAGE) + captions * bytes_per_item(view, Kind.CAPTION)
    return ModelState(
        name=model.name,
        fingerprint=model.fingerprint,
        dimension=model.dimension,
        path=model.path,
        active=model.active,
        images=images,
        images_of=stats.images,
        captions=captions,
        captions_of=captions_of,
        missing=sum(record.path is None for record in images_by_id(catalog, unembedded).values()),
        bytes=round(size),
    )

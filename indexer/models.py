"""Several models over one index: add one beside the active one, change over, change back, remove one.

Embeddings are kept by model, so a second one is embedded while the first answers, and changing over changes one mark.
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
from .ingest.backfill import Unread, complete
from .ingest.lock import indexing_lock, locked
from .vectors.rebuild import refresh

SHORTEST = 6  # digits of a fingerprint that stand for it


@dataclass(frozen=True)
class ModelState:
    """A model of an index and how much of it it has embedded; `bytes` is about what that takes in the catalog.

    `gone` counts those of the images not embedded whose files are all missing: no search shows them anyway.
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
    gone: int
    bytes: int

    @property
    def lacking(self) -> int:
        """How many images and captions a search with this model would not find, though the index has them."""
        return self.images_of - self.images - self.gone + self.captions_of - self.captions


@dataclass(frozen=True)
class AddReport:
    """What adding a model did, and how the model stands now; `unread` are images without a usable file."""

    state: ModelState
    images_added: int
    captions_added: int
    unread: list[Unread]
    stopped: bool
    seconds: float


def model_directory(catalog: Catalog, model: EncoderRow | None) -> Path | None:
    """Where a model of an index lies; None for the base model, and for an index that has none yet.

    Raises:
        ModelError: its directory is not there any more.
    """
    if model is None or model.path is None:
        return None
    if not Path(model.path).is_dir():
        raise ModelError(
            f"model {model.name} ({model.fingerprint[:12]}) of the index in {catalog.directory} is not in {model.path} "
            f"now; tell where it lies with: crosslook models add MODEL_DIR --index {catalog.directory}"
        )
    return Path(model.path)


def find_model(catalog: Catalog, given: str) -> EncoderRow:
    """The model of a name, or of the first digits of a fingerprint.

    Raises:
        ModelError: there is none, or more than one.
    """
    models = catalog.encoders()
    found = [model for model in models if model.name == given]
    if not found and len(given) >= SHORTEST:
        found = [model for model in models if model.fingerprint.startswith(given.lower())]
    if len(found) == 1:
        return found[0]
    held = ", ".join(f"{model.name} ({model.fingerprint[:12]})" for model in models) or "none"
    what = "more than one model is" if found else "no model is"
    raise ModelError(f"{what} called {given!r} in the index in {catalog.directory}; it has: {held}")


def model_states(catalog: Catalog) -> list[ModelState]:
    """Every model of an index, the active one first."""
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
    """Embed all images and captions of an index with a further model, beside what is there; searches go on as before.

    A model that is there already is brought up to date; where it lies is noted anew, and its name if one is given.
    A run that is killed or stopped is taken up by the next.

    Args:
        catalog: an open index with something in it.
        encoder: the model.
        name: what it is to be called; None for its own name, with digits of the fingerprint where that is taken.
        batch_size: pictures in one forward pass and one transaction.
        progress: called as work goes on.
        stop: set it to end after the batch in flight has been committed.

    Raises:
        ModelError: the name is taken or no name, or the index is empty.
        CatalogError: the catalog cannot be written.
    """
    began = time.perf_counter()
    model = _registered(catalog, encoder, name)
    seen = catalog.for_model(model.name, model.fingerprint)
    with indexing_lock(catalog.directory, f"adding-{model.fingerprint[:16]}.lock"):  # an indexer may run beside it
        done = complete(seen, encoder, batch_size=batch_size, progress=progress, stop=stop)
        whole = refresh(seen, stop or threading.Event(), progress)
    seconds = time.perf_counter() - began
    stopped = done.stopped or not whole
    return AddReport(_state(catalog, model), done.images, done.captions, done.unread, stopped, seconds)


def switch_model(catalog: Catalog, given: str, *, incomplete: bool = False) -> tuple[EncoderRow, ModelState]:
    """Make another model the active one, in one transaction; a search runs with the one or with the other.

    Args:
        catalog: an open index.
        given: name or fingerprint of the model to change to.
        incomplete: also where it has not embedded everything; what it lacks is hidden until it is embedded.

    Returns:
        The model that was active, and how the one stands that is now.

    Raises:
        ModelError: no such model, its directory is not there, or it is incomplete.
    """
    with catalog.transaction() as connection:  # from here on nobody else writes, so what is counted stays so
        model, before = find_model(catalog, given), catalog.encoders()[0]
        directory = model_directory(catalog, model)
        state = _state(catalog, model)
        if state.lacking and not incomplete:
            raise ModelError(
                f"{model.name} has embedded {state.images:,} of {state.images_of:,} images and {state.captions:,} of "
                f"{state.captions_of:,} captions; do the rest with: crosslook models add {directory or 'base'} "
                f"--index {catalog.directory}; or change over as it is, the rest hidden, with --incomplete"
            )
        connection.execute(update(schema.encoder).values(active=schema.encoder.c.id == model.id))
    return before, replace(state, active=True)


@locked
def remove_model(catalog: Catalog, given: str) -> ModelState:
    """Delete a model's embeddings and FAISS files; return how it stood. Its own directory is left alone.

    The database keeps its size and fills the space again; `Catalog.vacuum` gives it back.

    Raises:
        ModelError: no such model, or it is the active one.
    """
    with catalog.transaction() as connection:
        model = find_model(catalog, given)
        if model.active:
            raise ModelError(
                f"{model.name} ({model.fingerprint[:12]}) is the active model; change to another first with: "
                f"crosslook models switch NAME --index {catalog.directory}"
            )
        state = _state(catalog, model)
        connection.execute(delete(schema.encoder).where(schema.encoder.c.id == model.id))  # its embeddings go with it
    for file in (catalog.directory / VECTORS).glob(f"*-{model.fingerprint[:16]}*"):
        with suppress(OSError):  # a cache; a left-over file harms nobody
            file.unlink()
    return state


def _registered(catalog: Catalog, encoder: Encoder, name: str | None) -> EncoderRow:
    """A model's row, made if it has none yet; its directory and name are brought up to date."""
    c = schema.encoder.c
    if name is not None and not (name.strip() and name.isprintable()):
        raise ModelError(f"{name!r} cannot be a model's name; give it some letters")
    with catalog.transaction() as connection:
        models = catalog.encoders()
        if not models:
            raise ModelError(
                f"the index in {catalog.directory} is empty; fill it with: crosslook index FOLDER --model MODEL_DIR"
            )
        others = {model.name for model in models if model.fingerprint != encoder.fingerprint}
        if name in others:
            raise ModelError(f"another model is called {name} in the index in {catalog.directory}; give another --name")
        known = next((model for model in models if model.fingerprint == encoder.fingerprint), None)
        path = encoder.directory
        values = {"path": str(path) if path is not None and is_storable(path) else None}
        if known is not None:
            values |= {"name": name} if name else {}
            connection.execute(update(schema.encoder).where(c.id == known.id).values(values))
        else:
            own = encoder.name if encoder.name not in others else f"{encoder.name}-{encoder.fingerprint[:SHORTEST]}"
            row = {"fingerprint": encoder.fingerprint, "dimension": encoder.dimension, "active": False}
            connection.execute(insert(schema.encoder).values(row | values | {"name": name or own}))
    return next(model for model in catalog.encoders() if model.fingerprint == encoder.fingerprint)


def _state(catalog: Catalog, model: EncoderRow) -> ModelState:
    seen, whole = catalog.for_model(model.name, model.fingerprint), catalog_stats(catalog)
    bare = unembedded_ids(seen, Kind.IMAGE).tolist()
    images = whole.images - len(bare)
    own = {source: count for source, count in whole.captions.items() if source != BANK}  # a bank is embedded on use
    captions_of = sum(own.values())
    captions = captions_of - len(np.setdiff1d(unembedded_ids(seen, Kind.CAPTION), bank_ids(catalog)))
    size = images * bytes_per_item(seen, Kind.IMAGE) + captions * bytes_per_item(seen, Kind.CAPTION)
    return ModelState(
        name=model.name,
        fingerprint=model.fingerprint,
        dimension=model.dimension,
        path=model.path,
        active=model.active,
        images=images,
        images_of=whole.images,
        captions=captions,
        captions_of=captions_of,
        gone=sum(record.path is None for record in images_by_id(catalog, bare).values()),
        bytes=round(size),
    )

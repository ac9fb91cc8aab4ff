"""One model of an index, loaded when first needed, and its vectors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from encoders import Encoder, Floats
from indexer import Catalog, VectorIndex
from indexer.catalog.embeddings import vector_ids
from indexer.catalog.images import hidden_image_ids, image_ids_where
from indexer.catalog.records import EncoderRow, Kind
from indexer.errors import ModelError
from indexer.models import find_model

from .errors import UnknownModelError
from .stages.retrieve import Selection


class ModelIndex:
    """One model and its vectors. Threads can share it.

    `bank` maps the texts of the caption bank to their features, if the catalog cannot store them.
    """

    def __init__(self, catalog: Catalog, load: Callable[[], Encoder]) -> None:
        """Load nothing yet.

        Args:
            catalog: an open index, bound to the model if that is known (`Catalog.for_model`).
            load: loads the model.
        """
        self.catalog = catalog
        self.lock = threading.RLock()
        self.bank: dict[str, tuple[Floats, Floats]] = {}
        self._load = load
        self._encoder: Encoder | None = None
        self._vectors: dict[Kind, VectorIndex] = {}

    @property
    def loaded(self) -> Encoder | None:
        """The model, or None if no query has needed it yet."""
        return self._encoder

    @property
    def encoder(self) -> Encoder:
        """The model, loaded by the first thread that needs it and checked against the index.

        Raises:
            EncoderMismatchError: the index does not hold this model.
            CheckpointError: the model cannot be loaded.
        """
        with self.lock:
            if self._encoder is None:
                encoder = self._load()
                catalog = self.catalog.for_model(encoder.name, encoder.fingerprint)
                catalog.active_encoder()  # raises if the index does not hold it
                self.catalog, self._encoder = catalog, encoder
            return self._encoder

    def current(self) -> ModelIndex:
        """This model, which answers every query."""
        return self

    def named(self, name: str) -> ModelIndex:
        """This model, if it has that name or fingerprint prefix.

        Raises:
            UnknownModelError: no model of the index matches, several do, or another one does.
        """
        if find_row(self.catalog, name).fingerprint != self.encoder.fingerprint:
            raise UnknownModelError(f"this server only answers with model {self.encoder.name}, not with {name!r}")
        return self

    def vectors(self, kind: Kind) -> VectorIndex:
        """The vector index of a kind, up to date with the catalog."""
        with self.lock:
            previous = self._vectors.get(kind)
            index = VectorIndex.open(self.catalog, kind) if previous is None else previous.refreshed()
            self._vectors[kind] = index
            return index

    def select(self, where: Sequence[str], top: int | None = None) -> Selection:
        """Select the images that match all filters, have a file, and have an id up to `top`.

        Raises:
            FilterError: a filter does not parse.
        """
        hidden = hidden_image_ids(self.catalog)
        if top is not None:
            hidden = np.union1d(hidden, vector_ids(self.catalog, Kind.IMAGE, above=top))
        return Selection(image_ids_where(self.catalog, where) if where else None, hidden)


def find_row(catalog: Catalog, name: str) -> EncoderRow:
    """The model of an index with a name or a fingerprint prefix.

    Raises:
        UnknownModelError: no model matches, or several do; the message lists the index's models.
    """
    try:
        return find_model(catalog, name)
    except ModelError as exc:
        models = ", ".join(f"{row.name} ({row.fingerprint[:12]})" for row in catalog.encoders()) or "none"
        raise UnknownModelError(f"no single model of the index is called {name!r}; its models: {models}") from exc

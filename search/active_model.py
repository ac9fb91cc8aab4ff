"""The model that answers a query: a given one, or the one that is active in the index at the time."""

from __future__ import annotations

import threading
from pathlib import Path

from encoders import Encoder, load_encoder
from indexer import Catalog
from indexer.catalog.records import EncoderRow
from indexer.models import model_directory

from .model_index import ModelIndex, find_row

OTHERS = 1
"""Number of models that stay loaded beside the active one."""


class ActiveModel:
    """Follows the active model of an index.

    Each model has its own `ModelIndex`, so no answer mixes two models: a running query ends with the model it started
    with, and later ones wait until the new model is loaded.
    """

    def __init__(self, catalog: Catalog, device: str = "auto", workers: int = 1) -> None:
        self.catalog = catalog
        self._device, self._workers = device, workers
        self._lock = threading.RLock()
        self._row: EncoderRow | None = None
        self._current: ModelIndex | None = None
        self._others: dict[EncoderRow, ModelIndex] = {}

    def current(self) -> ModelIndex:
        """The active model; opens it if another one was active before."""
        with self._lock:
            active = self.catalog.active_encoder()
            if self._current is None or active != self._row:
                self._current, self._row = self._open(active), active
            return self._current

    def named(self, name: str) -> ModelIndex:
        """Any model of the index. The last `OTHERS` requested models stay loaded beside the active one.

        Raises:
            UnknownModelError: no model has that name or fingerprint prefix, or several do.
        """
        row = find_row(self.catalog, name)
        with self._lock:
            current = self.current()
            if row == self._row:
                return current
            model = self._others.pop(row, None)
            if model is None:
                catalog = self.catalog.for_model(row.name, row.fingerprint)
                model = ModelIndex(catalog, lambda: self._load(row))
            self._others = dict([*self._others.items(), (row, model)][-OTHERS:])
            return model

    def _open(self, active: EncoderRow | None) -> ModelIndex:
        if active is None:
            return ModelIndex(self.catalog, lambda: self._load(self.catalog.active_encoder()))
        catalog = self.catalog.for_model(active.name, active.fingerprint)
        loaded = None if self._current is None else self._current.loaded
        if loaded is not None and loaded.fingerprint == active.fingerprint:
            return ModelIndex(catalog, lambda: loaded)
        return ModelIndex(catalog, lambda: self._load(active))

    def _load(self, row: EncoderRow | None) -> Encoder:
        return load_model(self.catalog, row, device=self._device, workers=self._workers)


def open_models(
    path: Path, encoder: Encoder | None, model: Path | None, *, device: str, workers: int
) -> ModelIndex | ActiveModel:
    """Open an index for a loaded model, for the model in a directory, or else for its active model.

    Raises:
        IndexNotFoundError, CatalogVersionError, CatalogError: the index cannot be used.
        CheckpointError: `model` cannot be loaded.
    """
    if encoder is None and model is not None:
        encoder = load_encoder(model, device=device, workers=workers)
    catalog = Catalog.open(path)
    if encoder is None:
        return ActiveModel(catalog, device, workers)
    fixed = encoder
    return ModelIndex(catalog.for_model(fixed.name, fixed.fingerprint), lambda: fixed)


def load_model(catalog: Catalog, row: EncoderRow | None, *, device: str = "auto", workers: int = 1) -> Encoder:
    """Load a model of an index from its directory; for an index without a model, the base model.

    Raises:
        ModelError: the directory does not exist any more.
        EncoderMismatchError: the directory contains another model.
        CheckpointError: the directory contains no usable model.
    """
    encoder = load_encoder(model_directory(catalog, row), device=device, workers=workers)
    if row is not None and encoder.fingerprint != row.fingerprint:
        raise catalog.mismatch(row, encoder.name, encoder.fingerprint)
    return encoder

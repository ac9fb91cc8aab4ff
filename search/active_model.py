"""An engine that goes over to another model when the index does, without being opened anew."""

from __future__ import annotations

from encoders import Encoder
from indexer import Catalog
from indexer.catalog.records import EncoderRow

from .engine import SearchEngine, load_model

OTHERS = 1
"""Models that are kept beside the active one."""


class FollowingEngine(SearchEngine):
    """Answers each query with the model that is active when it comes.

    Every model has an engine of its own with its own vectors, so nothing of two models meets in one answer: queries
    under way end with the model they began with, later ones wait until the new one is loaded.
    """

    def __init__(self, catalog: Catalog, device: str = "auto", workers: int = 1) -> None:
        super().__init__(catalog, lambda: self._load_model(catalog.active_encoder()))
        self._device, self._workers = device, workers
        self._of: EncoderRow | None = None
        self._engine: SearchEngine | None = None
        self._others: dict[EncoderRow, SearchEngine] = {}

    @property
    def encoder(self) -> Encoder:
        """The active model."""
        return self.now().encoder

    def now(self) -> SearchEngine:
        """The engine of the active model, made anew when that has changed."""
        active = self.catalog.active_encoder()
        with self._lock:
            if self._engine is None or active != self._of:
                self._engine, self._of = self._engine_of(active), active
            return self._engine

    def by_model(self, given: str) -> SearchEngine:
        """Any model of the index; beside the active one, the last `OTHERS` that were asked for stay loaded."""
        row, engine = self._row_of(given), self.now()
        if row == self._of:
            return engine
        with self._lock:
            found = self._others.pop(row, None)
            if found is None:
                seen = self.catalog.for_model(row.name, row.fingerprint)
                found = SearchEngine(seen, lambda: self._load_model(row))
            self._others = dict([*self._others.items(), (row, found)][-OTHERS:])
            return found

    def _engine_of(self, active: EncoderRow | None) -> SearchEngine:
        there = None if self._engine is None else self._engine.loaded
        if active is None:
            return SearchEngine(self.catalog, self._load)
        seen = self.catalog.for_model(active.name, active.fingerprint)
        if there is not None and there.fingerprint == active.fingerprint:
            return SearchEngine(seen, lambda: there)
        return SearchEngine(seen, lambda: self._load_model(active))

    def _load_model(self, active: EncoderRow | None) -> Encoder:
        return load_model(self.catalog, active, device=self._device, workers=self._workers)

"""Readiness: model and index are loaded, and the catalog can be read."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from encoders import EncodersError
from indexer import Catalog, IndexerError
from search import SearchError

RETRY_SECONDS = 5.0

LOADING = "Model and index are loading."
UNREADABLE = "The index cannot be read. See the server log."
UNUSABLE = "The model or the index cannot be loaded; retrying. See the server log."

logger = logging.getLogger("crosslook")


class Readiness:
    """The state behind `/readyz`. Its reasons contain no paths, since anyone may ask."""

    def __init__(self, catalog: Catalog, prepare: Callable[[], None] | None = None) -> None:
        """Create the state; `start` begins loading.

        Args:
            catalog: catalog of the index.
            prepare: loads what the server needs to be ready, if anything.
        """
        self._catalog, self._prepare = catalog, prepare
        self._reason = None if prepare is None else LOADING
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Prepare in a thread, retrying until it succeeds or `close` is called."""
        if self._prepare is not None:
            self._thread = threading.Thread(target=self._load, args=(self._prepare,), name="loading", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop retrying; does not wait for the thread."""
        self._stop.set()

    @property
    def loading(self) -> bool:
        """Whether the loading thread is running."""
        return self._thread is not None and self._thread.is_alive()

    def fault(self) -> str | None:
        """Why the server is not ready; None if it is ready."""
        if self._reason is not None:
            return self._reason
        try:
            self._catalog.check_readable()
        except IndexerError as exc:
            logger.warning("not ready: %s", exc)
            return UNREADABLE
        return None

    def _load(self, prepare: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                prepare()
            except (EncodersError, IndexerError, SearchError) as exc:
                logger.error("not ready: %s", exc)  # noqa: TRY400  expected: no traceback
            except Exception:  # else the thread would die, and the server never be ready
                logger.exception("not ready")
            else:
                self._reason = None
                logger.info("ready")
                return
            self._reason = UNUSABLE
            self._stop.wait(RETRY_SECONDS)

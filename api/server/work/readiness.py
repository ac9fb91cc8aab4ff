"""Whether the server can answer: model and index are loaded, and the catalog can still be read."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from encoders import EncodersError
from indexer import Catalog, IndexerError
from search import SearchError

AGAIN_SECONDS = 5.0

LOADING = "model and index are being loaded"
UNREADABLE = "the index cannot be read; the server's log tells why"
UNUSABLE = "model or index cannot be used; the server's log tells why, and loading is tried again"

logger = logging.getLogger("crosslook")


class Readiness:
    """What `/readyz` says. Its reasons name no path: anybody may ask."""

    def __init__(self, catalog: Catalog, prepare: Callable[[], None] | None = None) -> None:
        """Args: the index, and what must have been done before the server is ready, if anything."""
        self._catalog, self._prepare = catalog, prepare
        self._reason = None if prepare is None else LOADING
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Prepare in a thread, until it succeeds, or fails after `close` was called."""
        if self._prepare is not None:
            self._thread = threading.Thread(target=self._load, args=(self._prepare,), name="loading", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Do not try again. What is being loaded is not waited for."""
        self._stop.set()

    @property
    def loading(self) -> bool:
        """Whether the thread that prepares has not ended."""
        return self._thread is not None and self._thread.is_alive()

    def fault(self) -> str | None:
        """Why the server is not ready; None if it is."""
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
                logger.error("not ready: %s", exc)  # noqa: TRY400  foreseen: no traceback
            except Exception:  # a thread that dies in silence would leave the server unready without a reason
                logger.exception("not ready")
            else:
                self._reason = None
                logger.info("ready")
                return
            self._reason = UNUSABLE
            self._stop.wait(AGAIN_SECONDS)

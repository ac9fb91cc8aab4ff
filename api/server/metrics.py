"""What Prometheus reads at `/metrics`: counted as it happens, or looked up when it is asked for.

Labels take few values: routes by their template, never a path, and methods and statuses that HTTP knows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from indexer.catalog.contents import count_items
from indexer.errors import CatalogError
from search import SearchEngine

from .work.jobs import Jobs
from .work.readiness import Readiness
from .work.worker_pool import WorkerPool

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCHES = (1, 2, 4, 8, 16, 32)

logger = logging.getLogger("crosslook.metrics")


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "crosslook_requests", "Requests answered.", ("route", "method", "status"), registry=self._registry
        )
        self._latency = Histogram(
            "crosslook_request_seconds", "Time of requests.", ("route",), registry=self._registry, buckets=SECONDS
        )
        self._stages = Histogram(
            "crosslook_stage_seconds",
            "Time of a stage of searches.",
            ("stage",),
            registry=self._registry,
            buckets=SECONDS,
        )

    def watch(self, collector: Collector) -> None:
        """Add what is looked up when it is asked for."""
        self._registry.register(collector)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(route, method, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def stages(self, milliseconds: dict[str, float]) -> None:
        """Count the stages of an answer; their sum is no stage."""
        for stage, time in milliseconds.items():
            if stage != "total":
                self._stages.labels(stage).observe(time / 1000)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)


class Present(Collector):
    """How the server is at the moment."""

    def __init__(self, engine: SearchEngine, work: WorkerPool, jobs: Jobs, readiness: Readiness) -> None:
        self._engine, self._work, self._jobs, self._readiness = engine, work, jobs, readiness

    def describe(self) -> list[Metric]:
        """Nothing in advance: it would be collected for that."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Each gauge."""
        work = self._work
        yield GaugeMetricFamily("crosslook_requests_running", "Requests in a thread.", work.accepted - work.waiting)
        yield GaugeMetricFamily("crosslook_requests_waiting", "Requests that wait for a thread.", work.waiting)
        running = float(self._jobs.running is not None)
        yield GaugeMetricFamily("crosslook_indexing_running", "Whether an indexing job of this server runs.", running)
        ready = float(self._readiness.fault() is None)
        yield GaugeMetricFamily("crosslook_ready", "Whether /readyz says yes.", ready)
        if ready:  # else the model may be loading, and nobody should wait for that
            try:
                yield self._batches()
                yield from self._index()
            except CatalogError as exc:
                logger.warning("the index cannot be counted: %s", exc)

    def _batches(self) -> Metric:
        """Sentences that were encoded together; the model counts them itself."""
        sizes: dict[int, int] = dict(getattr(self._engine.now().loaded, "batch_sizes", {}))
        below = [(str(float(most)), sum(n for size, n in sizes.items() if size <= most)) for most in BATCHES]
        return HistogramMetricFamily(
            "crosslook_text_batch_sentences",
            "Sentences encoded as one batch.",
            [*below, ("+Inf", sum(sizes.values()))],
            sum(size * n for size, n in sizes.items()),
        )

    def _index(self) -> Iterator[Metric]:
        catalog = self._engine.catalog
        for name, count in count_items(catalog).items():
            yield GaugeMetricFamily(f"crosslook_index_{name}s", f"{name.capitalize()}s in the index.", count)
        model = catalog.active_encoder()
        if model is not None:
            facts = {"name": model.name, "fingerprint": model.fingerprint}
            yield InfoMetricFamily("crosslook_model", "The active model.", facts)

"""Prometheus metrics for `/metrics`.

Labels have few values: route templates, never paths, and only the methods and statuses that HTTP defines.
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
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds
BATCH_SIZE_BUCKETS = (1, 2, 4, 8, 16, 32)

logger = logging.getLogger("crosslook.metrics")


class Metrics:
    """The metrics of one application, in their own registry."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "crosslook_requests", "Requests answered.", ("route", "method", "status"), registry=self._registry
        )
        self._latency = Histogram(
            "crosslook_request_seconds",
            "Duration of requests.",
            ("route",),
            registry=self._registry,
            buckets=BUCKETS,
        )
        self._stages = Histogram(
            "crosslook_stage_seconds",
            "Duration of a search stage.",
            ("stage",),
            registry=self._registry,
            buckets=BUCKETS,
        )

    def watch(self, collector: Collector) -> None:
        """Register a collector, which is queried on each scrape."""
        self._registry.register(collector)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(route, method, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def stages(self, milliseconds: dict[str, float]) -> None:
        """Record the duration of each stage of a search, without their total."""
        for stage, time in milliseconds.items():
            if stage != "total":
                self._stages.labels(stage).observe(time / 1000)

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self._registry)


class StateCollector(Collector):
    """Gauges of the server's current state."""

    def __init__(self, engine: SearchEngine, work: WorkerPool, jobs: Jobs, readiness: Readiness) -> None:
        self._engine, self._work, self._jobs, self._readiness = engine, work, jobs, readiness

    def describe(self) -> list[Metric]:
        """Nothing: describing the gauges would mean collecting them."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All gauges; those about model and index only when the server is ready."""
        work = self._work
        yield GaugeMetricFamily(
            "crosslook_requests_running", "Requests handled by a thread.", work.accepted - work.waiting
        )
        yield GaugeMetricFamily("crosslook_requests_waiting", "Requests waiting for a thread.", work.waiting)
        running = float(self._jobs.running is not None)
        yield GaugeMetricFamily("crosslook_indexing_running", "Whether this server runs an indexing job.", running)
        ready = float(self._readiness.fault() is None)
        yield GaugeMetricFamily("crosslook_ready", "Whether /readyz reports ready.", ready)
        if ready:  # else the scrape might wait for a loading model
            try:
                yield self._batches()
                yield from self._index()
            except CatalogError as exc:
                logger.warning("cannot read the index statistics: %s", exc)

    def _batches(self) -> Metric:
        """Text batch sizes, counted by the encoder, as a histogram."""
        sizes: dict[int, int] = dict(getattr(self._engine.now().loaded, "batch_sizes", {}))
        buckets = [(str(float(le)), sum(n for size, n in sizes.items() if size <= le)) for le in BATCH_SIZE_BUCKETS]
        return HistogramMetricFamily(
            "crosslook_text_batch_sentences",
            "Sentences encoded as one batch.",
            [*buckets, ("+Inf", sum(sizes.values()))],
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

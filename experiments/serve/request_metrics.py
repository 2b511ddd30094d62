"""Metrics of requests for Prometheus: requests, errors, rows, seconds and rows of a network call."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096)

disable_created_metrics()  # type: ignore[no-untyped-call]  # times of creation, which are no metrics of requests


class RequestMetrics:
    """Metrics of the requests for predictions since the server started."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, namespace="evenhand", registry=self.registry)
        histogram = partial(Histogram, namespace="evenhand", registry=self.registry)
        self.requests = counter("requests", "Requests for predictions, by the status of HTTP.", ("status",))
        self.errors = counter("errors", "Requests that were refused.")
        self.rows = counter("rows", "Rows that were predicted.")
        self.seconds = histogram("request_seconds", "From a request to its answer.", buckets=SECONDS)
        self.batches = histogram("batch_rows", "Rows of a network call, of one request or several.", buckets=ROWS)

    def add_response(self, status: int, seconds: float) -> None:
        """Counts a response by its HTTP status."""
        self.requests.labels(status).inc()
        if status >= 400:
            self.errors.inc()
        self.seconds.observe(seconds)

    def add_rows(self, rows: int, batch: int) -> None:
        """Counts the rows of a response, and those of the network call if this is its first response, else 0."""
        self.rows.inc(rows)
        if batch:
            self.batches.observe(batch)

    def text(self) -> bytes:
        """Returns the metrics in Prometheus' text format."""
        return generate_latest(self.registry)

"""Counts of requests, rows, errors, seconds and batches, as the text that Prometheus reads."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096)


class Histogram:
    """Values by upper bounds, cumulated when they are written.

    Args:
        bounds: Of the buckets, rising.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds, self.counts, self.sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def lines(self, name: str, told: str) -> list[str]:
        """In Prometheus' text format."""
        sums = accumulate(self.counts)
        buckets = [f'{name}_bucket{{le="{bound}"}} {count}'
                   for bound, count in zip([*map(str, self.bounds), "+Inf"], sums, strict=True)]  # fmt: skip
        return [f"# HELP {name} {told}", f"# TYPE {name} histogram", *buckets, f"{name}_sum {self.sum:.9g}",
                f"{name}_count {sum(self.counts)}"]  # fmt: skip


class Counts:
    """What happened to requests for predictions since the server started."""

    def __init__(self) -> None:
        self.requests: Counter[int] = Counter()
        self.rows = 0
        self.seconds, self.batches = Histogram(SECONDS), Histogram(ROWS)

    def add(self, status: int, rows: int, batch: int, seconds: float) -> None:
        """Count an answer.

        Args:
            status: Of HTTP.
            rows: That were predicted.
            batch: Rows of the network call, where this is the first answer of it; else 0.
            seconds: From the request to the answer.
        """
        self.requests[status] += 1
        self.rows += rows
        self.seconds.add(seconds)
        if batch:
            self.batches.add(batch)

    def text(self) -> str:
        """In Prometheus' text format."""
        requests, rows, errors = (f"evenhand_{name}_total" for name in ("requests", "rows", "errors"))
        failed = sum(count for status, count in self.requests.items() if status >= 400)
        lines = [
            f"# HELP {requests} Requests for predictions, by the status of HTTP.",
            f"# TYPE {requests} counter",
            *(f'{requests}{{status="{status}"}} {count}' for status, count in sorted(self.requests.items())),
            f"# HELP {errors} Requests that were refused.",
            f"# TYPE {errors} counter",
            f"{errors} {failed}",
            f"# HELP {rows} Rows that were predicted.",
            f"# TYPE {rows} counter",
            f"{rows} {self.rows}",
            *self.seconds.lines("evenhand_request_seconds", "From a request to its answer."),
            *self.batches.lines("evenhand_batch_rows", "Rows of a network call, of one request or several."),
        ]
        return "\n".join(lines) + "\n"

"""What the process that listens and the one that predicts say to each other; read by both, and free of torch."""

from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

WRONG, TOO_LARGE, OTHER_KIND, UNFIT = 400, 413, 415, 422
"""HTTP status codes for a body that is unreadable, too large, of another kind, or unfit for the model."""


class Refused(Exception):  # noqa: N818  # what happened, as an answer says it
    """A request that cannot be answered.

    Args:
        status: Of HTTP, 400 to 499.
        sentence: What is wrong, where, and what to do.
        bad: The rows that cannot be predicted, and why.
    """

    def __init__(self, status: int, sentence: str, bad: list[dict[str, Any]] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.bad = status, sentence, bad or []


JSON, CSV, IMAGE = "application/json", "text/csv", "image/"

ROWS, BATCH = "evenhand-rows", "evenhand-batch"
"""Headers of an answer: rows of the request, and on the first of a network call the rows of all its requests."""


class Body(NamedTuple):
    """What a request holds: its content type without parameters, in small letters, and its bytes."""

    kind: str
    content: bytes


@dataclass(frozen=True)
class Settings:
    """What a person asked for.

    Args:
        path: A run's folder, or a checkpoint.
        told: Where to say what goes in and comes out, or why the run cannot be had.
        device: auto, cpu or cuda.
        packages: That are to be trusted.
        max_rows: Rows of a request at most.
        threads: Of the network; torch's own number where it is None.
        precision: Of the network's arithmetic, 32 or bf16.
        compile: Whether ``torch.compile`` makes the network faster.
    """

    path: str
    told: Connection
    device: str
    packages: list[str]
    max_rows: int
    threads: int | None
    precision: str
    compile: bool

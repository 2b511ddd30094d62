"""Settings of the server, and its requests and refusals; free of torch."""

from dataclasses import dataclass
from typing import Any, NamedTuple

WRONG, STALLED, TOO_LARGE, OTHER_KIND, UNFIT = 400, 408, 413, 415, 422
"""HTTP status of a body that is unreadable, incomplete, too large, of another content type, or unfit for the model."""
BUG = 500
"""HTTP status code of an error that the request is not to blame for."""
HEADER_BYTES = 16 << 10
"""Most bytes of a request's line and headers."""
IDLE_SECONDS = 20
"""Seconds in which the head of a connection's next request has to arrive, and every further piece of its body."""


class Refused(Exception):  # noqa: N818  # the name that responses use
    """A request that cannot be answered: HTTP status, error message, and bad rows, each with its reason."""

    def __init__(self, status: int, sentence: str, bad: list[dict[str, Any]] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.bad = status, sentence, bad or []


class Body(NamedTuple):
    """Body of a request: its content type without parameters, in lower case, and its bytes."""

    kind: str
    content: bytes


@dataclass(frozen=True)
class Settings:
    """Options of the network."""

    paths: tuple[str, ...]  # a run's folder, a checkpoint, or an artefact's folder; several runs predict together
    device: str = "auto"  # auto, cpu or cuda
    packages: tuple[str, ...] = ()  # trusted packages of the user
    max_rows: int = 10_000  # most rows of a request
    threads: int | None = None  # threads of the network; None for torch's default
    precision: str = "32"  # arithmetic of the network, 32 or bf16
    compile: bool = False  # compile the network with ``torch.compile``

"""The exception of a request that cannot be answered, with a status of HTTP."""

from typing import Any

WRONG, TOO_LARGE, OTHER_KIND, UNFIT = 400, 413, 415, 422
"""HTTP's words for a body that cannot be read, is too large, is of another kind, and does not fit the model."""


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

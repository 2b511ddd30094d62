"""Many requests at once: their rows in one network call, and an answer for each as if it had come alone."""

from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import polars
from polars.exceptions import PanicException, PolarsError

from datamodules import DataError
from experiments.inference.base import Answering
from experiments.serve.request_body import read_body
from experiments.serve.request_rows import Source, as_source, merged
from experiments.serve.server_settings import UNFIT, Body, Refused

UNREADABLE = (PolarsError, PanicException, OverflowError)
"""What polars says of odd values; a panic is no Exception, and would end the process."""


@dataclass
class Reply:
    """An answer.

    Args:
        status: Of HTTP.
        content: Plain values for JSON.
        rows: How many were predicted.
        batch: Rows of all requests of the network call, where this is its first; else 0.
    """

    status: int
    content: dict[str, Any]
    rows: int = 0
    batch: int = 0


@dataclass
class _Whole:
    """What came of one source, or of several as one."""

    rows: polars.DataFrame
    bad: polars.DataFrame
    counts: Counter[str]
    notes: tuple[str, ...]


class Answers:
    """From requests to answers.

    Args:
        predictor: What predicts.
        max_rows: Rows of a request at most.
    """

    def __init__(self, predictor: Answering, max_rows: int) -> None:
        self.predictor, self.max_rows = predictor, max_rows

    def __call__(self, bodies: list[Body]) -> list[Reply]:
        """An answer for each request, in their order."""
        replies: dict[int, Reply] = {}
        groups: defaultdict[Hashable, list[tuple[int, Source]]] = defaultdict(list)
        for place, body in enumerate(bodies):
            try:
                source = read_body(body, self.predictor.inputs, self.max_rows)
                groups[("alone", place) if source.key is None else source.key].append((place, source))
            except (Refused, DataError, *UNREADABLE) as error:
                replies[place] = _refusal(error)
        for group in groups.values():
            replies |= self._answer(group)
        return [replies[place] for place in range(len(bodies))]

    def _answer(self, group: list[tuple[int, Source]]) -> dict[int, Reply]:
        """Of sources that may be predicted as one; each by itself where one of them does not fit.

        A source of several has a prediction for each of its rows, but for bad ones, in their order.
        """
        try:
            whole = self._predict(merged([source.value for _, source in group]))
        except (Refused, DataError, *UNREADABLE) as error:
            if len(group) == 1:
                return {group[0][0]: _refusal(error)}
            return {place: reply for one in group for place, reply in self._answer([one]).items()}
        replies, first = {}, 0
        plain = (
            []
            if len(group) == 1 or len(whole.bad) or whole.counts or not _finite(whole.rows).all()
            else _plain(whole.rows)
        )
        for place, source in group:
            if plain:
                own = plain[first : first + source.rows]
                for row, prediction in enumerate(own):
                    prediction["row"] = row
                replies[place] = Reply(200, {"predictions": own, "notes": [*whole.notes]}, len(own))
            else:
                replies[place] = _reply(whole if len(group) == 1 else self._part(whole, source, first))
            first += source.rows
        replies[group[0][0]].batch = len(whole.rows)
        return replies

    def _predict(self, value: Any) -> _Whole:
        parts = list(self.predictor.chunks(as_source(value)))
        if not parts:
            raise Refused(UNFIT, "there is no row to predict")
        return _Whole(
            polars.concat([part.rows for part in parts]),
            polars.concat([part.bad for part in parts]),
            sum((part.counts for part in parts), Counter[str]()),
            parts[0].notes,
        )

    def _part(self, whole: _Whole, source: Source, first: int) -> _Whole:
        """Of one request, whose rows begin there."""
        inside = polars.col("row").is_between(first, first + source.rows - 1)
        rows, bad = (frame.filter(inside).with_columns(polars.col("row") - first) for frame in (whole.rows, whole.bad))
        counts: Counter[str] = Counter()
        if whole.counts:  # of which request is not said
            for chunk in self.predictor.inputs.chunks(as_source(source.value)):
                counts.update(chunk.counts)
        return _Whole(rows, bad, counts, whole.notes)


def _reply(whole: _Whole) -> Reply:
    bad = whole.bad.select("row", "reason").rows()
    finite = _finite(whole.rows)
    odd = whole.rows["row"].filter(~finite).to_list()
    bad = sorted(
        [*bad, *((row, "the model gives no finite number for it; its values may be too large") for row in odd)]
    )
    if bad:
        row, reason = bad[0]
        told = [{"row": row, "reason": reason} for row, reason in bad]
        return _refusal(Refused(UNFIT, f"row {row} cannot be predicted: {reason}", told))
    if not len(whole.rows):
        return _refusal(Refused(UNFIT, "there is no row to predict"))
    notes = [*whole.notes, *(f"{what}: {count:,} of {len(whole.rows):,} rows" for what, count in whole.counts.items())]
    return Reply(200, {"predictions": _plain(whole.rows), "notes": notes}, len(whole.rows))


def _finite(rows: polars.DataFrame) -> polars.Series:
    """Of which rows all numbers are finite; JSON has no others."""
    return rows.select(finite=polars.all_horizontal(polars.selectors.float().is_finite()))["finite"]


def _plain(rows: polars.DataFrame) -> list[dict[str, Any]]:
    """A prediction for each row: its ids, its class, labels or values, and probabilities by name."""
    plain: dict[str, list[Any]] = {}
    groups = {"prediction_": "prediction", "probability_": "probabilities"}
    for prefix, name in groups.items():
        columns = {one.removeprefix(prefix): rows[one].to_list() for one in rows.columns if one.startswith(prefix)}
        if columns:
            plain[name] = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    single = {name: rows[name].to_list() for name in rows.columns if not name.startswith(tuple(groups))}
    every = {**single, **plain}
    return [dict(zip(every, values, strict=True)) for values in zip(*every.values(), strict=True)]


def _refusal(error: BaseException) -> Reply:
    if isinstance(error, Refused):
        return Reply(error.status, {"error": error.sentence} | ({"bad": error.bad} if error.bad else {}))
    sentence = " ".join(str(error).split())
    if not isinstance(error, DataError):
        sentence = f"the rows cannot be read: {sentence[:200] or type(error).__name__}; correct them"
    return Reply(UNFIT, {"error": sentence})

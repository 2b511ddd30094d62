"""Batching of requests: their rows in one network call, and a reply to each as if it had come alone."""

from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import polars
from polars.exceptions import PanicException, PolarsError

from datamodules import DataError
from datamodules.preprocessing.json_rows import Source, as_source, concatenated
from experiments.inference.base import Answering, Predicted
from experiments.serve.request_body import read_body
from experiments.serve.server_settings import UNFIT, Body, Refused

UNREADABLE = (PolarsError, PanicException, OverflowError)
"""Errors of polars for odd values; a panic is no Exception, and would end the thread."""


@dataclass
class Reply:
    """Reply to a request."""

    status: int  # of HTTP
    content: dict[str, Any]  # JSON values
    rows: int = 0  # number of predicted rows
    batch: int = 0  # rows of all requests of the network call, if this is the first of them; else 0


@dataclass
class Answers:
    """Predicts requests of at most ``max_rows`` rows."""

    predictor: Answering
    max_rows: int

    def __call__(self, bodies: list[Body]) -> list[Reply]:
        """Returns a reply to each request, in their order."""
        replies: dict[int, Reply] = {}
        groups: defaultdict[Hashable, list[tuple[int, Source]]] = defaultdict(list)
        for index, body in enumerate(bodies):
            try:
                source = read_body(body, self.predictor.inputs, self.max_rows)
                groups[("alone", index) if source.key is None else source.key].append((index, source))
            except (Refused, DataError, *UNREADABLE) as error:
                replies[index] = _refusal(error)
        for group in groups.values():
            replies |= self._answer(group)
        return [replies[index] for index in range(len(bodies))]

    def _answer(self, group: list[tuple[int, Source]]) -> dict[int, Reply]:
        """Answers sources of one key together, or each by itself if one of them does not fit.

        Each of several sources has a prediction for each of its good rows, in their order.
        """
        try:
            result = self._predict(concatenated([source.value for _, source in group]))
        except (Refused, DataError, *UNREADABLE) as error:
            if len(group) == 1:
                return {group[0][0]: _refusal(error)}
            return {index: reply for request in group for index, reply in self._answer([request]).items()}
        replies, first = {}, 0
        plain = (
            []
            if len(group) == 1 or len(result.bad) or result.counts or not _finite(result.rows).all()
            else _plain(result.rows)
        )
        for index, source in group:
            if plain:
                own = plain[first : first + source.rows]
                for row, prediction in enumerate(own):
                    prediction["row"] = row
                replies[index] = Reply(200, {"predictions": own, "notes": [*result.notes]}, len(own))
            else:
                replies[index] = _reply(result if len(group) == 1 else self._slice(result, source, first))
            first += source.rows
        replies[group[0][0]].batch = len(result.rows)
        return replies

    def _predict(self, value: Any) -> Predicted:
        pieces = list(self.predictor.chunks(as_source(value)))
        if not pieces:
            raise Refused(UNFIT, "there is no row to predict")
        return Predicted(
            polars.concat([piece.rows for piece in pieces]),
            polars.concat([piece.bad for piece in pieces]),
            sum((piece.counts for piece in pieces), Counter[str]()),
            pieces[0].notes,
            done=1.0,
        )

    def _slice(self, result: Predicted, source: Source, first: int) -> Predicted:
        """Returns the predictions of one request, whose rows begin at ``first``."""
        inside = polars.col("row").is_between(first, first + source.rows - 1)
        rows, bad = result.rows.filter(inside), result.bad.filter(inside)
        own_row = polars.col("row") - first
        counts: Counter[str] = Counter()
        if result.counts:  # of all requests together
            for chunk in self.predictor.inputs.chunks(as_source(source.value)):
                counts.update(chunk.counts)
        return replace(result, rows=rows.with_columns(own_row), bad=bad.with_columns(own_row), counts=counts)


def _reply(result: Predicted) -> Reply:
    bad = result.bad.select("row", "reason").rows()
    finite = _finite(result.rows)
    odd = result.rows["row"].filter(~finite).to_list()
    bad = sorted(
        [*bad, *((row, "the model gives no finite number for it; its values may be too large") for row in odd)]
    )
    if bad:
        row, reason = bad[0]
        rows = [{"row": row, "reason": reason} for row, reason in bad]
        return _refusal(Refused(UNFIT, f"row {row} cannot be predicted: {reason}", rows))
    if not len(result.rows):
        return _refusal(Refused(UNFIT, "there is no row to predict"))
    notes = [
        *result.notes,
        *(f"{note}: {count:,} of {len(result.rows):,} rows" for note, count in result.counts.items()),
    ]
    return Reply(200, {"predictions": _plain(result.rows), "notes": notes}, len(result.rows))


def _finite(rows: polars.DataFrame) -> polars.Series:
    """Returns which rows have finite numbers alone; JSON has no others."""
    return rows.select(finite=polars.all_horizontal(polars.selectors.float().is_finite()))["finite"]


def _plain(rows: polars.DataFrame) -> list[dict[str, Any]]:
    """Returns a JSON object for each row: its ids, its class, labels or values, and probabilities by name."""
    plain: dict[str, list[Any]] = {}
    groups = {"prediction_": "prediction", "probability_": "probabilities"}
    for prefix, name in groups.items():
        columns = {
            column.removeprefix(prefix): rows[column].to_list() for column in rows.columns if column.startswith(prefix)
        }
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

"""Batching of requests: their rows in one network call, and a reply to each as if it had come alone."""

from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import polars
from polars.exceptions import PanicException, PolarsError

from datamodules import DataError
from datamodules.preprocessing.json_rows import Source, as_source, concatenated, reason_of
from experiments.inference.base import Answering, Predicted
from experiments.serve.request_body import read_body
from experiments.serve.server_settings import UNFIT, Body, Refused

UNREADABLE = (Refused, DataError, PolarsError, PanicException, OverflowError)
"""Errors for odd requests and values; a panic of polars is no Exception, and would end the thread."""


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
            except UNREADABLE as error:
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
        except UNREADABLE as error:
            if len(group) == 1:
                return {group[0][0]: _refusal(error)}
            return {index: reply for request in group for index, reply in self._answer([request]).items()}
        if len(group) == 1:
            return {group[0][0]: replace(_reply(result), batch=len(result.rows))}
        replies, first = {}, 0
        plain = [] if len(result.bad) or result.counts else _plain(result.rows)
        for index, source in group:
            if plain:
                own = [{**row, "row": number} for number, row in enumerate(plain[first : first + source.rows])]
                replies[index] = Reply(200, {"predictions": own, "notes": [*result.notes]}, len(own))
            else:
                replies[index] = _reply(self._slice(result, source, first))
            first += source.rows
        replies[group[0][0]].batch = len(result.rows)
        return replies

    def _predict(self, value: Any) -> Predicted:
        pieces = list(self.predictor.chunks(as_source(value)))
        if not pieces:
            raise Refused(UNFIT, "there is no row to predict")
        return replace(
            pieces[-1],
            rows=polars.concat([piece.rows for piece in pieces]),
            bad=polars.concat([piece.bad for piece in pieces]),
            counts=sum((piece.counts for piece in pieces), Counter[str]()),
            notes=pieces[0].notes,
        )

    def _slice(self, whole: Predicted, source: Source, first: int) -> Predicted:
        """Returns the predictions of one request, whose rows begin at ``first``."""
        inside = polars.col("row").is_between(first, first + source.rows - 1)
        rows, bad = (frame.filter(inside).with_columns(polars.col("row") - first) for frame in (whole.rows, whole.bad))
        counts: Counter[str] = Counter()
        if whole.counts:  # of all requests together
            for chunk in self.predictor.inputs.chunks(as_source(source.value)):
                counts.update(chunk.counts)
        return replace(whole, rows=rows, bad=bad, counts=counts)


def _reply(result: Predicted) -> Reply:
    if len(result.bad):
        bad = result.bad.select("row", "reason").sort("row").to_dicts()
        return _refusal(Refused(UNFIT, f"row {bad[0]['row']} cannot be predicted: {bad[0]['reason']}", bad))
    if not len(result.rows):
        return _refusal(Refused(UNFIT, "there is no row to predict"))
    counted = [f"{note}: {count:,} of {len(result.rows):,} rows" for note, count in result.counts.items()]
    return Reply(200, {"predictions": _plain(result.rows), "notes": [*result.notes, *counted]}, len(result.rows))


def _plain(rows: polars.DataFrame) -> list[dict[str, Any]]:
    """Returns a JSON object for each row: its ids, its class, labels or values, and probabilities by name.

    A prediction set is a list of names.
    """
    groups = {"prediction_": "prediction", "probability_": "probabilities", "in_set_": "set"}
    groups |= {"lower_": "lower", "upper_": "upper"}
    plain = {name: rows[name].to_list() for name in rows.columns if not name.startswith(tuple(groups))}
    for prefix, name in groups.items():
        columns = {column.removeprefix(prefix): rows[column] for column in rows.columns if column.startswith(prefix)}
        if columns:
            plain[name] = polars.DataFrame(columns).to_dicts()
    if "set" in plain:
        plain["set"] = [[name for name, is_inside in row.items() if is_inside] for row in plain["set"]]
    return [dict(zip(plain, values, strict=True)) for values in zip(*plain.values(), strict=True)]


def _refusal(error: BaseException) -> Reply:
    if isinstance(error, Refused):
        return Reply(error.status, {"error": error.sentence} | ({"bad": error.bad} if error.bad else {}))
    if isinstance(error, DataError):
        return Reply(UNFIT, {"error": " ".join(str(error).split())})
    return Reply(UNFIT, {"error": f"the rows cannot be read: {reason_of(error)}; correct them"})

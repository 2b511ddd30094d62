"""Replies of a predictor without a network: rows and notes of each request, in one call or alone."""

import json
from collections.abc import Iterator
from typing import Any

import polars
import pytest
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.preprocessing.inputs import Chunk, numbered, partition
from datamodules.preprocessing.json_rows import read_objects, read_texts
from experiments.inference.base import Answering
from experiments.serve.batching import Answers, Reply
from experiments.serve.server_settings import Body

PIECE = 3  # rows of a chunk


class Numbers:
    """Inputs of one column ``x``: negative values are bad rows, values above 9 are noted, and 99 raises an error."""

    def row_readers(self) -> dict[str, Any]:
        return {"objects": lambda rows: read_objects(rows, {"x": ("numeric", "Int64")}), "texts": read_texts}

    def chunks(self, source: polars.DataFrame | list[str]) -> Iterator[Chunk]:
        if not isinstance(source, polars.DataFrame):
            return  # texts have no rows
        for first in range(0, len(source), PIECE):
            column = source["x"].cast(polars.Float64)[first : first + PIECE]
            if (column == 99).any():
                raise DataError("99 is\nno number")
            reasons = {index: f"{value} is negative" for index, value in enumerate(column) if value < 0}
            good, ids, bad = partition(numbered(len(column), first), reasons)
            x = torch.tensor(column.to_list(), dtype=torch.float64)[good]
            counts = {"above 9": int((x > 9).sum())} if (x > 9).any() else {}
            yield Chunk(ids, {"x": x}, bad, counts, ("of the source",))


class Doubling(Answering):
    """Predicts twice the value, and counts its calls."""

    calls = 0

    def compute(self, chunk: Chunk) -> Tensor:
        self.calls += 1
        return chunk.tensors["x"][:, None] * 2


def replies(*requests: list[Any], max_rows: int = 10) -> list[Reply]:
    answers = Answers(Doubling("regression", Numbers()), max_rows)
    rows = [[{"x": value} if isinstance(value, int | float) else value for value in request] for request in requests]
    return answers([Body("application/json", json.dumps({"rows": some}).encode()) for some in rows])


def predictions(*values: float) -> list[dict[str, float]]:
    return [{"row": row, "prediction": 2 * value} for row, value in enumerate(values)]


def test_rows_of_several_requests_are_one_batch() -> None:
    first, second, third = replies([1, 2], [3], [4, 5, 6])
    assert first == Reply(200, {"predictions": predictions(1, 2), "notes": ["of the source"]}, rows=2, batch=6)
    assert second == Reply(200, {"predictions": predictions(3), "notes": ["of the source"]}, rows=1)
    assert third == Reply(200, {"predictions": predictions(4, 5, 6), "notes": ["of the source"]}, rows=3)


def test_requests_of_different_types_are_batches_of_their_own() -> None:
    """Texts and numbers in a column are of different keys, and a column of both is of none."""
    found = replies([1], [{"x": "2"}], [3, {"x": "4"}], [5], [6, {"x": "7"}])
    assert [reply.content["predictions"] for reply in found] == [
        predictions(1), predictions(2), predictions(3, 4), predictions(5), predictions(6, 7)
    ]  # fmt: skip
    assert [reply.batch for reply in found] == [2, 1, 2, 0, 2]


def test_a_note_counts_the_rows_of_its_request() -> None:
    first, second, third = replies([10, 2], [1], [11, 12, 13, 1])
    assert first.content == {"predictions": predictions(10, 2), "notes": ["of the source", "above 9: 1 of 2 rows"]}
    assert second.content == {"predictions": predictions(1), "notes": ["of the source"]}
    notes = ["of the source", "above 9: 3 of 4 rows"]
    assert third.content == {"predictions": predictions(11, 12, 13, 1), "notes": notes}
    assert [reply.batch for reply in (first, second, third)] == [7, 0, 0]
    (alone,) = replies([11, 12, 13, 14, 1])
    assert alone.content["notes"] == ["of the source", "above 9: 4 of 5 rows"]


def test_a_bad_row_is_an_error_of_its_request() -> None:
    first, second, third = replies([1, -2, -3], [4, 5], [-6])
    rows = [{"row": 1, "reason": "-2.0 is negative"}, {"row": 2, "reason": "-3.0 is negative"}]
    assert first == Reply(422, {"error": "row 1 cannot be predicted: -2.0 is negative", "bad": rows}, 0, batch=3)
    assert second == Reply(200, {"predictions": predictions(4, 5), "notes": ["of the source"]}, 2, batch=0)
    rows = [{"row": 0, "reason": "-6.0 is negative"}]
    assert third == Reply(422, {"error": "row 0 cannot be predicted: -6.0 is negative", "bad": rows}, 0, batch=0)


def test_a_request_that_does_not_fit_is_refused_alone() -> None:
    first, second, third = replies([1], [99], [2, 3])
    assert first == Reply(200, {"predictions": predictions(1), "notes": ["of the source"]}, rows=1, batch=1)
    assert second == Reply(422, {"error": "99 is no number"})
    assert third == Reply(200, {"predictions": predictions(2, 3), "notes": ["of the source"]}, rows=2, batch=2)


def test_refusals_are_in_the_order_of_the_requests() -> None:
    found = replies([1] * 11, [1], [], [1, {"y": 2}], ["a text"])
    assert [reply.status for reply in found] == [413, 200, 422, 422, 422]
    assert found[0].content == {"error": "there are 11 rows and at most 10 are taken; send them in parts"}
    assert found[2].content == {"error": "there is no row to predict"}
    assert found[3].content["error"].startswith("row 1 has no column x and row 0 has one; ")
    assert found[4].content == {"error": "there is no row to predict"}


def test_a_table_that_polars_cannot_build_is_refused() -> None:
    (reply,) = replies([{"x": "no number"}])
    assert reply.status == 422
    assert reply.content["error"].startswith("the rows cannot be read: ")
    assert reply.content["error"].endswith("; correct them")


@pytest.mark.parametrize("requests", [[[1]], [[1], [2]]], ids=["alone", "together"])
def test_classes_and_labels_are_named(requests: list[list[int]]) -> None:
    class Labels(Doubling):
        def compute(self, chunk: Chunk) -> Tensor:
            return torch.tensor([[0.25, 0.75]], dtype=torch.float64).expand(len(chunk.ids), 2)

    bodies = [
        Body("application/json", json.dumps({"rows": [{"x": value} for value in some]}).encode()) for some in requests
    ]
    for task, prediction in (("multilabel", {"a": 0, "b": 1}), ("multiclass", "b")):
        for reply in Answers(Labels(task, Numbers(), ("a", "b")), 10)(bodies):
            row = {"row": 0, "prediction": prediction, "probabilities": {"a": 0.25, "b": 0.75}}
            assert reply.content["predictions"] == [row]

"""Requests that are predicted in one network call get the responses that each would get alone."""

import json
from typing import Any

import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people_table import people
from tiny_data import QUICK

from experiments.__main__ import main
from experiments.inference.predictor import load
from experiments.serve.batching import Answers
from experiments.serve.server_settings import Body

GOOD, INFINITE, HUGE = "good", "infinite", "huge"
REQUESTS = st.lists(
    st.lists(st.sampled_from([GOOD, GOOD, GOOD, INFINITE, HUGE]), min_size=1, max_size=4), min_size=2, max_size=6
)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("served")
    people(200).write_csv(root / "people.csv")
    words = f"fit --data TableData --data.path {root}/people.csv --data.target label --data.drop id --model LitMLP "
    words += "--model.hidden [64] --trainer.max_epochs 1 --seed_everything 0 --figures false "
    words += f"--experiment e --run one --trainer.default_root_dir {root}"
    assert main(words.split()) == 0
    return load(root / "runs/e/one", "cpu")


@settings(QUICK, max_examples=30)
@given(requests=REQUESTS, seed=st.integers(0, 99))
def test_no_row_of_another_request_is_in_a_response(predictor: Any, requests: list[list[str]], seed: int) -> None:
    """Numbers that are infinite or beyond float32 are refused ahead of the network, by row."""
    frame = people(sum(map(len, requests)), seed=seed).drop("id", "label")
    frame = frame.with_columns(polars.col("joined").cast(polars.String), age=40, city=polars.lit("Rome"))
    wanted = predictor.predict(frame)["probability_yes"].to_list()
    rows, first = frame.to_dicts(), 0
    bodies, expected = [], []
    for request in requests:
        own = [row | {GOOD: {}, INFINITE: {"income": 10**400}, HUGE: {"income": 1e308}}[kind]
               for row, kind in zip(rows[first:], request, strict=False)]  # fmt: skip
        bodies.append(Body("application/json", json.dumps({"rows": own}).encode()))
        expected.append(wanted[first : first + len(request)])
        first += len(request)
    replies = Answers(predictor, 500)(bodies)
    is_called = any(GOOD in request for request in requests)
    assert sum(reply.batch > 0 for reply in replies) == is_called, "the requests were not predicted together"
    for request, reply, probabilities in zip(requests, replies, expected, strict=True):
        bad = [row for row, kind in enumerate(request) if kind != GOOD]
        assert reply.status == (422 if bad else 200), reply.content
        if bad:
            assert [row["row"] for row in reply.content["bad"]] == bad
            reasons = {INFINITE: "not finite", HUGE: "within float32"}
            assert all(reasons[request[row["row"]]] in row["reason"] for row in reply.content["bad"])
            assert reply.content["error"].startswith(f"row {bad[0]} cannot be predicted")
        else:
            predictions = reply.content["predictions"]
            assert [row["row"] for row in predictions] == list(range(len(request)))
            assert [row["probabilities"]["yes"] for row in predictions] == pytest.approx(probabilities, abs=1e-6)

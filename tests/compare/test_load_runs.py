"""``evenhand compare`` with unfinished or broken runs: it lists them, and compares the others."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest
from compared_groups import TARGET, Output, group
from handmade_runs import guesses, record_run
from hypothesis import given
from hypothesis import strategies as st
from tiny_data import QUICK

from experiments.__main__ import main
from experiments.compare import scoring

STATES = {
    "running": "still running",
    "interrupted": "interrupted",
    "diverged": "diverged",
    "failed": "failed",
    "untested": "not tested",
}


def test_unfinished_and_broken_runs_are_listed_and_stop_nothing(tmp_path: Path, compare_output: Output) -> None:
    group(tmp_path / "good", 1.0, 2)
    bad = tmp_path / "bad"
    for state in STATES:
        group(bad, 1.0, 1, name=state, status=state)
    for name in ("half", "foreign", "empty", "unwritten", "without", "cut", "fewer", "others", "edited", "nan"):
        group(bad, 1.0, 1, name=name)
    half = bad / "half-0" / "record.json"
    half.write_text(half.read_text()[:200])
    (bad / "foreign-0" / "record.json").write_text('{"runs": []}')
    (bad / "empty-0" / "record.json").write_text("")
    (bad / "unwritten-0" / "record.json").rename(bad / "unwritten-0" / "record.json.new")
    (bad / "without-0" / "predictions.parquet").unlink()
    cut = bad / "cut-0" / "predictions.parquet"
    cut.write_bytes(cut.read_bytes()[:-100])
    change(bad / "fewer-0", rows={"train": 100, "test": 300})
    change(bad / "edited-0", metrics={"test/accuracy": 0.99})
    shutil.rmtree(bad / "others-0")
    record_run(bad / "others-0", TARGET, numpy.eye(3)[TARGET], row=numpy.arange(200) + 7, seed=50)
    change(bad / "nan-0", seed=51, hyperparameters=None)
    output = compare_output(tmp_path)
    listed = dict(line.strip().split(": ", 1) for line in output.partition("left out:")[2].splitlines() if ": " in line)
    reasons = {Path(path).name.removesuffix("-0"): reason for path, reason in listed.items()}
    for state, word in STATES.items():
        assert word in reasons[state]
    for name in ("half", "empty", "nan"):
        assert reasons[name] == "its record.json cannot be read"
    assert reasons["foreign"] == "its record.json lacks 'status'"
    assert reasons["unwritten"] == "its record was never completely written"
    assert reasons["without"] == "its predictions.parquet is missing"
    assert reasons["cut"] == "its predictions.parquet cannot be read"
    assert reasons["fewer"] == "has predictions for 200 of its 300 test rows"
    assert "other test rows" in reasons["others"]
    assert "0.9900 in its record" in reasons["edited"]
    assert " LitMLP  2 " in output


def change(folder: Path, **changes: Any) -> None:
    path = folder / "record.json"
    content = json.loads(path.read_text())
    content["hyperparameters"]["model.number"] = str(folder)  # or it would be the same run once more
    path.write_text(json.dumps(content | changes))


@pytest.fixture(scope="module")
def one_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzzed") / "runs"
    group(folder, 1.0, 2)
    return folder


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@QUICK
@given(data=st.data())
def test_no_record_stops_the_others(one_run: Path, data: st.DataObject) -> None:
    folder = one_run.parent / "other" / "one"
    if not folder.exists():
        record_run(folder, TARGET, guesses(numpy.random.default_rng(1), TARGET, 1.0), seed=9)
        (folder / "kept").write_text((folder / "record.json").read_text())
    content = json.loads((folder / "kept").read_text())
    content[data.draw(st.sampled_from(sorted(content)))] = data.draw(PLAIN)
    (folder / "record.json").write_text(json.dumps(content))
    assert main(["compare", str(one_run), str(folder), "--format", "json"]) == 0


@QUICK
@given(at=st.integers(0, 3000), byte=st.integers(0, 255))
def test_no_predictions_file_stops_the_others(one_run: Path, at: int, byte: int) -> None:
    folder = one_run.parent / "damaged" / "one"
    path = folder / "predictions.parquet"
    if not folder.exists():
        record_run(folder, TARGET, guesses(numpy.random.default_rng(1), TARGET, 1.0), seed=9)
        (folder / "kept").write_bytes(path.read_bytes())
    content = bytearray((folder / "kept").read_bytes())
    content[at % len(content)] = byte
    path.write_bytes(content[: len(content) - (at % 7)])
    assert main(["compare", str(one_run), str(folder), "--format", "json"]) == 0


def test_predictions_are_read_once(tmp_path: Path, compare_json: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    group(tmp_path / "a", 1.0, 3)
    (tmp_path / "a/LitMLP-0/predictions.parquet").write_bytes(b"")
    read: list[str] = []
    whole = scoring.read_predictions
    monkeypatch.setattr(
        scoring, "read_predictions", lambda path, *options: read.append(path.name) or whole(path, *options)
    )
    (only,) = compare_json(tmp_path)["blocks"][0]["groups"]
    assert only["n"] == 2
    assert sorted(read) == ["LitMLP-0", "LitMLP-1", "LitMLP-2"]

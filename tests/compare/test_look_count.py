"""``evenhand compare`` counts the looks at the test rows, and says what choosing the best of them does."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest
from compared_groups import TARGET, Output, group
from handmade_runs import guesses, record_run

from experiments.compare.statistics.bayesian_bootstrap import Resamples
from experiments.compare.statistics.selection_optimism import selection_optimism
from experiments.run.record.look_ledger import LEDGER, Look, append_look


def look(run: Path, checkpoint: str, command: str = "fit", **changes: Any) -> Look:
    """Returns a look at the rows of a handmade run."""
    record = json.loads((run / "record.json").read_text())
    fields = {"data": record["fingerprints"]["data"], "split": record["fingerprints"]["split"], "rows": "ids"}
    fields |= {"metrics": {"loss": 0.1}} | changes
    return Look("2026", command, run.parent.name, run.name, "best.ckpt", checkpoint, count=200, **fields)


def seen(run: Path, checkpoint: str, command: str = "fit", **changes: Any) -> None:
    for folder in (run, run.parent.parent):
        append_look(look(run, checkpoint, command, **changes), folder)


def counts(content: Any) -> tuple[int, ...]:
    found = content["blocks"][0]["test_looks"]
    return tuple(found[name] for name in ("total", "here", "beside", "gone", "from_records", "damaged"))


def test_looks_are_counted_by_these_runs_by_others_and_by_deleted_ones(tmp_path: Path, compare_json: Any) -> None:
    root = tmp_path / "runs"
    here, beside = group(root / "a", 1.0, 3), group(root / "b", 2.0, 2, "LitCNN")
    for index, run in enumerate((*here, *beside)):
        seen(run, str(index))
        seen(run, str(index), "test")  # the same checkpoint again
    seen(here[0], "last", "test")
    assert counts(compare_json(root / "a")) == (6, 4, 2, 0, 0, 0)
    assert counts(compare_json(here[0])) == (6, 2, 4, 0, 0, 0)
    assert counts(compare_json(root)) == (6, 6, 0, 0, 0, 0)
    shutil.rmtree(beside[0])
    assert counts(compare_json(root / "a")) == (6, 4, 1, 1, 0, 0)
    shutil.rmtree(root / "b")
    assert counts(compare_json(root / "a")) == (6, 4, 0, 2, 0, 0)
    shutil.copytree(here[0], root / "c" / "copy")
    assert counts(compare_json(root / "a")) == (6, 4, 0, 2, 0, 0)
    moved = Path(shutil.move(here[0], tmp_path / "elsewhere" / "moved"))
    assert counts(compare_json(moved)) == (2, 2, 0, 0, 0, 0)


def test_looks_at_other_rows_do_not_count(tmp_path: Path, compare_json: Any) -> None:
    root = tmp_path / "runs"
    (run,) = group(root / "a", 1.0, 1)
    seen(run, "0")
    seen(run, "1", "test", data="others")
    seen(run, "2", "test", split="other", rows="other ids")
    assert counts(compare_json(run)) == (1, 1, 0, 0, 0, 0)
    seen(run, "3", "test", split="fewer train rows")  # the same test rows
    assert counts(compare_json(run)) == (2, 2, 0, 0, 0, 0)


def test_runs_without_a_ledger_count_by_their_records(
    tmp_path: Path, compare_json: Any, compare_output: Output
) -> None:
    root = tmp_path / "runs"
    old = group(root / "a", 1.0, 2)
    (fresh,) = group(root / "a", 2.0, 1, "LitCNN")
    seen(fresh, "0")
    record_run(root / "b" / "killed", TARGET, guesses(numpy.random.default_rng(0), TARGET, 1.0), status="interrupted")
    assert counts(compare_json(root / "a")) == (3, 3, 0, 0, 2, 0)
    shutil.copytree(old[0], root / "c" / "copy")
    assert counts(compare_json(root)) == (3, 3, 0, 0, 2, 0)
    # A later version tests the checkpoint of the record again, whose metrics are the same, and then another one.
    seen(old[0], "1", "test", metrics={"loss": 0.5})
    seen(old[1], "2", "test", metrics={"loss": 0.6})
    shutil.rmtree(root / "c")
    assert counts(compare_json(root)) == (4, 4, 0, 0, 1, 0)
    text = "Looks at these test rows: 4 (4 by these runs, 1 of them known from records without a ledger)."
    assert text in compare_output(root)


def test_damaged_ledgers_are_named_and_the_rest_is_counted(tmp_path: Path, compare_output: Output) -> None:
    root = tmp_path / "runs"
    (run,) = group(root / "a", 1.0, 1)
    seen(run, "0")
    with (run / LEDGER).open("a") as file:
        file.write('{"half": \n')
    (root / LEDGER).unlink()
    (root / LEDGER).mkdir()
    output = compare_output(run)
    assert "Looks at these test rows: 1 (1 by these runs, 2 damaged lines not counted)." in output


def test_one_line_has_the_optimism_in_every_format(tmp_path: Path, compare_json: Any, compare_output: Output) -> None:
    root = tmp_path / "runs"
    runs = [*group(root / "a", 1.0, 4), *group(root / "a", 1.0, 4, "LitCNN")]
    for index, run in enumerate(runs):
        seen(run, str(index))
    found = compare_json(root)["blocks"][0]["test_looks"]
    assert found["candidates"] == 8
    assert 0.005 < found["optimism"] < 0.08
    lines = [line for line in compare_output(root).splitlines() if line.startswith("Looks at")]
    assert len(lines) == 1
    assert re.search(r"The best of the 8 runs is expected to be \.\d+ worse on new rows", lines[0])
    for style in ("markdown", "latex"):
        assert "The best of the 8 runs is expected" in compare_output(root, "--format", style)
    csv = compare_output(root, "--format", "csv").splitlines()
    assert csv[0].startswith("block,data,metric,test_looks,optimism,group,")
    assert csv[1].startswith(f"1,Blobs,accuracy,8,{found['optimism']},")


def test_over_several_splits_the_best_group_is_chosen(tmp_path: Path, compare_output: Output) -> None:
    root = tmp_path / "runs"
    generator = numpy.random.default_rng(0)
    for split in range(3):
        for model in ("LitMLP", "LitCNN"):
            row = numpy.arange(200) + 200 * split
            folder = root / "a" / f"{model}{split}"
            record_run(folder, TARGET, guesses(generator, TARGET, 1.0), model=model, split=str(split), row=row)
    assert "6 by these runs" in compare_output(root)
    assert "The best of the 2 groups is expected" in compare_output(root)


def test_a_single_candidate_or_one_without_a_value_has_no_optimism() -> None:
    values = numpy.random.default_rng(0).normal(size=(3, 201))
    values[1, 0] = values[2, 7] = numpy.nan
    assert numpy.isnan(selection_optimism(values[:1], 100))
    assert numpy.isnan(selection_optimism(values, 100))
    assert numpy.isnan(selection_optimism(values[:, :1].repeat(201, axis=1), 1))
    assert selection_optimism(numpy.full((4, 201), 0.7), 100) == 0


def test_of_equal_candidates_the_optimism_is_the_expected_maximum_of_their_noise() -> None:
    """That of ten standard normal values is 1.539 (Harter 1961)."""
    noise = numpy.random.default_rng(1).normal(0, 0.01, (400, 10, 201))
    noise[:, :, 0] = 0
    found = numpy.mean([selection_optimism(0.8 + each, 100_000) for each in noise])
    assert found == pytest.approx(0.01539, rel=0.03)


@pytest.mark.parametrize(("candidates", "spread"), [(2, 0.0), (10, 0.0), (10, 0.03), (10, 0.1)])
def test_the_expected_optimism_is_that_of_simulated_choices(candidates: int, spread: float) -> None:
    """The bootstrap that takes measured values for true ones finds .7 of it among equal candidates."""
    generator, rows, times = numpy.random.default_rng(candidates), 300, 300
    (weights,) = Resamples(numpy.arange(rows))
    weights = weights / weights.sum(axis=1, keepdims=True)
    expected, true = [], []
    for _ in range(times):
        skill = 0.7 + spread * generator.normal(size=candidates)
        easier = 0.3 * (generator.random(rows) - 0.5)
        right = (generator.random((candidates, rows)) < skill[:, None] + easier).astype(float)
        values = numpy.column_stack([right.mean(axis=1), right @ weights.T])
        expected.append(selection_optimism(values, rows))
        best = values[:, 0].argmax()
        true.append(values[best, 0] - numpy.clip(skill[best] + 0.3 * numpy.linspace(-0.5, 0.5, 99), 0, 1).mean())
    error = 2 * numpy.std(true) / numpy.sqrt(times)
    assert numpy.mean(expected) == pytest.approx(numpy.mean(true), rel=0.15, abs=error)

"""``evenhand compare`` prints checks of method below its table, and none about runs and groups as they should be."""

import re
from pathlib import Path
from typing import Any

import numpy
import pytest
from compared_groups import TARGET, Output, group
from handmade_runs import record_run

from experiments.__main__ import main
from experiments.compare.groups import blocks_of
from experiments.compare.load_runs import read_runs
from experiments.compare.method_notes import method_notes_of

BASELINE = {"parameters": 0, "deterministic": True}


def baseline(folder: Path, skill: float, model: str) -> None:
    group(folder, skill, 1, model, **BASELINE)


def checks(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("check: ")]


def wrong_rows(folder: Path, model: str, first: int, counts: list[int]) -> None:
    """Writes runs that are wrong in some rows from a first one on, a number of them for each seed."""
    for seed, count in enumerate(counts):
        answer = TARGET.copy()
        answer[first : first + count] = (answer[first : first + count] + 1) % 3
        record_run(folder / f"{model}-{seed}", TARGET, numpy.eye(3)[answer] * 0.8 + 0.05, model=model, seed=seed)


@pytest.mark.parametrize("skills", [{"LitMLP": 0.5, "LitCNN": 3.0}, {"LitMLP": 1.0}, {"LitLinear": 0.0, "LitMLP": 3.0}])
def test_groups_as_they_should_be_have_no_line(
    tmp_path: Path, compare_output: Output, skills: dict[str, float]
) -> None:
    for model, skill in skills.items():
        group(tmp_path / "a", skill, 5, model)
    baseline(tmp_path / "a", -1.0, "gradient boosting")
    assert checks(compare_output(tmp_path)) == []


def test_a_baseline_that_is_better_than_the_best_network(tmp_path: Path, compare_output: Output) -> None:
    for model, skill in (("LitMLP", 0.0), ("LitCNN", 0.5)):
        group(tmp_path / "a", skill, 5, model, checks={"floor": "a line of the runs, which says the same"})
    baseline(tmp_path / "a", 5.0, "gradient boosting")
    (line,) = checks(compare_output(tmp_path))
    assert re.search(r"the floor is better: gradient boosting has accuracy \.?\d.*, and the best network, LitCNN", line)
    assert "evenhand sweep --search" in line


@pytest.mark.parametrize(("linear", "network"), [(3.0, 3.0), (3.0, 0.0)])
def test_a_linear_model_that_is_level_or_better(
    tmp_path: Path, compare_output: Output, linear: float, network: float
) -> None:
    group(tmp_path / "a", linear, 5, "LitLinear")
    group(tmp_path / "a", network, 5, "LitMLP")
    (line,) = checks(compare_output(tmp_path))
    assert line.startswith("check: LitLinear is level with LitMLP, so that the network adds nothing")


def test_too_few_seeds_are_no_level(tmp_path: Path, compare_output: Output) -> None:
    group(tmp_path / "a", 3.0, 2, "LitLinear")
    group(tmp_path / "a", 3.0, 2, "LitMLP")
    assert checks(compare_output(tmp_path)) == []


def test_a_difference_that_the_seeds_agree_on_and_the_test_rows_do_not_tell(
    tmp_path: Path, compare_output: Output
) -> None:
    wrong_rows(tmp_path / "a", "LitMLP", 0, [40, 41, 42, 41, 40])
    wrong_rows(tmp_path / "a", "LitCNN", 100, [35, 34, 35, 36, 35])
    (line,) = checks(compare_output(tmp_path))
    assert line.startswith("check: the test part is too small to tell LitMLP from LitCNN: they differ by 0.029")
    needed = int(re.search(r"about ([\d,]+) test rows in place of 200", line)[1].replace(",", ""))
    # 76 rows are right in one group alone: a difference of .029 has the variance 76 / 200 / n.
    assert needed == pytest.approx((1.96 / 0.029) ** 2 * 76 / 200, rel=0.3)


def test_a_difference_that_the_seeds_do_not_agree_on_needs_no_more_rows(tmp_path: Path, compare_output: Output) -> None:
    wrong_rows(tmp_path / "a", "LitMLP", 0, [30, 50, 41, 35, 45])
    wrong_rows(tmp_path / "a", "LitCNN", 100, [30, 49, 40, 36, 44])
    assert checks(compare_output(tmp_path)) == []


def test_findings_of_the_runs_are_one_line_a_kind_and_stand_in_json(tmp_path: Path, compare_json: Any) -> None:
    group(tmp_path / "a", 3.0, 3, "LitCNN", checks={"last epoch": "the best epoch is the last one, 3 of 3"})
    group(tmp_path / "a", 0.0, 3, "LitMLP")
    (block,) = compare_json(tmp_path)["blocks"]
    (line,) = block["checks"]
    assert line.startswith("check: the best epoch is the last one in 3 of 6 runs (LitCNN); train longer")


def test_other_formats_keep_their_output_and_have_the_lines_on_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    group(tmp_path / "a", 3.0, 1, "LitCNN", checks={"gap": "validation"})
    for style in ("markdown", "latex", "csv"):
        assert main(["compare", str(tmp_path), "--format", style]) == 0
        printed = capfd.readouterr()
        assert "check: " not in printed.out
        assert printed.err.startswith("check: validation and test differ")


def test_a_sweep_has_the_lines_of_its_runs_and_none_of_a_comparison_without_predictions(tmp_path: Path) -> None:
    group(tmp_path / "a", 3.0, 5, "LitLinear", checks={"gap": "validation"})
    paths = group(tmp_path / "a", 3.0, 5, "LitMLP")
    both = [line.split(",")[0] for line in method_notes_of(blocks_of(read_runs([tmp_path])[0], None))]
    assert both == [
        "check: validation and test differ by more than their intervals in 5 of 10 runs (LitLinear); "
        "look whether their rows are alike (evenhand inspect)",
        "check: LitLinear is level with LitMLP",
    ]
    (paths[0] / "predictions.parquet").unlink()
    assert len(method_notes_of(blocks_of(read_runs([tmp_path])[0], None))) == 1


def test_a_record_with_checks_of_another_kind_is_read(tmp_path: Path, compare_output: Output) -> None:
    group(tmp_path / "a", 3.0, 1, "LitCNN", checks={"of a later version": "x"})
    group(tmp_path / "a", 3.0, 1, "LitMLP", checks=None)
    assert checks(compare_output(tmp_path)) == []

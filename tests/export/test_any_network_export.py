"""Networks of other packages leave Evenhand as any architecture does: exported, predicted with, and served."""

from pathlib import Path

import numpy
import polars
import pytest
from exported_runs import Finished, finished, numbers
from paths import REPOSITORY
from server_process import same, serving

from experiments.__main__ import main
from experiments.export import load_export
from experiments.inference import load

TRUST = ("--trust", "foreign_networks")
NETWORKS = {
    "image": ("create_model", "--model.network.model_name", "conv2d"),
    "series": ("Features", "--model.network.width", "4", "--model.head", "linear"),
    "text": ("BagOfTokens",),
    "table": ("Returns", "--model.network.form", "dataclass"),
}


def words(modality: str) -> tuple[str, ...]:
    name, *options = NETWORKS[modality]
    return (*TRUST, "--model.network", f"foreign_networks.{name}", *options)


def differs(run: Finished, answers: polars.DataFrame) -> float:
    """Returns the largest difference of answers from the run's predictions of the same rows."""
    recorded = run.recorded.select(polars.col("^prediction.*$")).to_numpy()
    return float(numpy.abs(numbers(answers)[:, -recorded.shape[1] :] - recorded).max())


@pytest.mark.parametrize(
    "modality", [pytest.param(name, marks=[pytest.mark.slow] * (name != "text")) for name in NETWORKS]
)
def test_onnx_answers_as_the_run(tmp_path: Path, modality: str) -> None:
    run = finished(tmp_path / "run", modality, "LitModule", *words(modality))
    output = tmp_path / "out"
    assert main(["export", *TRUST, "--ckpt_path", str(run.path), "--format", "onnx", "--output", str(output)]) == 0
    got, want = load_export(output).predict(run.rows), load(run.path, trust=["foreign_networks"]).predict(run.rows)
    assert numpy.abs(numbers(got) - numbers(want)).max() <= 1e-5
    assert differs(run, got) <= 1e-5


def test_weights_alone_are_loaded_with_the_package_that_is_trusted(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", "image", "LitModule", *words("image"))
    output = tmp_path / "out"
    command = ["export", *TRUST, "--ckpt_path", str(run.path), "--format", "safetensors", "--output", str(output)]
    assert main(command) == 0
    got = load_export(output, ["foreign_networks"]).predict(run.rows)
    assert differs(run, got) <= 1e-5


@pytest.mark.slow
def test_a_server_answers_as_predict(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", "image", "LitModule", *words("image"))
    source = REPOSITORY / "tests" / "helpers" / "foreign_networks.py"
    (tmp_path / source.name).write_text(source.read_text())
    want = load(run.path, "cpu", ["foreign_networks"]).predict(run.rows[:3])
    with serving(run.path, tmp_path, *TRUST) as server:
        same(server.rows(run.rows[:3].tolist()), want)

"""Several ``--ckpt_path`` predict, are exported and are served together: the mean of their predictions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from exported_runs import SMALL
from people_table import people
from wave_series import waves

from experiments.__main__ import main
from experiments.export import load_export
from experiments.inference import load
from experiments.serve.load_predictor import open_answers
from experiments.serve.server_settings import Body, Settings
from lit_models import ConfigError

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ensembles")


def train(home: Path, run: str, model: str, *words: str) -> str:
    settings = ["--model", model, *SMALL[model], "--trainer.max_epochs", "1", "--figures", "false", "--run", run]
    assert main(["fit", *settings, *words, "--trainer.default_root_dir", str(home), "--experiment", "e"]) == 0
    return str(home / "runs" / "e" / run)


@pytest.fixture(scope="module")
def table(home: Path) -> list[str]:
    """Two runs of one split, the second with other columns of missing values in mind, and one of another split."""
    people(100).drop("id").write_csv(home / "people.csv")
    data = ("--data", "TableData", "--data.path", str(home / "people.csv"), "--data.target", "label")
    return [
        train(home, "a", "LitMLP", *data, "--seed_everything", "0"),
        train(home, "b", "LitLinear", *data, "--seed_everything", "1", "--data.normalize", "minmax"),
        train(home, "c", "LitMLP", *data, "--seed_everything", "2", "--data.split_seed", "3"),
    ]


@pytest.fixture(scope="module")
def values(home: Path) -> list[str]:
    """Two runs of two targets of other scales, of another split each, so that the scales are not the same."""
    frame = (
        people(100).select("age", "income", "city").drop_nulls("age").with_columns(tall=polars.col("age") * 1000 + 5)
    )
    frame.write_csv(home / "values.csv")
    data = ("--data", "TableData", "--data.path", str(home / "values.csv"), "--data.target", "[age,tall]")
    return [train(home, f"v{seed}", "LitLinear", *data, "--data.split_seed", str(seed)) for seed in (0, 1)]


@pytest.fixture(scope="module")
def series(home: Path) -> list[str]:
    arrays = waves()
    arrays["x"][3, 0, 4] = arrays["x"][5, 1] = numpy.nan
    numpy.savez(home / "waves.npz", **arrays)
    data = ("--data", "SeriesData", "--data.path", str(home / "waves.npz"))
    return [train(home, f"s{index}", model, *data) for index, model in enumerate(("LitLinear", "LitMLP"))]


def numbers(frame: polars.DataFrame) -> Any:
    """Returns the probabilities, or the values."""
    chances = [name for name in frame.columns if name.startswith("probability")]
    return frame.select(chances or [name for name in frame.columns if name.startswith("prediction")]).to_numpy()


def sources(home: Path) -> dict[str, Any]:
    return {"table": home / "people.csv", "values": home / "values.csv", "series": home / "waves.npz"}


@pytest.mark.parametrize("data", ["table", "values", pytest.param("series", marks=pytest.mark.slow)])
def test_it_predicts_exports_and_serves_the_mean(home: Path, data: str, request: pytest.FixtureRequest) -> None:
    runs, source = request.getfixturevalue(data), sources(home)[data]
    alone = [load(run).predict(str(source)) for run in runs]
    mean = numpy.mean([numbers(frame) for frame in alone], axis=0)
    output = home / f"{data}.parquet"
    assert main(["predict", "--ckpt_path", *runs, "--input", str(source), "--output", str(output)]) == 0
    together = polars.read_parquet(output)
    assert together.schema == alone[0].schema
    assert numpy.abs(numbers(together) / mean - 1).max() < 1e-6
    repeated = [word for run in runs for word in ("--ckpt_path", run)]
    artefact, format = home / f"{data}-artefact", "torch-export" if data == "values" else "onnx"
    assert main(["export", *repeated, "--format", format, "--output", str(artefact)]) == 0
    assert main(["export", "--verify", str(artefact)]) == 0
    exported = load_export(artefact).predict(str(source))
    scale = numpy.abs(mean).max() if data == "values" else 1
    assert exported.schema == together.schema
    assert numpy.abs(numbers(exported) - mean).max() < 1e-5 * scale


def test_the_served_mean_is_the_predicted_one(table: list[str], home: Path) -> None:
    answers, about = open_answers(Settings((*table[:2],), "cpu"))
    text = (home / "people.csv").read_bytes()
    (reply,) = answers([Body("text/csv", text)])
    want = load(table[:2], "cpu").predict(str(home / "people.csv"))
    assert [row["prediction"] for row in reply.content["predictions"]] == want["prediction"].to_list()
    served = [[row["probabilities"][name] for name in ("no", "yes")] for row in reply.content["predictions"]]
    assert numpy.array(served) == pytest.approx(numbers(want), abs=1e-6)
    assert about["run"]["name"] == "e/a and 1 more"
    assert about["example"]["values"]


def test_the_artefact_names_its_members_and_has_the_metrics_of_their_mean(
    table: list[str], tmp_path: Path, compare_json: Any
) -> None:
    output = tmp_path / "two"
    assert main(["export", "--ckpt_path", *table[:2], "--format", "torch-export", "--output", str(output)]) == 0
    about = json.loads((output / "signature.json").read_text())
    assert [member["id"] for member in about["run"]["members"]] == ["e/a", "e/b"]
    assert about["checked"]["test_rows"] == 15
    assert max(about["checked"]["differences"].values()) < 1e-5
    tested = [polars.read_parquet(f"{run}/predictions.parquet") for run in table[:2]]
    mean = sum(frame["prediction"] for frame in tested) / 2
    accuracy = ((mean > 0.5).cast(int) == tested[0]["target"]).mean()
    assert about["run"]["metrics"]["test/accuracy"] == pytest.approx(accuracy)
    assert about["checked"]["metrics"]["accuracy"] == pytest.approx(accuracy)
    assert "Mean of 2 networks (LitLinear, LitMLP) for binary" in (output / "MODEL_CARD.md").read_text()


def test_members_of_other_test_rows_are_checked_on_made_up_rows(table: list[str], tmp_path: Path) -> None:
    output = tmp_path / "other"
    assert main(["export", "--ckpt_path", table[0], table[2], "--format", "torch-export", "--output", str(output)]) == 0
    about = json.loads((output / "signature.json").read_text())
    assert about["checked"]["test_rows"] == 0
    assert "no common test" in about["run"]["unknown"]


@pytest.fixture
def fails(capfd: pytest.CaptureFixture[str]) -> Refused:
    def run(*words: str) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([*words])
        message = capfd.readouterr().err.strip()
        assert (stopped.value.code, len(message.splitlines())) == (2, 1), message
        return message

    return run


def test_what_does_not_go_together_is_refused(table: list[str], values: list[str], home: Path, fails: Refused) -> None:
    file = ("--input", str(home / "people.csv"), "--output", str(home / "refused.csv"))
    assert "another task" in fails("predict", "--ckpt_path", table[0], values[0], *file)
    assert "name each run once" in fails("predict", "--ckpt_path", table[0], f"{table[0]}/checkpoints/best.ckpt", *file)
    assert "add --input FILE" in fails("predict", "--ckpt_path", *table)
    assert "without checkpoints/best.ckpt" in fails("predict", "--ckpt_path", table[0], str(home), *file)
    weights = ("--format", "safetensors", "--output", str(home / "refused"))
    assert "take --format onnx or torch-export" in fails("export", "--ckpt_path", *table, *weights)
    assert not (home / "refused").exists()
    assert not (home / "refused.csv").exists()
    with pytest.raises(ConfigError, match="name one or more runs"):
        load([])


def test_runs_with_other_columns_are_refused_by_their_name(table: list[str], home: Path) -> None:
    people(100).drop("id").write_csv(home / "people.csv")
    data = ("--data", "TableData", "--data.path", str(home / "people.csv"), "--data.target", "label")
    other = train(home, "d", "LitLinear", *data, "--data.drop", "age")
    with pytest.raises(ConfigError, match=r"d has other inputs \(inputs.columns.age\) than"):
        load([table[0], other])


def test_an_export_is_served_alone(table: list[str], tmp_path: Path) -> None:
    output = tmp_path / "one"
    assert main(["export", "--ckpt_path", table[0], "--format", "safetensors", "--output", str(output)]) == 0
    with pytest.raises(ConfigError, match="is served alone"):
        open_answers(Settings((table[0], str(output)), "cpu"))

"""Runs with the quantile loss predict the quantiles that scikit-learn's linear program finds, and bands that cover."""

import json
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from scipy.stats import binom
from sklearn.linear_model import QuantileRegressor
from sklearn.metrics import mean_pinball_loss

from experiments.__main__ import main
from lit_models.decisions.conformal import conformal_quantile

COVERAGE = 0.9
QUANTILES = (0.05, 0.95)
WORDS = "--data TableData --data.target y --data.normalize standard --data.batch_size 100 --trainer.max_epochs 14"
WORDS += " --model LitLinear --model.dropout 0 --model.optimizer.lr 0.1 --model.schedule.scheduler CosineAnnealingLR"


def widening(rows: int, seed: int) -> polars.DataFrame:
    """Returns rows whose target is spread the more the larger x is, so that its quantiles are lines of other slopes."""
    draw = numpy.random.default_rng(seed)
    x = draw.uniform(0, 1, rows)
    return polars.DataFrame({"x": x, "y": 300 + 20 * x + (1 + 10 * x) * draw.normal(size=rows)})


def fit(home: Path, rows: polars.DataFrame, quantile: float, *more: str) -> Path:
    rows.write_csv(home / "rows.csv")
    own = f"--model.loss QuantileLoss --model.loss.quantile {quantile} --run q{quantile} --experiment e --figures false"
    place = ["--data.path", str(home / "rows.csv"), "--trainer.default_root_dir", str(home)]
    assert main(["fit", *WORDS.split(), *own.split(), *place, "--seed_everything", "0", *more]) == 0
    return home / "runs" / "e" / f"q{quantile}"


def band(runs: list[Path], name: str) -> tuple[Any, Any, Any]:
    """Returns the targets and both quantiles of the rows in a file of predictions."""
    low, high = (polars.read_parquet(run / name).sort("row") for run in runs)
    return low["target"].to_numpy(), low["prediction"].to_numpy(), high["prediction"].to_numpy()


def scores(target: Any, low: Any, high: Any) -> torch.Tensor:
    """Returns how far targets are outside of a band: E of Romano, Patterson & Candes (2019), eq. 6."""
    return torch.from_numpy(numpy.maximum(low - target, target - high))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    home = tmp_path_factory.mktemp("quantiles")
    return [fit(home, widening(1500, 0), quantile) for quantile in QUANTILES]


@pytest.mark.parametrize("index", range(2))
def test_a_linear_model_predicts_the_quantile_of_scikit_learns(runs: list[Path], index: int) -> None:
    run, quantile, rows = runs[index], QUANTILES[index], widening(1500, 0)
    found, record = polars.read_parquet(run / "predictions.parquet"), json.loads((run / "record.json").read_text())
    train = rows[polars.read_parquet(run / "split.parquet").filter(part="train")["row"].to_list()]
    mine = mean_pinball_loss(found["target"], found["prediction"], alpha=quantile)
    assert record["metrics"]["test/loss"] == pytest.approx(mine / train["y"].std(ddof=0), rel=1e-4)
    regressor = QuantileRegressor(quantile=quantile, alpha=0).fit(train[["x"]].to_numpy(), train["y"].to_numpy())
    theirs = regressor.predict(rows[found["row"].to_list()][["x"]].to_numpy())
    assert mine == pytest.approx(mean_pinball_loss(found["target"], theirs, alpha=quantile), rel=0.05)
    assert numpy.abs(found["prediction"].to_numpy() - theirs).mean() < 0.1 * train["y"].std()
    below = int((found["target"] <= found["prediction"]).sum())
    assert binom.ppf(1e-4, len(found), quantile) <= below <= binom.ppf(1 - 1e-4, len(found), quantile)
    assert any(f"the quantile {quantile:g} of the target" in note for note in record["notes"])


def test_a_band_with_the_margin_of_some_rows_covers_the_others(runs: list[Path]) -> None:
    pool = torch.cat([scores(*band(runs, f"{name}predictions.parquet")) for name in ("val_", "")])
    draw, covered = torch.Generator().manual_seed(0), []
    for _ in range(1000):
        order = torch.randperm(len(pool), generator=draw)
        margin = conformal_quantile(pool[order[:50]], COVERAGE)
        assert margin is not None
        covered.append(float((pool[order[50:]] <= margin).double().mean()))
    error = numpy.std(covered) / len(covered) ** 0.5
    assert COVERAGE - 2 * error <= numpy.mean(covered) <= COVERAGE + 1 / 51 + 2 * error


def test_the_loss_chooses_the_epoch_without_callbacks_too(tmp_path: Path) -> None:
    run = fit(tmp_path, widening(200, 0), 0.9, "--trainer.callbacks", "null", "--trainer.max_epochs", "2")
    assert json.loads((run / "record.json").read_text())["chosen"]["monitor"] == "val/loss"


def test_a_search_is_ranked_by_the_loss_too(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna", reason="--search needs optuna")
    widening(200, 0).write_csv(tmp_path / "rows.csv")
    (tmp_path / "space.yaml").write_text("model.optimizer.lr: {log: [1e-3, 1e-1]}\n")
    fixed = WORDS.replace("--model.optimizer.lr 0.1", "")
    words = f"sweep {fixed} --model.loss QuantileLoss --model.loss.quantile 0.9 --trainer.max_epochs 1 --figures false"
    search = f"--search random --trials 2 --space {tmp_path}/space.yaml --seeds 0 --experiment e"
    place = ["--data.path", f"{tmp_path}/rows.csv", "--trainer.default_root_dir", str(tmp_path)]
    assert main([*words.split(), *search.split(), *place]) == 0
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{tmp_path}/runs/e-search/study.db")
    losses = [
        json.loads(path.read_text())["validation"]["loss"] for path in tmp_path.glob("runs/e-search/*/record.json")
    ]
    assert (study.user_attrs["metric"], study.direction.name) == ("val/loss", "MINIMIZE")
    assert sorted(trial.value for trial in study.trials) == pytest.approx(sorted(losses))


@pytest.mark.slow
def test_bands_of_new_trainings_cover_new_rows(tmp_path: Path) -> None:
    covered, fresh = [], 20
    for seed in range(fresh):
        (home := tmp_path / str(seed)).mkdir()
        pair = [fit(home, widening(600, seed), quantile) for quantile in QUANTILES]
        margin = conformal_quantile(scores(*band(pair, "val_predictions.parquet")), COVERAGE)
        assert margin is not None
        covered.append(float((scores(*band(pair, "predictions.parquet")) <= margin).double().mean()))
    error = numpy.std(covered) / fresh**0.5
    assert COVERAGE - 2 * error <= numpy.mean(covered) <= COVERAGE + 1 / 91 + 2 * error

"""Classical baselines on the identical split, recorded as runs beside the networks'."""

import json
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from conftest import Fit
from sklearn.ensemble import RandomForestClassifier
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tiny_data import small_data

from datamodules import InMemoryData, TableData
from experiments.__main__ import main
from experiments.floor.baselines import baselines
from experiments.floor.features import features, resampled

ROWS = 300


def write_table(path: Path) -> Path:
    draw = numpy.random.default_rng(0)
    colour = draw.integers(0, 3, ROWS)
    x = draw.normal(size=ROWS)
    y = (x + colour + draw.normal(size=ROWS) > 1).astype(int)
    names = numpy.array(["red", "green", "blue"])[colour]
    polars.DataFrame({"x": x, "colour": names, "y": y}).write_csv(path / "table.csv")
    return path / "table.csv"


def floor(root: Path, *words: str) -> dict[str, dict[str, Any]]:
    assert main(["floor", *words, "--trainer.default_root_dir", str(root)]) == 0
    records = (json.loads(path.read_text()) | {"path": path.parent} for path in root.glob("runs/*/*/record.json"))
    return {record["model"]: record for record in records}


def test_baselines_are_runs_on_the_split_of_the_networks(root: Path, fit: Fit) -> None:
    words = ["--data", "TableData", "--data.path", str(write_table(root)), "--data.target", "y"]
    network = fit(*words, "--model", "LitLinear", "--trainer.max_epochs", "1", "--seed_everything", "0")
    found = floor(root, *words, "--seed_everything", "0")
    assert set(found) == {"LitLinear", "majority", "logistic", "random forest", "gradient boosting"}
    tested = polars.read_parquet(network["path"] / "predictions.parquet")
    for name in set(found) - {"LitLinear"}:
        record = found[name]
        assert record["fingerprints"] == network["fingerprints"]
        assert set(record["metrics"]) == set(network["metrics"]) - {"test/loss"}
        assert record["rank_by"] == network["rank_by"]
        predicted = polars.read_parquet(record["path"] / "predictions.parquet")
        assert predicted.select("row", "target").equals(tested.select("row", "target"))
        accuracy = ((predicted["prediction"] > 0.5).cast(polars.Int64) == predicted["target"]).mean()
        assert record["metrics"]["test/accuracy"] == pytest.approx(accuracy)
    data = TableData(path=str(root / "table.csv"), target="y")
    majority = data.rows.y[data.split.train].double().mean() > 0.5
    share = (data.rows.y[data.split.test] == majority).double().mean()
    assert found["majority"]["metrics"]["test/accuracy"] == pytest.approx(float(share))


def test_seeds_make_a_run_each_of_what_draws_random_numbers(
    root: Path, capsys: pytest.CaptureFixture[str], fit: Fit
) -> None:
    words = ["--data", "TableData", "--data.path", str(write_table(root)), "--data.target", "y"]
    floor(root, *words, "--seeds", "3..4")
    records = [json.loads(path.read_text()) for path in root.glob("runs/*/*/record.json")]
    seeds = [(record["model"], record["seed"]) for record in records]
    fixed = ("majority", "logistic", "gradient boosting")
    assert sorted(seeds) == sorted([*((model, 0) for model in fixed), ("random forest", 3), ("random forest", 4)])
    assert all(record["command"].endswith(f"--seeds {record['seed']}") for record in records)
    for seed in range(4):
        fit(*words, "--model", "LitLinear", "--trainer.max_epochs", "1", "--seed_everything", str(seed))
    capsys.readouterr()
    assert main(["compare", str(root / "runs"), "--format", "json"]) == 0
    (block,) = json.loads(capsys.readouterr().out)["blocks"]
    groups = {group["group"]: group for group in block["groups"]}
    assert {name: group["n"] for name, group in groups.items()} == {
        "LitLinear": 4,
        "random forest": 2,
        **dict.fromkeys(fixed, 1),
    }
    # The same value for any seed is compared as such, and not refused for want of seeds.
    verdicts = {groups[name]["verdict"] for name in ("LitLinear", *fixed)}
    assert verdicts <= {"best", "worse", "no difference shown"}


def test_baselines_stand_in_the_hparams_tab_with_their_metrics(root: Path) -> None:
    words = ["--data", "TableData", "--data.path", str(write_table(root)), "--data.target", "y"]
    found = floor(root, *words)
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(root / "runs"))
    multiplexer.Reload()
    tab = Context(TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(root))))
    runs = tab.hparams_metadata(RequestContext(), "")
    assert len(runs) == len(found) == 4
    for record in found.values():
        run = str(record["path"].relative_to(root / "runs"))
        session = HParamsPluginData.FromString(runs[run][SESSION_START_INFO_TAG]).session_start_info
        assert session.hparams["model"].string_value == record["model"]
        events = EventAccumulator(str(record["path"])).Reload()
        (accuracy,), (on_val,) = events.Scalars("test/accuracy"), events.Scalars("val/accuracy")
        assert accuracy.value == pytest.approx(record["metrics"]["test/accuracy"])
        assert on_val.value == pytest.approx(record["validation"]["accuracy"])


def test_a_baseline_is_scikit_learns_own_fit_of_the_train_rows() -> None:
    torch.manual_seed(0)
    y = torch.arange(120) % 3
    data = small_data(torch.randn(120, 4) + y.unsqueeze(1), y)
    data.setup("fit")
    train, test = features(data, "train"), features(data, "test")
    (forest,) = (each for each in baselines(train, None, "multiclass", 5, 1) if each.name == "random forest")
    forest.fit(train)
    prediction = forest.predict(test, "multiclass")
    x = data.rows.x.numpy()
    mean, sd = x[data.split.train].mean(axis=0), x[data.split.train].std(axis=0)
    alone = RandomForestClassifier(300, random_state=5)
    alone.fit(((x[data.split.train] - mean) / sd), y[data.split.train].numpy())
    assert numpy.abs(prediction - alone.predict_proba((x[data.split.test] - mean) / sd)).max() < 0.05


TARGETS = {
    "binary": lambda x: (x[:, 0] > 0).long(),
    "multilabel": lambda x: (x[:, :2] > 0).long(),
    "regression": lambda x: x[:, :2] * 3 + 100,
}


@pytest.mark.parametrize("task", TARGETS)
def test_every_task_has_a_floor_that_learns(task: str) -> None:
    torch.manual_seed(1)
    x = torch.randn(400, 3)
    data: InMemoryData = small_data(x, TARGETS[task](x), task)
    data.setup("fit")
    train, val, test = (features(data, split) for split in ("train", "val", "test"))
    off = {}
    for baseline in baselines(train, val, task, 0, 1):
        baseline.fit(train)
        prediction = torch.from_numpy(baseline.predict(test, task))
        off[baseline.name] = float((prediction - test.target.double().view(prediction.shape)).abs().mean())
    assert max(value for name, value in off.items() if name != "majority") < 0.5 * off["majority"]


def test_series_are_stretched_to_one_length() -> None:
    x = numpy.zeros((2, 1, 5))
    x[0, 0, :3] = [0, 1, 2]
    x[1, 0] = [5, 4, 3, 2, 1]
    stretched = resampled(x, numpy.array([3, 5]))
    assert stretched[0, 0].tolist() == [0, 0.5, 1, 1.5, 2]
    assert stretched[1, 0].tolist() == [5, 4, 3, 2, 1]


def test_texts_are_tfidf(root: Path) -> None:
    draw = numpy.random.default_rng(0)
    y = draw.integers(0, 2, 200)
    good, bad = ["good", "great", "fine", "lovely"], ["bad", "awful", "poor", "broken"]
    texts = [" ".join(draw.choice(good if label else bad, 4)) + " dress shirt" for label in y]
    polars.DataFrame({"text": texts, "y": y}).write_csv(root / "texts.csv")
    words = ["--data", "TextData", "--data.path", str(root / "texts.csv"), "--data.text", "text", "--data.target", "y"]
    found = floor(root, *words)
    assert set(found) == {"majority", "tfidf+logistic"}
    assert found["tfidf+logistic"]["metrics"]["test/auroc"] > 0.99

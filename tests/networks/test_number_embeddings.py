"""Embeddings of a table's numbers: their values, the quantiles that they learn, export, resume, and refusals."""

import math
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from conftest import Fit
from exported_runs import finished
from hypothesis import given
from hypothesis import strategies as st
from people_table import made, people
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder
from tiny_data import model_for, quiet_trainer, small_data, writer

from datamodules import StreamedTable
from experiments.__main__ import main
from lit_models import ConfigError, LitLinear, LitMLP, LitModel, LitTransformer
from lit_models.stems import Embeddings, Stemmed, to_vector
from lit_models.stems.numbers import BINS, FREQUENCIES, PeriodicNumbers, PiecewiseLinearNumbers
from lit_models.stems.table import embedding_width


@given(st.integers(0, 2**32 - 1))
def test_positions_in_bins_are_those_of_the_definition(seed: int) -> None:
    draw = numpy.random.default_rng(seed)
    module = PiecewiseLinearNumbers(2, 5).double()
    edges = numpy.sort(draw.integers(-20, 20, (2, BINS + 1)) / 4, axis=1)  # with many that are equal
    module.set_edges(lambda count: torch.from_numpy(edges[:, : count + 1]))
    torch.nn.init.normal_(module.map.weight)
    x = draw.integers(-30, 30, (7, 2)) / 4
    found = module(torch.from_numpy(x)).detach().numpy()
    for row, column in numpy.ndindex(x.shape):
        value, position = x[row, column], numpy.zeros(BINS)
        for number, (low, high) in enumerate(zip(edges[column], edges[column, 1:], strict=False)):
            if low < high:
                position[number] = 0 if value < low else 1 if value > high else (value - low) / (high - low)
        weight, bias = (tensor[column].detach().numpy() for tensor in (module.map.weight, module.map.bias))
        assert found[row, column] == pytest.approx((numpy.append(value, position) @ weight + bias)[0], abs=1e-9)


@pytest.mark.parametrize("sigma", [0.1, 1, 30])
def test_waves_are_those_of_numpy_in_float64_at_any_frequency(sigma: float) -> None:
    torch.manual_seed(0)
    module = PeriodicNumbers(3, 4, sigma)
    x = torch.randn(50, 3) * 3
    turns = (x.unsqueeze(2) * module.frequency).detach()  # rounded to float32 in any runtime
    waves = numpy.concatenate([wave(2 * numpy.pi * turns.double().numpy()) for wave in (numpy.cos, numpy.sin)], axis=2)
    weight, bias = (tensor.detach().double().numpy() for tensor in (module.map.weight, module.map.bias))
    expected = numpy.maximum(numpy.einsum("nfk,fkw->nfw", waves, weight) + bias[:, 0], 0)
    assert module(x).detach().numpy() == pytest.approx(expected, abs=2e-6)
    assert float(module.frequency.detach().std()) == pytest.approx(sigma, rel=5 / math.sqrt(6 * FREQUENCIES))


def test_bins_are_quantiles_of_train_rows_alone(tmp_path: Path, fit: Fit) -> None:
    frame = people(300).with_columns(part=polars.Series(["train"] * 200 + ["val"] * 50 + ["test"] * 50))
    write, found = writer(tmp_path, "my.csv"), []
    changed = frame.with_columns(
        income=polars.when(polars.col("part") == "train").then("income").otherwise(polars.lit(7e6))
    )
    for version in (frame, changed):
        data = made(write(version), drop=["id"], split_column="part")
        found.append(data.number_quantiles(10))
    assert torch.equal(*found)
    numbers = data.part("train")["x"].double().numpy()
    assert found[0].numpy() == pytest.approx(numpy.quantile(numbers, numpy.linspace(0, 1, 11), axis=0).T, abs=1e-6)
    words = f"--data TableData --data.path {tmp_path}/my.csv --data.target label --data.drop [id] --model LitLinear"
    fit(*f"{words} --data.split_column part --model.numbers ple --trainer.max_epochs 1".split())
    (checkpoint,) = tmp_path.glob("runs/*/*/checkpoints/last.ckpt")
    edges = torch.load(checkpoint, weights_only=True)["state_dict"]["network.stem.numbers.edges"]
    assert torch.equal(edges, data.number_quantiles(BINS))


def test_a_streamed_table_has_the_same_bins(tmp_path: Path) -> None:
    frame = people(300).with_columns(part=polars.Series(["train"] * 200 + ["val"] * 50 + ["test"] * 50)).drop("id")
    frame.write_parquet(tmp_path / "my.parquet")
    streamed = StreamedTable(str(tmp_path / "my.parquet"), "label", split_column="part", cache=str(tmp_path / "cache"))
    in_memory = made(str(tmp_path / "my.parquet"), split_column="part")
    streamed.setup("fit")
    assert torch.allclose(streamed.number_quantiles(BINS), in_memory.number_quantiles(BINS), atol=1e-5)


@pytest.mark.parametrize("numbers", ["plr", "ple"])
def test_a_narrow_range_is_learned_that_a_linear_model_cannot_see(fit: Fit, tmp_path: Path, numbers: str) -> None:
    x = numpy.random.default_rng(0).normal(size=600)
    label = numpy.where((x > 0.2) & (x < 0.8), "in", "out")
    path = writer(tmp_path, "my.csv")(polars.DataFrame({"x": x, "label": label}))
    words = f"--data TableData --data.path {path} --data.target label --trainer.max_epochs 25 --model LitLinear"
    words += " --data.batch_size 64"
    accuracy = {
        name: fit(*words.split(), "--model.numbers", name, "--model.optimizer.lr", "0.05")["metrics"]["test/accuracy"]
        for name in ("linear", numbers)
    }
    assert accuracy["linear"] < 0.85
    assert accuracy[numbers] > 0.93


EMBEDDED = {
    "LitMLP": "--model.numbers plr --model.numbers_sigma 8",
    "LitTransformer": "--model.numbers plr --model.numbers_sigma 8",
    "LitTabM": "--model.numbers ple --model.numbers_size 4",
}
QUICK_EXPORTS = {
    ("LitMLP", "onnx"),
    ("LitTransformer", "torch-export"),
    ("LitTabM", "onnx"),
    ("LitTabM", "safetensors"),
}
"""Each model, embedding and format once, for the quick suite."""


@pytest.mark.parametrize(
    ("model", "format"),
    [
        pytest.param(model, format, marks=() if (model, format) in QUICK_EXPORTS else pytest.mark.slow)
        for model in EMBEDDED
        for format in ("onnx", "torch-export", "safetensors")
    ],
)
def test_an_export_agrees(model: str, format: str, tmp_path: Path) -> None:
    run = finished(tmp_path / "run", "table", model, *EMBEDDED[model].split())
    words_of_export = ["--ckpt_path", str(run.path), "--format", format, "--output", str(tmp_path / "out")]
    assert main(["export", *words_of_export]) == 0  # which compares all test rows, to 1e-5
    assert main(["export", "--verify", str(tmp_path / "out")]) == 0


def test_tokens_have_their_width_and_vectors_the_size() -> None:
    facts = {"task": "regression", "modality": "table", "input_shape": (3,), "num_outputs": 1, "cardinalities": (5,)}
    mlp = LitMLP(**facts, numbers="ple", numbers_size=7)
    transformer = LitTransformer(**facts, numbers="plr", width=8, heads=2)
    assert mlp.network.stem.numbers.map.weight.shape == (3, BINS + 1, 7)
    assert transformer.network.stem.numbers.map.weight.shape == (3, 2 * FREQUENCIES, 8)
    row = torch.randn(4, 3), torch.randint(5, (4, 1))
    assert mlp(*row).shape == transformer(*row).shape == (4, 1)
    alone = LitMLP(**{**facts, "input_shape": (0,)}, numbers="ple")  # a table of categories
    assert alone(torch.empty(4, 0), row[1]).shape == (4, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"modality": "series", "input_shape": (2, 5)}, "modality series; leave --model.numbers out"),
        ({"numbers_size": 0}, "numbers_size is at least 1"),
        ({"one_hot": -1}, "one_hot at least 0"),
        ({"numbers_sigma": math.inf}, "numbers_sigma above 0"),
        ({"numbers": "PLR"}, "one of linear, plr, ple"),
    ],
)
def test_an_embedding_that_does_not_fit_is_refused(settings: dict, message: str) -> None:
    facts = {"task": "regression", "modality": "table", "input_shape": (3,), "num_outputs": 1, "numbers": "plr"}
    with pytest.raises(ConfigError, match=message):
        LitLinear(**facts | settings)


def test_few_categories_are_one_hot_and_many_are_embedded() -> None:
    stem = to_vector("table", (1,), (5, 9), embeddings=Embeddings(one_hot=3))
    assert stem.shape == (1 + 3 + embedding_width(9),)
    assert to_vector("table", (1,), (2,)).shape == (1 + embedding_width(2),)  # a column without a category
    categories = torch.tensor([[0, 2], [1, 2], [2, 2], [3, 2], [4, 2]])  # unknown, missing, and three categories
    one_hot = stem.module((torch.zeros(5, 1), categories))[:, 1:4]
    assert one_hot.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    torch.nn.init.constant_(stem.module.embeddings[0].missing, 7.0)
    assert stem.module((torch.zeros(5, 1), categories))[1, 1:4].tolist() == [7, 7, 7]


def test_a_linear_model_of_one_hot_categories_is_scikit_learns(fit: Fit, tmp_path: Path) -> None:
    draw = numpy.random.default_rng(0)
    codes = draw.integers(0, 4, (1200, 12))
    weights = draw.normal(size=(12, 4))
    logits = weights[numpy.arange(12), codes].sum(axis=1)
    label = numpy.where(draw.random(1200) < 1 / (1 + numpy.exp(-logits)), "yes", "no")
    frame = polars.DataFrame({f"c{column}": numpy.array(list("abcd"))[codes[:, column]] for column in range(12)})
    path = writer(tmp_path, "my.csv")(frame.with_columns(label=polars.Series(label)))
    words = f"--data TableData --data.path {path} --data.target label --model LitLinear --model.one_hot 10"
    more = "--seed_everything 0 --trainer.max_epochs 20 --model.optimizer.lr 0.03 --model.optimizer.weight_decay 0"
    more += " --data.batch_size 32"
    found = fit(*words.split(), *more.split())["metrics"]["test/auroc"]
    data = made(path)
    train, test = (data.part(name) for name in ("train", "test"))
    hot = OneHotEncoder(handle_unknown="ignore").fit(train["categories"])
    model = LogisticRegression(C=1e3, max_iter=2000).fit(hot.transform(train["categories"]), train["y"])
    theirs = roc_auc_score(test["y"], model.predict_proba(hot.transform(test["categories"]))[:, 1])
    assert found == pytest.approx(theirs, abs=0.01)


class LitForgetful(LitModel):
    """An architecture whose stem does not get the options of tables."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        stem = to_vector(self.modality, self.input_shape, self.cardinalities, self.vocab_size)
        self.network = Stemmed(stem, torch.nn.Linear(stem.shape[0], self.num_outputs))


def test_an_option_that_an_architecture_would_ignore_is_refused() -> None:
    data = small_data(torch.randn(40, 3), torch.arange(40) % 2)
    quiet_trainer(max_epochs=1).fit(model_for(data, LitForgetful), data)
    with pytest.raises(ConfigError, match=r"does not embed numbers; leave --model.numbers plr out.*\*self.row_facts"):
        quiet_trainer(max_epochs=1).fit(model_for(data, LitForgetful, numbers="plr"), data)


def test_a_data_module_without_quantiles_is_told_which_it_lacks(tmp_path: Path) -> None:
    data = small_data(torch.randn(40, 3), torch.arange(40) % 2)
    with pytest.raises(ConfigError, match=r"number_quantiles\(count\).*SmallData does not have"):
        quiet_trainer(max_epochs=1).fit(model_for(data, LitMLP, numbers="ple"), data)

"""A missing number is information: a column that says so, for networks, floors, predictions, exports and streams."""

from pathlib import Path

import numpy
import polars
import pytest
import torch
from conftest import Fit
from hypothesis import given
from hypothesis import strategies as st
from people_table import made
from test_encoding import columns

from datamodules import StreamedTable
from datamodules.tables.encoding import learn
from datamodules.tables.frame_conversion import as_frame
from experiments.__main__ import main
from experiments.export import load_export
from experiments.inference import load

INCOME = "--data TableData --data.path my.csv --data.target label"


def survey(rows: int = 1000) -> polars.DataFrame:
    """An income that 90 % of one class leave out, and 10 % of the other, and that says nothing else."""
    draw = numpy.random.default_rng(0)
    label = draw.integers(0, 2, rows)
    missing = draw.random(rows) < numpy.where(label == 1, 0.9, 0.1)
    income = numpy.where(missing, None, draw.normal(size=rows))
    return polars.DataFrame({"income": income.tolist(), "age": draw.normal(size=rows), "label": label}, strict=False)


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    survey().write_csv("my.csv")
    return tmp_path


@pytest.mark.parametrize("model", ["LitLinear", "LitMLP", "LitTransformer"])
def test_a_network_learns_from_where_a_number_is_missing(fit: Fit, in_folder: Path, model: str) -> None:
    words = f"{INCOME} --model {model} --trainer.max_epochs 6 --model.optimizer.lr 0.01 --seed_everything 0"
    assert fit(*words.split())["metrics"]["test/accuracy"] > 0.85


def test_every_floor_learns_from_it_too(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["floor", *INCOME.split(), "--trainer.default_root_dir", str(in_folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = {name: float(line.split(name)[1].split()[0]) for line in lines for name in ("logistic", "forest")
             if name in line and "seed" not in line}  # fmt: skip
    assert min(found["logistic"], found["forest"]) > 0.85


@given(st.integers(0, 2**32 - 1))
def test_columns_say_where_train_rows_lack_a_number(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(40, 4, dtype=torch.float64, generator=draw)
    x[torch.rand(x.shape, generator=draw) < torch.rand(4, generator=draw) / 2] = torch.nan
    x[0] = 1
    train, later = torch.arange(20), torch.arange(20, 40)
    table = columns(x)
    encoding = learn(table, train)
    missing = x.isnan()
    wanted = missing[train].any(dim=0)
    assert encoding.sometimes_missing == [f"x{index}" for index in wanted.nonzero().flatten().tolist()]
    unlearned = missing[later][:, ~wanted].sum(dim=0)
    assert sum(encoding.never_missing(table, later).values()) == int(unlearned.sum())
    module = encoding.where_missing()
    if module is not None:
        assert torch.equal(module(x, x)[:, 4:], missing[:, wanted].double())


def test_a_streamed_table_has_the_same_columns(in_folder: Path) -> None:
    frame = survey().with_columns(part=polars.Series(["train"] * 700 + ["val"] * 150 + ["test"] * 150))
    frame.write_parquet("my.parquet")
    streamed = StreamedTable("my.parquet", "label", split_column="part", cache=str(in_folder / "cache"))
    in_memory = made("my.parquet", split_column="part")
    streamed.setup("fit")
    assert streamed.input_shape == in_memory.input_shape == (3,)
    assert streamed.raw_shape == in_memory.raw_shape == (2,)
    for name in ("train", "val", "test"):
        assert torch.allclose(streamed.part(name)["x"], in_memory.part(name)["x"], atol=1e-6)
        missing = in_memory.unprepared(in_memory.part(name)["row"])["x"][:, 0].isnan()
        assert torch.equal(in_memory.part(name)["x"][:, 2], missing.float())


@pytest.mark.parametrize(
    "format",
    ["onnx", "safetensors", *(pytest.param(name, marks=pytest.mark.slow) for name in ("torch-export", "state-dict"))],
)
def test_a_run_and_its_export_answer_alike_where_a_number_is_missing(fit: Fit, in_folder: Path, format: str) -> None:
    fit(*f"{INCOME} --model LitLinear --trainer.max_epochs 3 --run a --experiment e".split())
    assert main(["export", "--ckpt_path", "runs/e/a", "--format", format, "--output", "model"]) == 0
    rows = survey(50).drop("label")
    run, exported = load("runs/e/a").predict(rows), load_export("model").predict(rows)
    probabilities = [frame.select("^probability.*$").to_numpy() for frame in (run, exported)]
    assert numpy.abs(probabilities[0] - probabilities[1]).max() <= 1e-5
    filled = load("runs/e/a").predict(rows.with_columns(polars.col("income").fill_null(0.0)))
    assert not filled.equals(run)


def test_a_number_that_train_rows_never_lack_becomes_the_median_with_a_note(
    fit: Fit, in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = polars.Series(["train"] * 700 + ["val"] * 150 + ["test"] * 150)
    frame = survey().with_columns(part=part, age=polars.when(part != "test").then("age"))
    frame.write_csv("my.csv")
    words = "--model LitLinear --trainer.max_epochs 1 --data.split_column part --run a --experiment e"
    fit(*INCOME.split(), *words.split())
    printed = capsys.readouterr().out
    assert "age missing, as in no train row, and taken as the median: 150 of 150 test rows" in printed
    rows = survey(20).drop("label")
    rows.with_columns(age=polars.lit(None, polars.Float64)).write_csv("new.csv")
    assert main(["predict", "--ckpt_path", "runs/e/a", "--input", "new.csv", "--output", "out.csv"]) == 0
    assert "age missing, as in no train row, and taken as the median: 20" in capsys.readouterr().out
    median = float(numpy.median(frame.filter(part == "train")["age"].to_numpy()))
    other = load("runs/e/a").predict(as_frame(rows.with_columns(age=polars.lit(median))))
    assert polars.read_csv("out.csv")["prediction"].cast(polars.String).equals(other["prediction"])

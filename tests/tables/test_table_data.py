"""A person's own table: what its columns are, and what is learned of them."""

import datetime
import json
import statistics
from collections.abc import Callable
from pathlib import Path

import polars
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch import Trainer
from people_table import made, people
from sklearn.preprocessing import QuantileTransformer
from tiny_data import writer

from datamodules import DataError, TableData
from datamodules.preprocessing.normalization import learn
from lit_models import ConfigError, LitMLP, LitTransformer
from lit_models.stems import to_sequence, to_vector

PARTS = ["train"] * 4 + ["val", "test"]


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., str]:
    """Writes a file and gives its path, see ``writer``."""
    return writer(tmp_path, "my.csv")


# Facts


@pytest.mark.parametrize("name", ["my.csv", "my.parquet"])
def test_types_are_inferred_alike_from_csv_and_parquet(table, name: str) -> None:
    data = made(table(people(), name), drop="id", duplicates="ignore")
    assert (data.task, data.modality, data.input_shape, data.num_outputs) == ("binary", "table", (4,), 1)
    assert data.columns.number_names == ["age", "joined", "income"]
    assert data.columns.category_names == ["city", "member"]
    assert data.cardinalities == (5, 4)  # unknown, missing and the categories
    assert data.class_names == ("no", "yes")
    assert data.fingerprints() == made(table(people(), "again.csv"), drop="id").fingerprints()


def test_types_can_be_said(table) -> None:
    frame = people().with_columns(day=polars.col("joined").dt.to_string("%Y-%m-%d"))
    types = {"age": "categorical", "day": "date"}
    data = made(table(frame, "my.parquet"), drop=["id", "income"], types=types)
    assert data.columns.category_names == ["age", "city", "member"]
    assert torch.equal(*data.columns.numbers[:].T)  # the date as a date, and as text
    assert data.columns.numbers[:1][0, 0] == (frame["joined"][0] - datetime.date(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("values", "task", "outputs", "names"),
    [
        (["a", "b"], "binary", 1, ("a", "b")),
        ([1, 2], "binary", 1, ("1", "2")),
        ([True, False], "binary", 1, ("false", "true")),
        (["b", "c", "a"], "multiclass", 3, ("a", "b", "c")),
        ([10, 9, 8], "multiclass", 3, ("8", "9", "10")),
        ([0.5, 1.5, 2.5], "regression", 1, ()),
        (list(range(30)), "regression", 1, ()),
    ],
)
def test_the_task_is_inferred(table, values: list, task: str, outputs: int, names: tuple[str, ...]) -> None:
    frame = polars.DataFrame({"x": [float(row) for row in range(90)], "label": (values * 90)[:90]})
    data = TableData(table(frame), "label")
    assert (data.task, data.num_outputs, data.class_names) == (task, outputs, names)


def test_several_targets(table) -> None:
    frame = polars.DataFrame(
        {"x": range(60), "a": [0, 1] * 30, "b": [1, 1, 0] * 20, "c": [0.5 * row for row in range(60)]}
    )
    path = table(frame)
    labels = made(path, ["a", "b"], drop="c")
    assert (labels.task, labels.num_outputs, labels.class_names) == ("multilabel", 2, ("a", "b"))
    values = made(path, ["a", "c"])
    assert (values.task, values.num_outputs, values.input_shape) == ("regression", 2, (2,))
    assert values.part("train")["y"].shape == (42, 2)
    assert TableData(path, "a", task="regression").task == "regression"


# What is learned


def test_numbers_are_imputed_and_normalized_and_categories_numbered(table) -> None:
    x = [1.0, 2.0, 6.0, None, 100.0, None]
    frame = polars.DataFrame(
        {"x": x, "c": ["b", "a", None, "b", "z", None], "y": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "part": PARTS}
    )
    data = made(table(frame), "y", split_column="part", task="regression")
    train, val, test = (data.part(name) for name in ("train", "val", "test"))
    median, mean, std = 2.0, 11 / 4, statistics.pstdev([1, 2, 6, 2])
    assert data.encoding.medians == {"x": median}
    assert train["x"][:, 0].tolist() == pytest.approx([(v - mean) / std for v in (1, 2, 6, median)])
    assert test["x"][0, 0].item() == pytest.approx((median - mean) / std)
    assert [part["x"][:, 1].tolist() for part in (train, val, test)] == [[0, 0, 0, 1], [0], [1]]
    assert train["categories"].tolist() == [[3], [2], [1], [3]]  # sorted from 2 on; 1 is missing
    assert (val["categories"].tolist(), test["categories"].tolist()) == ([[0]], [[1]])
    assert data.cardinalities == (4,)
    assert data.notes == ("categories of c that no train row has: 1 of 1 val rows",)


CELLS = st.one_of(st.none(), st.floats(-1e6, 1e6))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(CELLS, st.sampled_from(["a", "b", "new", "ä", None]), st.floats(-9, 9)), min_size=2, max_size=8),
    st.sampled_from(["standard", "minmax", "robust", "quantile"]),
)
def test_no_change_of_val_or_test_rows_changes_what_is_learned(
    tmp_path_factory: pytest.TempPathFactory, others: list[tuple], normalize: str
) -> None:
    train = [(1.0, "b", 0.5), (None, "a", 1.5), (7.0, None, 2.5), (2.5, "b", 3.5)]
    path = tmp_path_factory.getbasetemp() / "leak.parquet"

    def learned(others: list[tuple]) -> str:
        parts = ["train"] * len(train) + ["val"] + ["test"] * (len(others) - 1)
        rows = [(*row, part) for row, part in zip([*train, *others], parts, strict=True)]
        schema = {"x": polars.Float64, "c": polars.String, "y": polars.Float64, "part": polars.String}
        polars.DataFrame(rows, schema=schema, orient="row").write_parquet(path)
        state = made(str(path), "y", split_column="part", normalize=normalize).state_dict()
        tensors = [*state["statistics"].values(), *state["target_statistics"].values()]
        return json.dumps([state["encoding"], [[value.hex() for value in one.flatten().tolist()] for one in tensors]])

    assert learned(others) == learned([(0.0, "a", 0.0), (0.0, "b", 1.0)])


def test_a_random_split_keeps_its_statistics_too(table) -> None:
    frame = people()
    before = made(table(frame), drop="id", stratify=False)
    rest = torch.cat([before.split.val, before.split.test]).tolist()
    index = polars.int_range(polars.len())
    changed = frame.with_columns(
        income=polars.when(index.is_in(rest)).then(index * 1e9).otherwise("income"),
        city=polars.when(index.is_in(rest)).then(polars.lit("Nome")).otherwise("city"),
    )
    after = made(table(changed), drop="id", stratify=False)
    assert torch.equal(before.split.train, after.split.train)
    assert before.encoding == after.encoding
    assert all(map(torch.equal, before.statistics.buffers(), after.statistics.buffers()))
    assert before.cardinalities == after.cardinalities


def test_a_checkpoint_brings_what_was_learned(table) -> None:
    path = table(people())
    first, second = made(path, drop="id"), made(path, drop="id", split_seed=1)
    assert first.encoding != second.encoding
    second.load_state_dict(first.state_dict())
    assert second.encoding == first.encoding
    assert all(torch.equal(first.part("test")[name], second.part("test")[name]) for name in first.part("test"))
    with pytest.raises(DataError, match="other data"):
        second.load_state_dict(made(table(people(seed=1)), drop="id").state_dict())


def test_quantiles_make_a_normal_distribution_of_any(table) -> None:
    x = [float(row) ** 9 for row in range(999)] + [3e38]
    tied = [0.0] * 900 + [float(row) for row in range(100)]
    frame = polars.DataFrame({"x": x, "tied": tied, "same": 3.0, "y": [row / 7 for row in range(1000)]})
    data = made(table(frame), "y", normalize="quantile")
    train, test = (data.part(name)["x"] for name in ("train", "test"))
    assert train.mean(dim=0).tolist() == pytest.approx([0, 0, 0], abs=0.3)
    assert train[:, 0].std() == pytest.approx(1, abs=0.02)
    assert torch.cat([train, test]).abs().max() < 3.3
    assert not train[:, 2].any()
    expected = QuantileTransformer(output_distribution="normal", n_quantiles=700)
    raw = data.columns.numbers[:, :1].numpy()  # at the ends, scikit-learn gives ties no middle
    expected.fit(raw[data.split.train])
    edge = -torch.special.ndtri(torch.tensor(0.5 / 700)).item()
    assert torch.allclose(
        test[:, :1], torch.tensor(expected.transform(raw[data.split.test])).float().clamp(-edge, edge)
    )


def test_quantiles_of_a_channel_are_those_of_all_its_positions() -> None:
    series = torch.randn(40, 3, 5, generator=torch.Generator().manual_seed(0)).exp()
    done = learn(series, "quantile")(series)
    assert done.shape == series.shape
    for channel in range(3):
        values = series[:, channel].reshape(-1, 1)
        assert torch.equal(done[:, channel].reshape(-1, 1), learn(values, "quantile")(values))


def test_facts_are_enough_for_a_model_in_python(table) -> None:
    data = TableData(table(people()), "label", drop="id")
    model = LitMLP(
        task="binary",
        modality="table",
        input_shape=data.input_shape,
        num_outputs=1,
        cardinalities=data.cardinalities,
        hidden=(8,),
    )
    trainer = Trainer(
        max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu"
    )
    trainer.fit(model, data)
    batch = data.part("test")
    assert model(batch["x"], batch["categories"]).shape == (18, 1)
    numbers_only = LitTransformer(task="regression", modality="table", input_shape=(5,), num_outputs=2, width=8)
    assert numbers_only(torch.zeros(3, 5)).shape == (3, 2)


def test_what_no_train_row_has_says_nothing() -> None:
    numbers, reserved = torch.zeros(2, 1), torch.tensor([[0, 0], [1, 1]])  # unknown and missing, in both columns
    vector, tokens = to_vector("table", (1,), (5, 9)), to_sequence("table", (1,), (5, 9), token_width=8)
    assert not vector.module((numbers, reserved)).any()
    assert torch.equal(*tokens.module((numbers, reserved)))
    assert vector.module((numbers, reserved + 2)).any(dim=1).all()
    assert tokens.module((numbers, reserved)).shape == (2, *tokens.shape)


def test_facts_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="modality series"):
        LitMLP(task="binary", modality="series", input_shape=(1, 9), num_outputs=1, cardinalities=(3,))
    with pytest.raises(ConfigError, match="at least 1"):
        LitMLP(task="binary", modality="table", input_shape=(0,), num_outputs=1)


def test_a_constant_column_becomes_zero(table) -> None:
    frame = polars.DataFrame({"x": [0.1] * 60, "z": range(60), "label": ["a", "b"] * 30})
    assert made(table(frame)).part("train")["x"][:, 0].abs().max() < 1e-9

"""A person's own table: what its columns are, what is learned of them, and how it trains."""

import contextlib
import datetime
import io
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from random import Random

import polars
import pytest
import torch
from conftest import Fit
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch import Trainer
from sklearn.preprocessing import QuantileTransformer

from datamodules import DataError, TableData
from datamodules.normalization import learn
from datamodules.tables.frames import parse
from experiments.__main__ import main
from lit_models import ConfigError, LitMLP, LitTransformer
from lit_models.stems import to_sequence, to_vector


def people(rows: int = 120, seed: int = 0) -> polars.DataFrame:
    """Rows with numbers, a date, categories with missing ones, and a label that follows from age and city."""
    random = Random(seed)
    age = [random.choice([None, *range(18, 80)]) for _ in range(rows)]
    city = [random.choice(["Rome", "Oslo", "Lima", None]) for _ in range(rows)]
    return polars.DataFrame(
        {
            "id": [f"u{row}" for row in range(rows)],
            "age": age,
            "city": city,
            "member": [random.random() < 0.5 for _ in range(rows)],
            "joined": [datetime.date(2020, 1, 1) + datetime.timedelta(random.randrange(900)) for _ in range(rows)],
            "income": [random.gauss(3e4, 1e4) for _ in range(rows)],
            "label": ["yes" if (a or 48) > 48 or c == "Oslo" else "no" for a, c in zip(age, city, strict=True)],
        }
    )


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., str]:
    """Writes a frame, or text, and gives its path."""

    def write(content: polars.DataFrame | str | bytes, name: str = "my.csv") -> str:
        path = tmp_path / name
        if isinstance(content, polars.DataFrame):
            content.write_parquet(path) if name.endswith("parquet") else content.write_csv(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


def made(path: str, target: str | list[str] = "label", **kwargs) -> TableData:
    data = TableData(path, target, **kwargs)
    data.setup("fit")
    return data


# Facts


@pytest.mark.parametrize("name", ["my.csv", "my.parquet"])
def test_types_are_inferred_alike_from_csv_and_parquet(table, name: str) -> None:
    data = made(table(people(), name), drop="id", duplicates="ignore")
    assert (data.task, data.modality, data.input_shape, data.num_outputs) == ("binary", "table", (3,), 1)
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
    data = made(table(frame), "y", split_column="part")
    train, val, test = (data.part(name) for name in ("train", "val", "test"))
    median, mean, std = 2.0, 11 / 4, statistics.pstdev([1, 2, 6, 2])
    assert data.encoding.medians == {"x": median}
    assert train["x"][:, 0].tolist() == pytest.approx([(v - mean) / std for v in (1, 2, 6, median)])
    assert test["x"].item() == pytest.approx((median - mean) / std)
    assert train["categories"].tolist() == [[3], [2], [1], [3]]  # sorted from 2 on; 1 is missing
    assert (val["categories"].tolist(), test["categories"].tolist()) == ([[0]], [[1]])
    assert data.cardinalities == (4,)
    assert data.notes == ("categories of c that no train row has: 1 of 1 val rows",)


PARTS = ["train"] * 4 + ["val", "test"]
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
    assert all(map(torch.equal, before.statistics, after.statistics))
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
    x = [float(row) ** 9 for row in range(999)] + [1e300]
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
    done = learn(series, "quantile").apply(series)
    assert done.shape == series.shape
    for channel in range(3):
        values = series[:, channel].reshape(-1, 1)
        assert torch.equal(done[:, channel].reshape(-1, 1), learn(values, "quantile").apply(values))


# Through the command line


@pytest.mark.parametrize("model", ["LitLinear", "LitMLP", "LitCNN", "LitRNN", "LitTransformer"])
def test_every_architecture_learns_from_numbers_and_categories(fit: Fit, table, model: str) -> None:
    path = table(people(400))
    words = f"--data TableData --data.path {path} --data.target label --data.drop [id] --data.batch_size 32"
    small = {"LitRNN": "--model.hidden 16", "LitTransformer": "--model.width 32 --model.num_layers 1"}.get(model, "")
    words += f" --model {model} {small} --model.optimizer.lr 0.01 --trainer.max_epochs 8 --seed_everything 0"
    record = fit(*words.split())
    assert record["metrics"]["test/auroc"] > 0.9
    assert record["data"] == "TableData"


@pytest.mark.parametrize(
    ("inputs", "target"),
    [("city,member", "label"), ("age", "[label]"), ("age,city", "[member,vip]"), ("age,city", "[income,score]")],
)
def test_every_task_with_and_without_numbers(fit: Fit, table, inputs: str, target: str) -> None:
    frame = people().with_columns(vip=polars.col("age").fill_null(0) > 50, score=polars.col("income") * 2)
    path = table(frame.select(*inputs.split(","), *target.strip("[]").split(",")))
    words = f"--data TableData --data.path {path} --data.target {target} --data.duplicates ignore"
    record = fit(*words.split(), "--model", "LitTransformer", "--model.width", "8", "--trainer.max_epochs", "1")
    assert record["status"] == "finished"


def test_settings_of_a_table_can_be_typed(fit: Fit, table) -> None:
    words = f"--data TableData --data.path {table(people())} --data.target label --data.drop id"
    words += " --data.types.age categorical --data.normalize robust --data.missing ['',Rome] --data.folds 4"
    words += " --data.fold 3 --model LitLinear --trainer.max_epochs 1"
    record = fit(*words.split())
    assert record["hyperparameters"]["data.types.age"] == "categorical"
    assert record["hyperparameters"]["data.fold"] == 3
    assert record["rows"]["test"] == 30
    again = fit("-c", str(record["path"] / "config.yaml"))
    assert again["fingerprints"] == record["fingerprints"]
    assert again["metrics"] == record["metrics"]


def test_a_checkpoint_alone_tests_a_table(fit: Fit, table, capfd: pytest.CaptureFixture[str]) -> None:
    words = f"--data TableData --data.path {table(people())} --data.target label --data.drop id --model LitMLP"
    record = fit(*words.split(), "--trainer.max_epochs", "2")
    capfd.readouterr()
    assert main(["test", "--ckpt_path", str(record["path"] / "checkpoints" / "best.ckpt")]) == 0
    accuracy = next(line for line in capfd.readouterr().out.splitlines() if "test/accuracy" in line)
    assert float(accuracy.strip("│ ").split("│")[1]) == pytest.approx(record["metrics"]["test/accuracy"])


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


# Bad input

GOOD = "x,c,label\n" + "".join(f"{row},{'ab'[row % 2]},{'no' if row % 3 else 'yes'}\n" for row in range(40))


@pytest.mark.parametrize(
    ("content", "words", "expected"),
    [
        (GOOD + "1,2\n", "", ["ragged: line 42 has 2 fields and the header 3"]),
        (GOOD + "1,a,no,3\n", "", ["ragged: line 42 has 4 fields"]),
        (GOOD.replace(",b,", ",é,").encode("latin1"), "", ["UTF-8", "line 3"]),
        (GOOD.encode("utf-16"), "", ["UTF-8"]),
        ("", "", ["is empty"]),
        ("x,c,label\n", "", ["no rows"]),
        ("x,x,label\n1,2,no\n", "", ["two columns of the name 'x'"]),
        (b"PAR1 and then nothing", "", ["cannot be read as Parquet"]),
        (GOOD, "--data.target lable", ["--data.target lable", "label"]),
        (GOOD, "--data.drop [d]", ["--data.drop d"]),
        (GOOD, "--data.types.d date", ["--data.types d"]),
        (GOOD, "--data.types.label numeric", ["--data.types label"]),
        (GOOD, "--data.types.c numeric", ["column c", "row 0", "'a'"]),
        (GOOD, "--data.types.c date", ["column c", "row 0"]),
        (GOOD, "--data.types.x date", ["column x", "date"]),
        (GOOD, "--data.types.x number", ["'numeric'"]),
        (GOOD, "--data.drop [x,c]", ["no input column"]),
        (GOOD, "--data.drop [label]", ["--data.target"]),
        (GOOD, "--data.target [label,x]", ["label is neither"]),
        (GOOD, "--data.target [c,label] --data.task binary", ["one target column"]),
        (GOOD, "--data.target x --data.task binary", ["two classes", "40"]),
        (GOOD, "--data.target x --data.task multilabel", ["0 and 1"]),
        (GOOD, "--data.task regression", ["label", "numeric"]),
        (GOOD.replace(",a,", ",,").replace(",b,", ",,"), "", ["column c has no value"]),
        (GOOD.replace("\n7,", "\ninf,").replace("\n9,", "\n-inf,"), "", ["column x has 2 infinite values", "row 7"]),
        (GOOD.replace("5,b,no", "5,b,"), "", ["target label is missing in 3 of 40 rows", "row 5"]),
        (GOOD.replace("yes", "no"), "", ["two classes"]),
        ("name,label\n" + "".join(f"u{row},{row % 2}\n" for row in range(40)), "", ["--data.drop", "column name"]),
        (GOOD, "--data.group nowhere", ["--data.group nowhere"]),
        (GOOD, "--data.group c --data.time x", ["--data.group", "--data.time"]),
        (GOOD, "--data.group c", ["2 groups"]),
        (GOOD, "--data.fold 1", ["--data.folds"]),
        (GOOD, "--data.folds 3 --data.fold 3", ["fold"]),
        (GOOD, "--data.split_column c", ["train, val or test", "'a'"]),
        (GOOD, "--data.stratify true --data.time x", ["stratify"]),
    ],
)
def test_bad_input_is_one_sentence(refused, table, content: str | bytes, words: str, expected: list[str]) -> None:
    command = ["--data", "TableData", "--data.path", table(content), "--model", "LitMLP"]
    said = refused(*command, *(["--data.target", "label"] if "data.target" not in words else []), *words.split())
    assert all(one in said for one in expected), said
    assert len(said.splitlines()) == 1


def test_a_missing_file_is_one_sentence(refused) -> None:
    said = refused("--data", "TableData", "--data.path", "nowhere.csv", "--data.target", "y", "--model", "LitMLP")
    assert said.startswith("error: nowhere.csv cannot be read: No such file")
    assert "--data.path" in refused("--data", "TableData", "--data.target", "y", "--model", "LitMLP")


def test_a_column_of_lists_is_refused(refused, table) -> None:
    frame = people().with_columns(tags=polars.concat_list("id", "label"))
    words = (
        f"--data TableData --data.path {table(frame, 'my.parquet')} --data.target label --data.drop id --model LitMLP"
    )
    assert "column tags holds List(String)" in refused(*words.split())


def test_a_label_that_no_train_row_has(refused, table) -> None:
    frame = polars.DataFrame({"x": range(6), "label": ["a", "b", "a", "b", "b", "rare"], "part": PARTS})
    words = f"--data TableData --data.path {table(frame)} --data.target label --data.split_column part --model LitMLP"
    assert "no row of class rare" in refused(*words.split())


def test_a_column_that_no_train_row_has(refused, table) -> None:
    frame = polars.DataFrame({"x": [None] * 4 + [1, 2], "z": range(6), "label": ["a", "b"] * 3, "part": PARTS})
    words = f"--data TableData --data.path {table(frame)} --data.target label --data.split_column part --model LitMLP"
    assert "column x has no value in the 4 train rows" in refused(*words.split())


def test_a_constant_column_becomes_zero(table) -> None:
    frame = polars.DataFrame({"x": [0.1] * 60, "z": range(60), "label": ["a", "b"] * 30})
    assert made(table(frame)).part("train")["x"][:, 0].abs().max() < 1e-9


BYTES = st.one_of(
    st.binary(max_size=200), *(text.map(str.encode) for text in (st.text(max_size=200), st.text('ab,;"\n\r\t 1.-')))
)


@settings(max_examples=100, deadline=None)
@given(BYTES)
def test_the_reader_gives_a_frame_or_a_sentence(content: bytes) -> None:
    frame_or_sentence(content)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 40))
def test_a_damaged_parquet_file_gives_a_frame_or_a_sentence(start: int, length: int) -> None:
    file = io.BytesIO()
    people(30).write_parquet(file)
    whole = file.getvalue()
    start %= len(whole)
    frame_or_sentence(
        whole[:start] + bytes(byte ^ 0x5A for byte in whole[start : start + length]) + whole[start + length :]
    )
    frame_or_sentence(whole[:start])


def frame_or_sentence(content: bytes) -> None:
    with contextlib.suppress(DataError):
        assert len(parse(content, "file"))

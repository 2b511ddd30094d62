"""The architecture of ``fit`` without ``--model``, by the kind of data and the number of train rows."""

from pathlib import Path
from typing import Any

import numpy
import polars
import yaml
from conftest import Fit
from high_low_table import table, write

from experiments.cli.fit_defaults import WIDE


def config_of(path: Path) -> dict[str, Any]:
    """Returns the configuration of a run's folder."""
    config: dict[str, Any] = yaml.safe_load((path / "config.yaml").read_text())
    return config


def test_a_small_table_gets_the_linear_model_then_residual_blocks_and_a_large_one_an_ensemble(
    fit: Fit, tmp_path: Path
) -> None:
    for rows, expected in {
        712: ("LitLinear", "standard"),
        716: ("LitResMLP", "quantile"),
        2856: ("LitResMLP", "quantile"),
        2860: ("LitTabM", "quantile"),
    }.items():
        words = ["--data", "TableData", "--data.path", write(table(rows), tmp_path / "t.csv"), "--data.target", "label"]
        config = config_of(fit(*words, "--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1")["path"])
        assert config["model"]["class_path"].endswith(expected[0])
        assert config["data"]["init_args"]["normalize"] == expected[1]


def test_a_large_table_of_many_columns_gets_residual_blocks(fit: Fit, tmp_path: Path) -> None:
    columns = {f"x{index}": range(index, 2900 + index) for index in range(WIDE + 1)}
    polars.DataFrame({**columns, "y": [0.5, 1.5] * 1450}).write_csv(tmp_path / "wide.csv")
    words = f"--data TableData --data.path {tmp_path}/wide.csv --data.target y --trainer.limit_train_batches 1"
    config = config_of(fit(*words.split(), "--trainer.max_epochs", "1")["path"])
    assert config["model"]["class_path"].endswith("LitResMLP")


def test_texts_of_few_tokens_get_a_model_that_sees_their_order(fit: Fit, tmp_path: Path) -> None:
    draw = numpy.random.default_rng(0)
    letters = draw.permuted(numpy.tile(numpy.array(list("aaccggtt")), (80, 1)), axis=1)
    label = ["first" if row.tolist().index("a") < row.tolist().index("c") else "second" for row in letters]
    frame = polars.DataFrame({"gene": [" ".join(row) for row in letters], "label": label})
    frame.write_csv(tmp_path / "genes.csv")
    words = f"--data TextData --data.path {tmp_path}/genes.csv --data.text gene --data.target label"
    record = fit(*words.split(), "--trainer.max_epochs", "1")
    assert config_of(record["path"])["model"]["class_path"].endswith("LitTransformer")

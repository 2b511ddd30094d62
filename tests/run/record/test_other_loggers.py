"""Typed loggers stand beside TensorBoard; each is read back by its own client."""

import csv
import json
import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiments.__main__ import main
from experiments.run.record.record_io import read_record

RUN = "fit --data Digits --model LitLinear --trainer.max_epochs 2 --seed_everything 0 --figures false --run one"
LOGGER = "--trainer.logger"


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def trained(*words: str) -> dict[str, Any]:
    """Trains with a logger; returns the test metrics once TensorBoard is seen to have them too."""
    main([*RUN.split(), *words])
    metrics: dict[str, Any] = read_record(Path("runs/digits/one"))["metrics"]
    events = EventAccumulator("runs/digits/one").Reload()
    assert events.Scalars("test/accuracy")[-1].value == pytest.approx(metrics["test/accuracy"])
    assert len(events.Scalars("val/loss")) == 2
    return metrics


def log_records(content: bytes) -> list[bytes]:
    """Returns the records of a run that was never uploaded: LevelDB's log format behind a header of seven bytes."""
    records, position, block = list[bytes](), 7, 2**15
    while position + 7 <= len(content):
        if block - position % block < 7:  # too little for a header
            position += block - position % block
            continue
        length, kind = struct.unpack_from("<HB", content, position + 4)
        piece = content[position + 7 : position + 7 + length]
        if kind in (1, 2):  # a whole record or its first piece
            records.append(piece)
        elif kind:
            records[-1] += piece
        position += 7 + length
    return records


@pytest.mark.parametrize("option", [LOGGER, f"{LOGGER}+"])
def test_csv_beside_tensorboard(option: str) -> None:
    metrics = trained(f"{option}=CSVLogger", *f"{LOGGER}.save_dir rows {LOGGER}.name n {LOGGER}.version v".split())
    rows = list(csv.DictReader(Path("rows/n/v/metrics.csv").read_text(encoding="utf-8").splitlines()))
    assert float(rows[-1]["test/accuracy"]) == pytest.approx(metrics["test/accuracy"])
    assert sum(bool(row["val/loss"]) for row in rows) == 2


def test_no_logger_leaves_tensorboard_out() -> None:
    main([*RUN.split(), LOGGER, "false"])
    assert not list(Path("runs").rglob("events.out.tfevents.*"))


def test_mlflow_on_sqlite() -> None:
    client_of = pytest.importorskip("mlflow.tracking", reason="mlflow is not installed").MlflowClient
    words = f"{LOGGER}=MLFlowLogger {LOGGER}.experiment_name e {LOGGER}.tracking_uri sqlite:///mlruns.db"
    metrics = trained(*words.split())
    client = client_of("sqlite:///mlruns.db")
    (run,) = client.search_runs([client.get_experiment_by_name("e").experiment_id])
    assert run.data.metrics["test/accuracy"] == pytest.approx(metrics["test/accuracy"])
    assert len(client.get_metric_history(run.info.run_id, "val/loss")) == 2
    assert run.info.status == "FINISHED"


@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_weights_and_biases_offline() -> None:
    from wandb.proto.wandb_internal_pb2 import Record

    metrics = trained(*f"{LOGGER}=WandbLogger {LOGGER}.offline true {LOGGER}.save_dir .".split())
    import wandb

    wandb.finish()
    (file,) = Path("wandb").glob("offline-run-*/*.wandb")
    kept = dict[str, float]()
    for content in log_records(file.read_bytes()):
        record = Record()
        record.ParseFromString(content)
        for item in record.history.item:
            kept[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    assert kept["test/accuracy"] == pytest.approx(metrics["test/accuracy"])

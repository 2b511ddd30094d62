"""Makes the files of this folder: runs, exports and predictions of the version of commit 788ff68.

    OMP_NUM_THREADS=1 python tests/stored/make.py

Runs at that commit, from a clean checkout. ``tests/test_stored_run.py`` shows that later versions still read the files,
so they are never made again; another version gets a folder of its own. ``short.yaml``, ``packages.yaml`` and
``modules.yaml`` are written by hand.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from inspect import isabstract
from pathlib import Path
from typing import Any

import numpy
import polars
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import datamodules
import lit_models
import lit_models.schedules
from experiments.__main__ import main

HERE = Path(__file__).parent
RUNS = Path("runs/stored")
COMMON = """fit --data.path flowers.csv --data.target kind --data.batch_size 16 --model.hidden [8]
--model.optimizer AdamW --model.optimizer.lr 0.02 --model.steps_per_execution 1
--seed_everything 3 --figures false --experiment stored"""
SHORT = """--data TableData --model LitMLP --model.loss FocalLoss --trainer.max_epochs 12
--model.schedule.scheduler CosineAnnealingLR --model.schedule.interval step --model.schedule.warmup 0.1
--trainer.callbacks+ EarlyStopping --trainer.callbacks.monitor val/loss --trainer.callbacks.patience 12"""
MODULES = """--data datamodules.table.TableData --model lit_models.mlp.LitMLP --model.loss lit_models.losses.FocalLoss
--model.schedule.scheduler lit_models.schedules.schedulers.OneCycleLR --trainer.max_epochs 4"""
STEPS_PER_EPOCH = 6  # 84 train rows in batches of 16
FACTS: dict[str, dict[str, Any]] = {
    "table": {"input_shape": [3], "cardinalities": [4, 5]},
    "image": {"input_shape": [1, 8, 8]},
    "series": {"input_shape": [2, 12]},
    "text": {"input_shape": [12], "vocab_size": 20},
}
VARIANTS: list[tuple[str, str, dict[str, Any]]] = [
    ("LitMLP", "table", {"class_weights": True, "norm": "layer"}),
    ("LitCNN", "series", {"norm": "layer"}),
    ("LitCNN", "image", {"norm": "none"}),
    ("LitRNN", "series", {"cell": "gru", "num_layers": 2}),
]
NO_OPTION = ("FrameData", "LabelledTexts", "PixelData", "SequenceData", "DataModule", "LitModel", "Schedule")
FORMATS = ("onnx", "torch-export", "safetensors", "state-dict")


def flowers(rows: int = 120) -> polars.DataFrame:
    """Three kinds, told apart by two numbers and a colour; some cells are missing."""
    random = numpy.random.default_rng(5)
    kind = numpy.arange(rows) % 3
    length = (kind + 0.35 * random.normal(size=rows)).round(2)
    width = (2.0 * (kind == 1) + 0.5 * random.normal(size=rows)).round(2)
    colour = numpy.where(random.random(rows) < 0.8, kind, random.integers(0, 3, rows))
    day = [f"2024-{1 + index // 28:02d}-{1 + index % 28:02d}" for index in range(rows)]
    frame = polars.DataFrame({"length": length, "width": width, "colour": colour, "day": day, "kind": kind})
    words = {"colour": ["red", "white", "blue"], "kind": ["iris", "poppy", "tulip"]}
    named = [polars.col(name).replace_strict(dict(enumerate(of))) for name, of in words.items()]
    holes = [
        polars.when(polars.Series(random.random(rows) >= 0.08)).then(polars.col(name)).alias(name)
        for name in ("length", "colour")
    ]
    return frame.with_columns(named).with_columns(holes)


def words_of(settings: str, run: str) -> list[str]:
    return [*COMMON.split(), *settings.split(), "--run", run]


def interrupt(words: list[str], run: Path) -> None:
    """Starts the command and sends SIGINT in its third epoch, until it is interrupted between two steps of an epoch."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "experiments", *words]
    for _ in range(30):
        shutil.rmtree(run, ignore_errors=True)
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("epoch 3 "):
                    process.send_signal(signal.SIGINT)
                    break
            process.stdout.read()
        assert process.returncode == 130, process.returncode
        checkpoint = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
        if checkpoint["global_step"] % STEPS_PER_EPOCH:
            return
    raise RuntimeError("every SIGINT arrived at the end of an epoch")


def curves(run: Path) -> dict[str, dict[int, float]]:
    """Losses and learning rates of a run by step."""
    events = EventAccumulator(str(run)).Reload()
    tags = ("train/loss", "train/lr", "val/loss")
    return {tag: {event.step: event.value for event in events.Scalars(tag)} for tag in tags}


def state_names() -> list[dict[str, Any]]:
    """Names and shapes of the weights of a model of each architecture and modality."""
    architectures = ("LitLinear", "LitMLP", "LitCNN", "LitRNN", "LitTransformer", "LitResMLP", "LitResCNN")
    cells = [(architecture, modality, {}) for architecture in architectures for modality in FACTS]
    found = []
    for architecture, modality, options in [*cells, *VARIANTS]:
        arguments = {"task": "multiclass", "modality": modality, "num_outputs": 3, **FACTS[modality], **options}
        model = getattr(lit_models, architecture)(**arguments)
        shapes = {name: "x".join(map(str, tensor.shape)) for name, tensor in model.state_dict().items()}
        found.append({"model": architecture, "arguments": arguments, "weights": shapes})
    return found


def class_paths() -> dict[str, list[str]]:
    """Each option with the classes that it takes, named by their package and by their module."""
    families = {"data": (datamodules, datamodules.DataModule), "model": (lit_models, lit_models.LitModel)}
    families["model.loss"] = (lit_models, torch.nn.Module)
    families["model.schedule.scheduler"] = (lit_models.schedules, object)
    found: dict[str, list[str]] = {}
    for option, (package, base) in families.items():
        classes = [getattr(package, name) for name in package.__all__]
        classes = [cls for cls in classes if isinstance(cls, type) and issubclass(cls, base) and not isabstract(cls)]
        if option == "model.loss":
            classes = [cls for cls in classes if not issubclass(cls, lit_models.LitModel)]
        for cls in classes:
            if cls.__module__.split(".")[0] in ("datamodules", "lit_models") and cls.__name__ not in NO_OPTION:
                paths = [f"{package.__name__}.{cls.__name__}", f"{cls.__module__}.{cls.__name__}"]
                found.setdefault(option, []).extend(paths)
    return found


def make() -> None:
    """Writes everything into a temporary folder, and what is kept into this one."""
    folder = Path(tempfile.gettempdir()) / "stored"  # checkpoints hold the absolute path of their folder
    folder.mkdir()
    os.chdir(folder)
    frame = flowers()
    frame.write_csv("flowers.csv")
    new = frame.drop("kind")[:8].with_columns(
        colour=polars.when(polars.int_range(8) == 2).then(polars.lit("green")).otherwise(polars.col("colour"))
    )
    new.write_csv("new.csv")
    assert main(words_of(SHORT, "finished")) == 0
    interrupt(words_of(SHORT, "interrupted"), RUNS / "interrupted")
    assert main(words_of(MODULES, "modules")) == 0
    for run in ("finished", "modules"):
        words = ["predict", "--ckpt_path", str(RUNS / run), "--input", "new.csv", "--output", f"expected-{run}.csv"]
        assert main(words) == 0
    for name in FORMATS:
        words = ["export", "--ckpt_path", str(RUNS / "finished"), "--format", name, "--output", f"exports/{name}"]
        assert main(words) == 0
    for record in RUNS.glob("*/record.json"):
        content = json.loads(record.read_text())
        content["process"] |= {"host": "localhost", "began": "another boot"}
        record.write_text(json.dumps(content, indent=2) + "\n")
    (HERE / "curves.json").write_text(json.dumps(curves(RUNS / "finished"), indent=2) + "\n")
    for events in RUNS.glob("*/events*"):
        events.unlink()
    (RUNS / "modules/checkpoints/last.ckpt").unlink()
    for name in ("flowers.csv", "new.csv", "expected-finished.csv", "expected-modules.csv"):
        shutil.copy(name, HERE)
    shutil.copytree(RUNS, HERE / "run_folders", dirs_exist_ok=True)
    shutil.copytree("exports", HERE / "exports", dirs_exist_ok=True)
    (HERE / "state_names.json").write_text("[\n" + ",\n".join(map(json.dumps, state_names())) + "\n]\n")
    (HERE / "class_paths.json").write_text(json.dumps(class_paths(), indent=2) + "\n")
    shutil.rmtree(folder)


if __name__ == "__main__":
    make()

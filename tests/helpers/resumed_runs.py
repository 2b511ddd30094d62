"""Runs that are killed and resumed: their command, what they end with, and comparison bit for bit."""

import json
from pathlib import Path
from typing import Any

import torch
from fork_server import Server
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

SCHEDULES = {
    "warmup_cosine": "--model.schedule.scheduler CosineAnnealingLR --model.schedule.warmup 0.2",
    "onecycle": "--model.schedule.scheduler OneCycleLR --model.optimizer.lr 0.01",
    "plateau": "--model.schedule.scheduler ReduceLROnPlateau --model.schedule.scheduler.patience 0 "
    "--model.schedule.scheduler.threshold 0.5",
}
MODELS = {
    "mlp": f"--model LitMLP --model.hidden [8] {SCHEDULES['warmup_cosine']}",
    "cnn": f"--model LitCNN --model.channels [4,4] --model.dropout 0.2 {SCHEDULES['onecycle']}",
    "gru": f"--model LitRNN --model.cell gru --model.hidden 6 --model.num_layers 2 --model.dropout 0.2 "
    f"--trainer.accumulate_grad_batches 2 {SCHEDULES['plateau']}",
    "transformer": "--model LitTransformer --model.width 8 --model.heads 2 --model.num_layers 1 "
    f"{SCHEDULES['warmup_cosine']}",
    "any network": "--trust foreign_networks --model LitModule --model.network foreign_networks.create_model "
    f"--model.network.model_name conv1d {SCHEDULES['warmup_cosine']}",
    "frozen network": "--trust foreign_networks --model LitModule --model.network foreign_networks.Features "
    f"--model.head linear --model.freeze body {SCHEDULES['warmup_cosine']}",
    "lightning module": "--trust foreign_lightning --model foreign_lightning.ConvModule",
}
LOADERS = {"0": ("sliced", 0), "2": ("plain", 2), "2 within": ("stateful", 2)}
WATCHED = """--experiment e --trainer.callbacks+ faults.Pause --trainer.callbacks+ EarlyStopping
--trainer.callbacks.monitor val/loss --trainer.callbacks.patience 3 --save_every_n_steps 3 --figures false"""
EPOCHS, BATCHES = 4, 8  # 140 rows in batches of 16


def words_of(model: str, loader: str, *more: str) -> list[str]:
    kind, workers = LOADERS[loader]
    return [
        *f"fit --trust faults --data faults.Waves --data.loader {kind} --data.workers {workers}".split(),
        *f"--data.batch_size 16 {MODELS[model]} --trainer.max_epochs {EPOCHS} --seed_everything 3 --run one".split(),
        *WATCHED.split(),
        *more,
    ]


def run(forks: Server, folder: Path, words: list[str], **env: str) -> Path:
    child = forks.start(words, folder, **env)
    assert child.wait() == 0, child.output.read_text()
    return folder / "runs" / "e" / "one"


def state(path: Path) -> dict[str, Any]:
    checkpoint = torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)
    record = json.loads((path / "record.json").read_text())
    names = ("state_dict", "optimizer_states", "lr_schedulers")
    kept = {name: checkpoint[name] for name in names}
    kept["early"] = [one for key, one in checkpoint["callbacks"].items() if key.startswith("EarlyStopping")]
    swa = [one for key, one in checkpoint["callbacks"].items() if key.startswith("StochasticWeightAveraging")]
    kept["averaged"] = [(one["n_averaged"], one["average_model_state"]) for one in swa]
    kept["rng"] = checkpoint["evenhand_resume"]["rng"]
    kept["best"] = torch.load(path / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    kept["looks"] = [looks(path), looks(path.parent.parent)]
    return (
        kept | {name: record[name] for name in ("metrics", "validation", "epochs", "status")} | {"curves": curves(path)}
    )


def looks(folder: Path) -> list[dict[str, Any]]:
    """Returns the looks at test rows of a run or of a folder of runs, but for their times."""
    lines = (folder / "test_looks.jsonl").read_text().splitlines()
    return [{**json.loads(line), "time": ""} for line in lines]


def curves(path: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(path)).Reload()
    measured = ("train/rows_per_second", "train/memory_mib")
    tags = [tag for tag in events.Tags()["scalars"] if tag not in measured]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def assert_equal(one: Any, other: Any, where: str = "") -> None:
    """To the last bit."""
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), f"{where}: {one.keys() ^ other.keys()}"
        for key in one:
            assert_equal(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), f"{where}: {one} and {other}"
        for index, pair in enumerate(zip(one, other, strict=True)):
            assert_equal(*pair, f"{where}/{index}")
    elif isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True, msg=where)
    else:
        assert one == other or one != one, where

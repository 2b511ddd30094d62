"""Random runs of every modality, what may happen to them, and what is left at the end."""

import csv
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import polars
import torch
from fork_server import Child, Server
from resumed_runs import SCHEDULES, assert_equal, curves, looks

CLONE_NEWUTS = 0x04000000
"""Of ``unshare(2)``: host names."""

MIB = 1 << 20

DATA = {
    "table": "--data TableData --data.path table.csv --data.target label",
    "streamed table": "--data StreamedTable --data.path table.parquet --data.target label --data.cache cache",
    "series": "--trust faults --data faults.Waves",
    "images": "--data ImageData --data.path images.npz",
    "texts": "--data TextData --data.path texts.csv --data.text review --data.target stars",
}
MODELS = {
    "linear": "--model LitLinear",
    "mlp": "--model LitMLP --model.hidden [8]",
    "dropout": "--model LitMLP --model.hidden [8] --model.dropout 0.2",
    "tabm": "--model LitTabM --model.hidden [8] --model.members 3 --model.numbers ple",
    "plr": "--model LitLinear --model.numbers plr",
    "cnn": "--model LitCNN --model.channels [4,4]",
    "rnn": "--model LitRNN --model.hidden 6",
    "transformer": "--model LitTransformer --model.width 8 --model.heads 2 --model.num_layers 1",
}
OF_DATA = {
    "table": ("linear", "mlp", "dropout", "tabm", "plr"),
    "streamed table": ("linear", "mlp", "dropout", "tabm", "plr"),
    "series": ("mlp", "dropout", "cnn", "rnn", "transformer"),
    "images": ("linear", "mlp", "cnn"),
    "texts": ("linear", "transformer"),
}
OPTIONS = (
    "--model.optimizer SGD --model.optimizer.lr 0.05 --model.optimizer.momentum 0.9",
    "--save_every_n_steps 2",
    "--trainer.gradient_clip_val 0.5",
    "--trainer.accumulate_grad_batches 2",
    "--trainer.callbacks+ EarlyStopping --trainer.callbacks.monitor val/loss --trainer.callbacks.patience 1",
    "--trainer.callbacks+ ModelCheckpoint --trainer.callbacks.monitor val/loss --trainer.callbacks.save_top_k 2",
    "--trainer.callbacks+ EMAWeightAveraging",
    "--trainer.val_check_interval 2",
    "--model.mixup 0.2",
)
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


def write_inputs(folder: Path) -> None:
    """Writes small data of every modality."""
    draw, generator = random.Random(0), numpy.random.default_rng(0)
    rows = [(draw.gauss(0, 1), draw.choice(["red", "blue"])) for _ in range(90)]
    table = [{"x": f"{x:.3f}", "colour": colour, "label": "ab"[x > 0]} for x, colour in rows]
    texts = [
        {"review": f"a {'fine' if x > 0 else 'poor'} dress {i}", "stars": int(x > 0)} for i, (x, _) in enumerate(rows)
    ]
    for name, content in (("table", table), ("texts", texts)):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, content[0])
            writer.writeheader()
            writer.writerows(content)
    polars.read_csv(folder / "table.csv").write_parquet(folder / "table.parquet")
    y = numpy.arange(90) % 3
    images = generator.integers(0, 80, (90, 8, 8)) + 60 * y[:, None, None]
    numpy.savez(folder / "images.npz", images=images.astype(numpy.uint8), labels=y)


def random_words(draw: random.Random, epochs: int) -> list[str]:
    """Returns the command of a random run, without its name."""
    data = draw.choice([*DATA])
    options = [option for option in OPTIONS if draw.random() < 0.3]
    if draw.random() < 0.5:
        options.append(draw.choice([*SCHEDULES.values()]))
    parts = [DATA[data], MODELS[draw.choice(OF_DATA[data])], *options]
    more = f"--data.batch_size 16 --trainer.max_epochs {epochs} --seed_everything {draw.randrange(9)} --figures false"
    return ["fit", *" ".join(parts).split(), *more.split(), "--experiment", "e"]


@dataclass
class Twin:
    """An undisturbed run: what it ends with, how many writes it makes, and how long it takes."""

    words: list[str]
    state: dict[str, Any]
    writes: int
    seconds: float


@dataclass
class Disk:
    """Where trials run.

    Args:
        path: Folder of all trials.
        is_own: Whether it is a file system of its own, that can be filled and made read-only.
        hosts: Whether processes can have other host names.
        outputs: Folder of the printed lines, on another disk.
    """

    path: Path
    is_own: bool
    hosts: bool
    outputs: Path
    missing: list[str] = field(default_factory=list)

    def fill(self, room: int) -> None:
        """Leaves so many bytes."""
        free = os.statvfs(self.path)
        (self.path / "filler").write_bytes(bytes(max(0, free.f_bavail * free.f_bsize - room)))

    def remount(self, option: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.path)], check=True)

    def restore(self) -> None:
        """Makes it writable, with room."""
        if self.is_own:
            self.remount("rw")
        (self.path / "filler").unlink(missing_ok=True)

    @classmethod
    def mount(cls, folder: Path) -> "Disk":
        """Mounts a tmpfs, where that is allowed."""
        path, outputs = folder / "disk", folder / "outputs"
        path.mkdir()
        outputs.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(path)]
        is_own = bool(shutil.which("mount")) and subprocess.run(words, capture_output=True).returncode == 0
        hosts = bool(shutil.which("unshare")) and subprocess.run(["unshare", "-u", "true"]).returncode == 0
        missing = [] if is_own else ["mount a tmpfs"]
        return cls(path, is_own, hosts, outputs, missing if hosts else [*missing, "unshare -u"])

    def unmount(self) -> None:
        if self.is_own:
            subprocess.run(["umount", str(self.path)], check=True)


def rename_host(name: str) -> None:
    """Gives this process alone another host name."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUTS):
        raise OSError(ctypes.get_errno(), "unshare")
    socket.sethostname(name)


def random_twin(forks: Server, disk: Disk, draw: random.Random, epochs: int) -> Twin:
    """Runs the first random command whose options go together."""
    while (made := _twin(forks, disk, random_words(draw, epochs))) is None:
        pass
    return made


def _twin(forks: Server, disk: Disk, words: list[str]) -> Twin | None:
    home = disk.path / "twin"
    home.mkdir()
    write_inputs(home)
    count, began = disk.outputs / "writes", time.monotonic()
    env = {"BREAK_WRITE": "0", "BREAK_HOW": "kill", "WRITES": str(count)}
    child = forks.start([*words, "--run", "one"], home, disk.outputs, **env)
    code, seconds = child.wait(), time.monotonic() - began
    assert code in (0, 2), child.output.read_text()
    made = None if code else Twin(words, final_state(home / "runs/e/one"), int(count.read_text()), seconds)
    shutil.rmtree(home)
    return made


class Trial:
    """One run that is disturbed, and then left alone.

    Args:
        forks: Starts the processes.
        disk: Where it runs.
        of: The run.
        draw: Chooses the disturbances.
    """

    def __init__(self, forks: Server, disk: Disk, of: Twin, draw: random.Random) -> None:
        self.forks, self.disk, self.twin, self.draw = forks, disk, of, draw
        self.home, self.name, self.env = disk.path / "home", "one", dict[str, str]()
        self.kinds: list[str] = []
        self.home.mkdir()
        write_inputs(self.home)

    def run(self, most: int) -> str:
        """Disturbs the run once up to ``most`` times.

        Returns ``equal`` or the sentence of a refusal; raises AssertionError for anything else.
        """
        for _ in range(self.draw.randint(1, most)):
            self._session()
            if self.draw.random() < 0.5:
                self._move()
        child = self._start()
        code = child.wait()
        message = self._check(child, code)
        run = self.home / "runs/e" / self.name
        if code and not ("finished" in message and (run / "record.json").is_file()):
            outcome = message
        else:
            state = final_state(run)
            assert_equal(state, self.twin.state, f"{self.kinds} {self.twin.words}")
            outcome = "equal"
        self.end()
        return outcome

    def end(self) -> None:
        """Leaves the disk as it was."""
        self.disk.restore()
        shutil.rmtree(self.home)

    def _start(self, **env: str) -> Child:
        words = [*self.twin.words, "--run", self.name]
        return self.forks.start(words, self.home, self.disk.outputs, **self.env, **env)

    def _check(self, child: Child, code: int) -> str:
        """Asserts that a process ended well, by its signal or with a sentence; returns the sentence."""
        printed = child.output.read_text()
        where = f"{self.kinds} exit {code} {' '.join(self.twin.words)}\n{printed[-3000:]}"
        assert "Traceback" not in printed, where
        assert code in (0, 2, -signal.SIGKILL, *(128 + number for number in SIGNALS)), where
        sentences = [line for line in printed.splitlines() if line.startswith("error: ")]
        assert (code == 2) == bool(sentences), where
        return sentences[-1] if sentences else ""

    def _session(self) -> None:
        kinds = ["kill at a write", "kill at a time", "signal", "full from a write", "read-only from a write"]
        kind = self.draw.choice(
            [*kinds, "kill at a write", *(["full disk", "read-only disk"] if self.disk.is_own else [])]
        )
        self.kinds.append(kind)
        env = {}
        if kind.endswith("a write"):
            how = {"kill": "kill", "full": "ENOSPC", "read": "EROFS"}[kind.split()[0].partition("-")[0]]
            env = {"BREAK_WRITE": str(self.draw.randint(1, self.twin.writes)), "BREAK_HOW": how}
        if kind == "full disk":
            self.disk.fill(self.draw.choice((0, 1 << 12, 1 << 14, 1 << 16, 1 << 18)))
        if kind == "read-only disk":
            self.disk.remount("ro")
        child = self._start(**env)
        if kind in ("kill at a time", "signal"):
            # Ahead of the command's own handlers, SIGINT ends Python with a traceback.
            time.sleep(self.draw.uniform(0.3 if kind == "signal" else 0, 1) * self.twin.seconds)
            os.kill(child.pid, signal.SIGKILL if kind == "kill at a time" else self.draw.choice(SIGNALS))
        code = child.wait()
        self.disk.restore()
        self._check(child, code)

    def _move(self) -> None:
        """Another folder, another name, a copy, a link, another machine."""
        kind = self.draw.choice(["moved", "renamed", "copied", "linked", *(["other host"] if self.disk.hosts else [])])
        self.kinds.append(kind)
        runs, other = self.home / "runs", f"other-{len(self.kinds)}"
        if kind == "other host":
            self.env = {"HOST": other}
        elif kind == "moved":
            self.home = self.home.rename(self.home.with_name(other))
        elif kind == "renamed" and (runs / "e" / self.name).is_dir():
            (runs / "e" / self.name).rename(runs / "e" / other)
            self.name = other
        elif kind == "copied":
            shutil.copytree(self.home, self.home.with_name(other), symlinks=True)
            shutil.rmtree(self.home)
            self.home = self.home.with_name(other)
        elif kind == "linked" and runs.is_dir() and not runs.is_symlink():
            runs.rename(self.home / other)
            runs.symlink_to(other)


def final_state(run: Path) -> dict[str, Any]:
    """Returns all that is left of a run, except times, paths and names."""
    record = json.loads((run / "record.json").read_text())
    kept: dict[str, Any] = {
        name: record[name] for name in ("metrics", "validation", "epochs", "status", "fingerprints")
    }
    callbacks = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["callbacks"]
    best = {Path(path).name for state in callbacks.values() for path in state.get("best_k_models", ())}
    # A kill after a save and ahead of the removal of the worst may leave one more file of a user's ModelCheckpoint.
    unused = {path.name for path in (run / "checkpoints").glob("*.ckpt")} - best - {"last.ckpt"}
    for path in sorted((run / "checkpoints").iterdir()):
        if path.name in unused:
            continue
        content = torch.load(path, weights_only=True)
        entries = {name: content[name] for name in ("state_dict", "optimizer_states", "lr_schedulers", "global_step")}
        stops = [state for key, state in content["callbacks"].items() if key.startswith("EarlyStopping")]
        kept[path.name] = {**entries, "stops": stops, "rng": content["evenhand_resume"]["rng"]}
    kept["config"] = (run / "config.yaml").read_text()
    kept["predictions"] = polars.read_parquet(run / "predictions.parquet").to_dict(as_series=False)
    kept["split"] = (run / "split.parquet").read_bytes() if (run / "split.parquet").exists() else b""
    kept["looks"] = [{**look, "run": ""} for look in looks(run)]
    files = {path.name for path in run.rglob("*") if not path.name.startswith("events.")}
    # The lock of a killed session keeps the name that the run had then.
    kept["files"] = sorted((files - unused) | {path.name for path in run.parent.glob(f".{run.name}.*")})
    return kept | {"curves": curves(run)}


def table(outcomes: Counter[tuple[str, str]]) -> str:
    """Returns a line for each kind of disturbance, with its outcomes."""
    kinds = sorted({kind for kind, _ in outcomes})
    names = sorted({name for _, name in outcomes})
    lines = [("", *names), *((kind, *(str(outcomes[kind, name]) for name in names)) for kind in kinds)]
    return "\n".join("".join(cell[:60].ljust(24) for cell in line) for line in lines)

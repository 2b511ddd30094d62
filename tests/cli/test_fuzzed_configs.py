"""Mutated configurations, checkpoints, records and project files: no code, no hang, no traceback, no exit code 1."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fuzzing import Door, Fuzzer, Prepare, fuzzer, mutate_bytes, mutate_tree
from hostile_runs import train

TOKENS = (
    *(b"class_path: ", b"init_args:\n", b"- ", b"{", b"[", b"&a ", b"*a", b"<<: ", b"!!python/name:os.system ", b"? "),
    *(b"!!binary ", b"|\n", b"%YAML 9.9\n", b"---\n", b"...\n", b"\t", b"'", b'"', b"1:1:1", b"2026-99-99", b"\xef"),
)
POOL = (
    *("TableData", "Digits", "LitMLP", "LitCNN", "torch.optim.SGD", "torch.optim.LBFGS", "torch.nn.Linear", "StepLR"),
    *("EarlyStopping", "ModelCheckpoint", "torch.nn.CrossEntropyLoss", "torchmetrics.image.fid.NoTrainInceptionV3"),
    *("lightning.pytorch.profilers.SimpleProfiler", "lit_models.schedules.Schedule", "val/loss", "c.yaml", [1e400]),
    *({"class_path": "torch.optim.SGD", "init_args": {"lr": "nan"}}, {"scheduler": "StepLR"}),
    [{"class_path": "Timer"}],
)
"""Words of a configuration in places where they do not belong."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder."""
    return train(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def fuzz() -> Iterator[Fuzzer]:
    with fuzzer() as started:
        yield started


def config(run: Path) -> Prepare:
    """As a file of ``-c``: parsed alone, with its data read, or trained for one batch."""
    whole = (run / "config.yaml").read_bytes()
    doors = (["fit", "-c", "c.yaml", "--print_config"], ["inspect", "-c", "c.yaml"])
    quick = ["fit", "-c", "c.yaml", "--trainer.fast_dev_run", "true", "--trainer.accelerator", "cpu"]

    def prepare(folder: Path, chance: random.Random) -> Door:
        text = mutate_bytes(whole, chance, TOKENS)
        if chance.random() < 0.6:
            text = yaml.safe_dump(mutate_tree(yaml.safe_load(whole), chance, POOL)).encode("utf-8", "surrogatepass")
        (folder / "c.yaml").write_bytes(text)
        return chance.choice([*doors, quick])

    return prepare


def checkpoint(run: Path) -> Prepare:
    """As a value of ``--ckpt_path``."""
    whole, table = (run / "checkpoints/last.ckpt").read_bytes(), str(run.parents[2] / "t.csv")

    def prepare(folder: Path, chance: random.Random) -> Door:
        (folder / "m.ckpt").write_bytes(mutate_bytes(whole, chance, [b"PK\x03\x04", b"PK\x01\x02", b"cos\nsystem\n"]))
        words = ["--ckpt_path", "m.ckpt", "--trainer.accelerator", "cpu"]
        predict = ["predict", "--ckpt_path", "m.ckpt", "--input", table, "--output", "p.csv"]
        return chance.choice([["test", *words], ["validate", *words], predict])

    return prepare


def record(run: Path) -> Prepare:
    """As a run's folder, which compare reads and a fit of the same name resumes."""

    def prepare(folder: Path, chance: random.Random) -> Door:
        copied = folder / "runs/e/a"
        shutil.copytree(run, copied)
        file = copied / chance.choice(["record.json", "record.json", "config.yaml", "inspection.json"])
        file.write_bytes(mutate_bytes(file.read_bytes(), chance, TOKENS))
        resume = [
            "fit",
            "--run",
            "a",
            "--experiment",
            "e",
            "--trainer.max_epochs",
            "1",
            "--trainer.default_root_dir",
            ".",
        ]
        return chance.choice([["compare", "runs"], ["test", "--ckpt_path", "runs/e/a"], resume])

    return prepare


def project(run: Path) -> Prepare:
    """As the pyproject.toml of the working directory."""

    def prepare(folder: Path, chance: random.Random) -> Door:
        whole = b'[project]\nname = "mine"\n[tool.evenhand]\ntrust = ["json", "no_such.package"]\n'
        (folder / "pyproject.toml").write_bytes(mutate_bytes(whole, chance, [b"[[", b"]]", b'"""', b"1979-05-27"]))
        return ["fit", "-c", str(run / "config.yaml"), "--print_config"]

    return prepare


READERS = {"config": (config, False), "checkpoint": (checkpoint, True), "record": (record, True)}
READERS["project"] = (project, False)
"""What is read, and whether a trial may write in its own folder."""


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("reader", READERS)
def test_mutated_files(reader: str, run: Path, fuzz: Fuzzer, tmp_path: Path) -> None:
    prepare, writes = READERS[reader]
    assert fuzz.run(range(8), tmp_path, prepare(run), writes) == []


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("reader", READERS)
def test_two_thousand_mutated_files(reader: str, run: Path, fuzz: Fuzzer, tmp_path: Path) -> None:
    prepare, writes = READERS[reader]
    assert fuzz.run(range(1000, 3000), tmp_path, prepare(run), writes) == []

"""Broken configurations and checkpoints: at most five lines, exit 2, nothing left behind.

Plain Lightning: a mutated config is a traceback or 54 lines of usage; a flipped bit in a tensor loads, and exits 0.
"""

import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from experiments.__main__ import main

FIT = "fit --trust faults --data faults.Waves --model LitMLP --model.hidden [8] --trainer.max_epochs 1 "
FIT += "--experiment e --run one --seed_everything 1 --figures false --model.schedule.scheduler OneCycleLR"
Broken = tuple[str, str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder."""
    folder = tmp_path_factory.mktemp("finished")
    main([*FIT.split(), "--trainer.default_root_dir", str(folder)])
    return folder / "runs/e/one"


Ended = Callable[..., tuple[int, str]]


@pytest.fixture
def ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ended:
    """The exit code of a command, and what it said; it may have left nothing."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str]:
        capfd.readouterr()
        code: Any = 0
        try:
            code = main([*words])
        except SystemExit as error:
            code = error.code
        output = capfd.readouterr().err
        assert "Traceback" not in output
        assert len(output.strip().splitlines()) <= 5, output
        if code != 0:
            assert not (tmp_path / "runs").exists()
        return code, output

    return call


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key))]
    return [path]


def broken_config(config: dict[str, Any], chance: random.Random) -> str:
    """A configuration that nobody could mean: a key, a class or a value is of no kind that is asked for."""
    config = yaml.safe_load(yaml.safe_dump(config))
    *path, key = chance.choice(leaves(config))
    owner = config
    for part in path:
        owner = owner[part]
    how = chance.randrange(4)
    if how == 0:  # no such setting
        position = chance.randrange(len(key))
        owner[key[:position] + chance.choice("qxz") + "7" + key[position:]] = owner.pop(key)
    elif how == 1:  # no such kind of value
        owner[key] = {"no_such_thing": chance.random(), "nor_this": [None, "x"]}
    elif how == 2:  # no such class, wherever one may be named
        spot = chance.choice([config["model"], config["data"], config["model"]["init_args"]["optimizer"]])
        spot["class_path"] = chance.choice(["", "os.system", "LitML", "torch.nn.Lin", "a b", "..", "torch.optim", "7"])
    else:  # a file that is no YAML, or no mapping
        text = yaml.safe_dump(config)
        return chance.choice(["[", "- a\n- b\n", "a: b: c", "\tx", "%", "&a *b", "!x y", "{", '"']) + "\n" + text
    return yaml.safe_dump(config)


def check_config(ended: Ended, finished: Path, seed: int) -> None:
    config = yaml.safe_load((finished / "config.yaml").read_text())
    Path("mutated.yaml").write_text(broken_config(config, random.Random(seed)))
    code, output = ended("fit", "--trust", "faults", "-c", "mutated.yaml")
    assert code == 2, (seed, output)
    assert output.startswith("error: "), (seed, output)


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Cut short, or with a few bits flipped."""
    if chance.random() < 0.5:
        return content[: chance.randrange(len(content))]
    flipped = bytearray(content)
    for _ in range(chance.choice([1, 1, 8, 64])):
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def same_content(one: Path, other: Path) -> bool:
    """Whether only bytes that mean nothing differ: zip leaves gaps, dates and attributes."""
    try:
        with zipfile.ZipFile(one) as ours, zipfile.ZipFile(other) as theirs:
            names = ours.namelist()
            return names == theirs.namelist() and all(ours.read(name) == theirs.read(name) for name in names)
    except Exception:
        return False


def check_checkpoint(ended: Ended, finished: Path, seed: int) -> bool:
    """Whether this damage was one."""
    path = finished / "checkpoints/last.ckpt"
    mutated = Path("mutated.ckpt")
    mutated.write_bytes(damaged(path.read_bytes(), random.Random(seed)))
    if same_content(path, mutated):
        return False
    verb = ["test", "fit", "validate", "predict"][seed % 4]
    code, output = ended(verb, "--trust", "faults", "--ckpt_path", "mutated.ckpt")
    assert code == 2, (seed, output)
    assert "mutated.ckpt" in output
    return True


@pytest.mark.parametrize("seed", range(12))
def test_a_broken_configuration(ended: Ended, finished: Path, seed: int) -> None:
    check_config(ended, finished, seed)


def test_a_thousand_damaged_checkpoints(ended: Ended, finished: Path) -> None:
    assert sum(check_checkpoint(ended, finished, seed) for seed in range(1300)) >= 1000


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_broken_configurations(ended: Ended, finished: Path) -> None:
    for seed in range(1000, 2000):
        check_config(ended, finished, seed)


def test_a_whole_checkpoint_is_no_damage(ended: Ended, finished: Path) -> None:
    """Else the tests above would pass for a program that refuses everything."""
    assert ended("test", "--trust", "faults", "--ckpt_path", str(finished / "checkpoints/last.ckpt"))[0] == 0
    assert ended("fit", "--trust", "faults", "-c", str(finished / "config.yaml"))[0] == 0


@pytest.mark.parametrize("missing", ["evenhand_config", "state_dict", "optimizer_states", "loops", "callbacks"])
def test_a_checkpoint_that_lacks_something(ended: Ended, finished: Path, missing: str) -> None:
    checkpoint = torch.load(finished / "checkpoints/last.ckpt", weights_only=True)
    del checkpoint[missing]
    torch.save(checkpoint, "mutated.ckpt")
    code, output = ended("fit", "--trust", "faults", "--ckpt_path", "mutated.ckpt", "--trainer.max_epochs", "2")
    assert (code, "mutated.ckpt" in output or "checkpoint" in output) == (2, True), output

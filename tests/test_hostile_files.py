"""Nothing runs code from a file: not from a checkpoint, not from a configuration, not by being imported.

On plain Lightning each of these runs: a config may name any importable class, with ``weights_only=True`` too, and the
import alone runs the module; before 2.6.6 a checkpoint's own pickle ran (CVE-2026-58659).
"""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from experiments.__main__ import main
from experiments.run.checkpoints.checkpoint_io import CONFIG

FIT = "fit --trust faults --data faults.Waves --model LitMLP --model.hidden [8] --trainer.max_epochs 1 "
FIT += "--experiment e --run one --seed_everything 1 --figures false"
Refused = Callable[..., str]
NAMED = "only classes of torch, Lightning, torchmetrics and Evenhand may be named"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module that leaves ``ran`` behind when it is imported."""
    (tmp_path / "lurking.py").write_text(
        "import pathlib, torch\npathlib.Path('ran').touch()\nclass Net(torch.nn.Module): ...\n"
        "class Data: ...\ndef call(*args): pathlib.Path('ran').touch()\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def refused(here: Path, capfd: pytest.CaptureFixture[str]) -> Refused:
    """A command that must end with 2, run nothing, leave nothing and say one thing."""

    def call(*words: str) -> str:
        before = set(here.rglob("*"))
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([*words])
        message = capfd.readouterr().err
        assert stopped.value.code == 2, message
        assert "Traceback" not in message
        assert 1 <= len(message.strip().splitlines()) <= 5
        assert not (here / "ran").exists()
        assert set(here.rglob("*")) == before
        return message

    return call


class Reducer:
    def __reduce__(self) -> Any:
        return os.system, ("touch ran",)


def whole(here: Path) -> tuple[Path, dict[str, Any]]:
    main(FIT.split())
    path = here / "runs/e/one/checkpoints/last.ckpt"
    return path, torch.load(path, weights_only=True)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Returns the last checkpoint of a run, which no test changes."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return whole(folder)[1]


@pytest.mark.parametrize("verb", ["fit", "test", "validate", "predict"])
@pytest.mark.parametrize("kind", ["torch", "inside", "bare"])
def test_a_pickle_with_a_reducer(
    here: Path, refused: Refused, checkpoint: dict[str, Any], verb: str, kind: str
) -> None:
    path = here / "hostile.ckpt"
    if kind == "bare":
        path.write_bytes(pickle.dumps(Reducer()))
    elif kind == "torch":
        torch.save(Reducer(), path)
    else:
        torch.save(checkpoint | {"callbacks": {"EarlyStopping": Reducer()}}, path)
    message = refused(verb, "--ckpt_path", str(path), *(["--run", "two"] if verb == "fit" else []))
    assert "hostile.ckpt is no checkpoint" in message


def test_a_checkpoint_in_the_place_of_the_runs_own(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, checkpoint = whole(here)
    torch.save(checkpoint | {"loops": Reducer()}, path)
    record = path.parents[1] / "record.json"
    record.write_text(record.read_text().replace('"finished"', '"failed"'))
    assert main([*FIT.split(), "--trainer.max_epochs", "2"]) == 0
    assert not (here / "ran").exists()
    assert "nothing in it was run" in capfd.readouterr().err


@pytest.mark.parametrize("verb", ["fit", "test"])
@pytest.mark.parametrize(
    "change",
    [
        {"model": {"class_path": "os.system", "init_args": {"command": "touch ran"}}},
        {"model": {"class_path": "lurking.Net"}},
        {"data": {"class_path": "lurking.Data"}},
        {"trainer": {"max_epochs": 1, "callbacks": [{"class_path": "lurking.Net"}]}},
        {"trainer": {"max_epochs": 1, "logger": {"class_path": "lurking.Net"}}},
        {"trainer": {"max_epochs": 1, "plugins": [{"class_path": "lurking.Net"}]}},
        {"trainer": {"max_epochs": 1, "strategy": {"class_path": "lurking.Net"}}},
        {"trainer": {"max_epochs": 1, "profiler": {"class_path": "lurking.Net"}}},
    ],
)
def test_a_class_of_nobody_we_trust(
    here: Path, refused: Refused, checkpoint: dict[str, Any], change: dict[str, Any], verb: str
) -> None:
    """In a configuration, and in the configuration inside a checkpoint."""
    if verb == "test" and "trainer" in change and "callbacks" in change["trainer"]:
        change = {"trainer": {"max_epochs": 1, "plugins": [{"class_path": "lurking.call"}]}}
    if verb == "test" and "logger" in change.get("trainer", {}):
        change = {"model": {"class_path": "lurking.call"}}
    config = yaml.safe_load(checkpoint[CONFIG]) | change
    (here / "hostile.yaml").write_text(yaml.safe_dump(config))
    torch.save(checkpoint | {CONFIG: yaml.safe_dump(config)}, here / "hostile.ckpt")
    if verb == "fit":
        assert NAMED in refused("fit", "--trust", "faults", "-c", "hostile.yaml", "--run", "two")
    words = ["--run", "two"] if verb == "fit" else []
    assert NAMED in refused(verb, "--trust", "faults", "--ckpt_path", "hostile.ckpt", *words)


@pytest.mark.parametrize(
    "words",
    ["--model.loss lurking.Net", "--model.optimizer lurking.call", "--model.schedule.scheduler os.system"],
)
def test_a_class_that_is_typed(refused: Refused, words: str) -> None:
    assert NAMED in refused(*FIT.split(), *words.split())


@pytest.mark.parametrize(
    "text",
    [
        "model: !!python/object/apply:os.system ['touch ran']",
        "model: !!python/object/new:lurking.Net []",
        "model: !!python/name:lurking.call",
        "!!python/module:lurking",
    ],
)
def test_yaml_that_makes_objects(here: Path, refused: Refused, text: str) -> None:
    (here / "hostile.yaml").write_text(text)
    message = refused("fit", "--data", "MNIST1D", "--model", "LitMLP", "-c", "hostile.yaml")
    assert "could not determine a constructor for the tag 'tag:yaml.org,2002:python/" in message


def test_a_member_of_an_archive_cannot_leave_its_folder(here: Path, refused: Refused) -> None:
    with zipfile.ZipFile(here / "hostile.ckpt", "w") as archive:
        archive.writestr("../../ran", "x")
    message = refused("test", "--ckpt_path", "hostile.ckpt")
    assert "it holds the member '../../ran', which is outside of its folder" in message


@pytest.mark.parametrize("name", ["../two", "/tmp/two", "..", "a/b"])
def test_a_name_cannot_leave_the_folder_of_runs(refused: Refused, name: str) -> None:
    assert "cannot name a folder" in refused(*FIT.split(), "--run", name)


def test_the_project_says_whom_it_trusts(here: Path, refused: Refused) -> None:
    words = [word for word in FIT.split() if word not in ("--trust", "faults")]
    assert "add --trust faults" in refused(*words)
    (here / "pyproject.toml").write_text("[tool.evenhand]\ntrust = ['faults']\n")
    assert main(words) == 0
    (here / "pyproject.toml").write_text("[tool.evenhand]\ntrust = 'faults'\n")
    assert "list of package names" in refused(*words, "--run", "two")


def test_the_trace_is_for_debug(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for words, code in ((["--data.ratios", "[0.5,0.5,0.5]"], 2), (["--trainer.callbacks", "faults.Bug"], 1)):
        for debug in ([], ["--debug"]):
            capfd.readouterr()
            with pytest.raises(SystemExit) as stopped:
                main([*FIT.split(), *words, "--run", f"{code}{len(debug)}", *debug])
            message = capfd.readouterr().err
            assert stopped.value.code == code
            assert ("Traceback" in message) == bool(debug)
            assert debug or len(message.strip().splitlines()) <= 5

"""The checkpoint from which a fit starts, among files that nothing was trained for, and the refusals."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from jsonargparse import Namespace

from experiments.run.checkpoints.checkpoint_io import CONFIG
from experiments.run.record.config_diff import Start
from experiments.run.record.run_directory import RunDirectory
from experiments.run.resume.exact_state import KEY
from experiments.run.resume.resume_plan import resume_plan
from lit_models import ConfigError

EPOCHS, STEPS = 2, 8


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    found = RunDirectory(tmp_path, "e", "one")
    found.checkpoints.mkdir(parents=True)
    (found.path / "config.yaml").write_text(text_of())
    return found


def text_of(**model: Any) -> str:
    return yaml.safe_dump({"trainer": {"callbacks": model.pop("callbacks", None)}, "model": {"hidden": 8} | model})


def write_record(directory: RunDirectory, status: str = "interrupted", **more: Any) -> None:
    (directory.path / "record.json").write_text(json.dumps({"status": status, "started": "2026", **more}))


def save(path: Path, epochs: int = EPOCHS, age: int = 0, without: tuple[str, ...] = (), **entry: Any) -> Path:
    """Writes a checkpoint from between two epochs."""
    content = {
        "state_dict": {}, "optimizer_states": [], "lr_schedulers": [], "callbacks": {}, "global_step": STEPS,
        "loops": {"fit_loop": {"epoch_progress": {"current": {"processed": epochs}}}},
        KEY: {"place": "between epochs", "should_stop": False, "can_go_on": True} | entry, CONFIG: text_of(),
    }  # fmt: skip
    torch.save({name: value for name, value in content.items() if name not in without}, path)
    os.utime(path, (1_700_000_000 - age,) * 2)
    return path


def plan(
    directory: RunDirectory, ckpt_path: str | None = None, text: str | None = None, allowed: Any = (), **trainer: Any
) -> Start:
    trainer = {"max_epochs": 9, "max_steps": -1} | trainer
    config = Namespace(ckpt_path=ckpt_path, trainer=Namespace(**trainer))
    return resume_plan(directory, config, text or text_of(), [*allowed])


@pytest.mark.parametrize("ckpt_path", [None, "last"])
def test_a_new_folder_starts_from_nothing(directory: RunDirectory, ckpt_path: str | None) -> None:
    save(directory.checkpoints / "last.ckpt")
    assert plan(directory, ckpt_path) == Start()


@pytest.mark.parametrize("ckpt_path", [None, "last"])
def test_a_run_starts_from_its_last_checkpoint(directory: RunDirectory, ckpt_path: str | None) -> None:
    write_record(directory)
    path = save(directory.checkpoints / "last.ckpt")
    start = plan(directory, ckpt_path)
    assert (start.checkpoint, start.again, start.changes.values) == (path, True, {})


def test_a_typed_checkpoint_starts_a_new_run(directory: RunDirectory, tmp_path: Path) -> None:
    path = save(tmp_path / "other.ckpt")
    start = plan(directory, str(path))
    assert (start.checkpoint, start.again) == (path, False)
    write_record(directory, "interrupted")
    assert plan(directory, str(path)).again


@pytest.mark.parametrize(
    "content", [{"status": "running"}, {"started": "2026"}, {"status": "a", "started": "2026", "process": [1]}]
)
def test_a_damaged_record_is_refused(directory: RunDirectory, content: dict[str, Any]) -> None:
    (directory.path / "record.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"record.json is damaged; restore it, or choose another --run"):
        plan(directory)


def test_weights_alone_are_not_gone_on_with(directory: RunDirectory, tmp_path: Path) -> None:
    path = save(tmp_path / "weights.ckpt", without=("optimizer_states", "callbacks"))
    with pytest.raises(ConfigError, match=r"weights.ckpt has no optimizer_states and no callbacks, and cannot be gone"):
        plan(directory, str(path))


@pytest.mark.parametrize(
    ("trainer", "reason"),
    [
        ({"max_epochs": EPOCHS}, "after 2 epochs; extend it with a larger --trainer.max_epochs"),
        ({"max_epochs": 1}, "after 2 epochs; extend it with a larger --trainer.max_epochs"),
        ({"max_epochs": 0}, "after 2 epochs; extend it with a larger --trainer.max_epochs"),
        ({"max_epochs": EPOCHS + 1}, None),
        ({"max_epochs": -1}, None),
        ({"max_epochs": None}, None),
        ({"max_steps": STEPS}, "after 8 steps; extend it with a larger --trainer.max_steps"),
        ({"max_steps": 0}, "after 8 steps; extend it with a larger --trainer.max_steps"),
        ({"max_steps": STEPS + 1}, None),
    ],
)
def test_a_finished_run_needs_more_epochs_or_steps(
    directory: RunDirectory, trainer: dict[str, Any], reason: str | None
) -> None:
    """One that was interrupted behind its last step is tested once more."""
    path = save(directory.checkpoints / "last.ckpt")
    write_record(directory, "interrupted")
    assert plan(directory, **trainer).checkpoint == path
    write_record(directory, "finished")
    if reason is None:
        assert plan(directory, **trainer).checkpoint == path
    else:
        with pytest.raises(ConfigError, match=f"is there already and finished, {reason}, or choose another --run"):
            plan(directory, **trainer)


def test_a_finished_run_without_a_checkpoint_is_trained_anew(directory: RunDirectory) -> None:
    write_record(directory, "finished")
    with pytest.raises(ConfigError, match="finished, without a checkpoint; train it anew"):
        plan(directory)
    write_record(directory, "failed")
    assert plan(directory) == Start(None, again=True)


def test_a_training_that_stopped_early_needs_other_callbacks(directory: RunDirectory, tmp_path: Path) -> None:
    reason = "stopped early after 2 epochs; change --trainer.callbacks or --trainer.max_time"
    other = text_of(callbacks=["EarlyStopping"])
    path = save(directory.checkpoints / "last.ckpt", should_stop=True)
    with pytest.raises(ConfigError, match=f"^the training of .*last.ckpt was {reason}$"):
        plan(directory, str(path))
    assert plan(directory, str(path), other).checkpoint == path
    assert plan(directory, str(path), max_epochs=1).checkpoint == path  # its epochs are another run's
    write_record(directory, "finished")
    with pytest.raises(ConfigError, match=f"finished, {reason}"):
        plan(directory)
    assert plan(directory, text=other).checkpoint == path


def test_an_unsafe_change_needs_permission(directory: RunDirectory) -> None:
    write_record(directory)
    save(directory.checkpoints / "last.ckpt")
    with pytest.raises(ConfigError, match=r"--allow_change model.hidden"):
        plan(directory, text=text_of(hidden=9))
    start = plan(directory, text=text_of(hidden=9), allowed=["model.hidden"])
    assert start.changes.values == {"model.hidden": (8, 9)}


def test_a_configuration_that_nothing_was_trained_with_is_none(directory: RunDirectory) -> None:
    """Options are compared with those in the checkpoint; without one, with the run's."""
    write_record(directory)
    (directory.path / "config.yaml").write_text(text_of(hidden=9))
    with pytest.raises(ConfigError, match=r"--model.hidden is 8, and the checkpoint was trained with 9"):
        plan(directory)
    path = save(directory.checkpoints / "last.ckpt")
    assert plan(directory).changes.values == {}
    content = torch.load(path, weights_only=True)
    text = text_of(callbacks=["EarlyStopping"])
    torch.save(content | {CONFIG: text}, path)
    assert plan(directory, text=text).changes.values == {}
    assert [*plan(directory).changes.values] == ["trainer.callbacks"]


@pytest.mark.parametrize(
    "options", [{"without": ("loops",)}, {"can_go_on": False}], ids=["incomplete", "within a validation"]
)
def test_a_checkpoint_that_cannot_go_on_is_passed_over(
    directory: RunDirectory, capsys: pytest.CaptureFixture[str], options: dict[str, Any]
) -> None:
    write_record(directory)
    save(directory.checkpoints / "last.ckpt", **options)
    path = save(directory.checkpoints / "older.ckpt", age=100)
    assert plan(directory).checkpoint == path
    assert "last.ckpt" in capsys.readouterr().err


def test_a_checkpoint_of_an_epochs_end_is_ahead_of_its_curves(directory: RunDirectory) -> None:
    """It is taken where ``last.ckpt`` is lost; in the first epoch, ``last.ckpt`` may not have been written yet."""
    write_record(directory)
    best, last = directory.checkpoints / "best.ckpt", directory.checkpoints / "last.ckpt"
    save(best, place="epoch end")
    assert plan(directory).checkpoint == best
    save(best, place="epoch end", epochs=1)
    assert plan(directory).checkpoint is None
    save(last, without=("loops",))
    assert plan(directory).checkpoint == best
    save(last, age=100)
    assert plan(directory).checkpoint == last
    last.unlink()
    save(best, epochs=1)
    assert plan(directory).checkpoint == best

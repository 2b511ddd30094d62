"""``evenhand sweep --search``: trials see validation rows only, and what they chose is tested."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Fit
from hypothesis import given
from hypothesis import strategies as st
from in_process_sweep import Calls, calls, records
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_data import QUICK
from tiny_package import Tiny

from experiments.__main__ import main
from lit_models.errors import ConfigError

optuna = pytest.importorskip("optuna", reason="this test needs optuna; pip install '.[search]' in the checkout")

from experiments.sweep import trials  # noqa: E402
from experiments.sweep.search_space import corners, edge_lines, read_space, settings_of  # noqa: E402
from experiments.sweep.trials import Curve  # noqa: E402

__all__ = ["calls"]

TINY = ["--trust", "tiny_package", "--figures", "false"]
TINY += ["--data", "Tiny", "--data.batch_size", "10", "--trainer.max_epochs", "3"]
SPACE = "model.optimizer.lr: {log: [1e-5, 1e-1]}\nmodel.hidden: {choices: [[4], [8, 8]]}\n"


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    return path


def run(root: Path, space: Path, *words: str) -> int:
    line = ["sweep", *TINY, "--model", "LitMLP", "--search", "tpe", "--space", str(space), "--experiment", "e"]
    return main([*line, *words, "--trainer.default_root_dir", str(root)])


def study(root: Path) -> Any:
    return optuna.load_study(study_name="search", storage=f"sqlite:///{root}/runs/e-search/study.db")


def curve(path: Path) -> list[float]:
    """A run's validation accuracy by TensorBoard's own reader."""
    events = EventAccumulator(str(path))
    events.Reload()
    return [event.value for event in events.Scalars("val/accuracy")]


def test_only_what_was_chosen_is_tested(
    root: Path, space: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tested: list[str] = []
    before = Tiny.test_dataloader

    def watched(self: Tiny) -> Any:
        tested.append(calls.started[-1])
        return before(self)

    monkeypatch.setattr(Tiny, "test_dataloader", watched)
    assert run(root, space, "--trials", "4", "--seeds", "5,6") == 0
    output = capfd.readouterr().out
    trials = [f"trial-{number:04d}" for number in range(4)]
    assert calls.started[:4] == trials
    assert tested == calls.started[4:]
    assert len(tested) == 2
    made = records(root, "e-search")
    assert [record["status"] for record in made.values()] == ["untested"] * 4
    assert not any("metrics" in record for record in made.values())
    assert not list((root / "runs/e-search").glob("*/predictions.parquet"))
    assert {record["seed"] for record in made.values()} == {5}
    best = {name: max(curve(root / "runs/e-search" / name)) for name in trials}
    assert {_name(trial.number): trial.value for trial in study(root).trials} == pytest.approx(best)
    chosen = made[max(best, key=lambda name: (best[name], -trials.index(name)))]["hyperparameters"]
    finals = records(root, "e")
    assert [record["seed"] for record in finals.values()] == [5, 6]
    for record in finals.values():
        assert record["status"] == "finished"
        assert {**record["hyperparameters"], "seed": 5} == chosen
    assert f"chosen by val/accuracy {max(best.values()):.4f}" in output
    assert "2 of 2 runs are finished" in output


def test_a_search_goes_on_where_it_was(root: Path, space: Path, calls: Calls) -> None:
    def crash(run_: Any) -> None:
        if run_.name == "trial-0002":
            raise KeyboardInterrupt

    calls.before = crash
    with pytest.raises(KeyboardInterrupt):
        run(root, space, "--trials", "4")
    request = study(root).trials[2].params
    calls.before = lambda run_: None
    calls.started.clear()
    assert run(root, space, "--trials", "4") == 0
    assert calls.started[:2] == ["trial-0002", "trial-0003"]
    assert len(calls.started) == 3
    assert study(root).trials[2].params == request
    assert [trial.state.name for trial in study(root).trials] == ["COMPLETE"] * 4
    assert len({str(trial.params) for trial in study(root).trials}) == 4
    calls.started.clear()
    assert run(root, space, "--trials", "4") == 0
    assert not calls.started


def test_another_space_in_the_same_folder_is_refused(
    root: Path, space: Path, calls: Calls, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(root, space, "--trials", "1") == 0
    space.write_text(SPACE.replace("1e-5", "1e-4"))
    with pytest.raises(SystemExit, match="2"):
        run(root, space, "--trials", "2")
    assert "is a search with another space" in capfd.readouterr().err


def test_another_setting_in_the_same_folder_is_refused(
    root: Path, space: Path, calls: Calls, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(root, space, "--trials", "1") == 0
    with pytest.raises(SystemExit, match="2"):
        run(root, space, "--trials", "2", "--model.dropout", "0.5")
    assert "is a search with model.dropout 0.1, not 0.5" in capfd.readouterr().err


def test_a_search_of_another_version_goes_on(root: Path, space: Path, calls: Calls) -> None:
    """Whose configuration had its settings in another order, and lacked one that has its default."""
    assert run(root, space, "--trials", "1") == 0
    settings = yaml.safe_load(study(root).user_attrs["settings"])
    del settings["model"]["init_args"]["mixup"]
    study(root).set_user_attr("settings", yaml.safe_dump(dict(reversed(settings.items())), sort_keys=False))
    assert run(root, space, "--trials", "2", "--model.steps_per_execution", "1") == 0
    assert len(study(root).trials) == 2


def test_a_failed_trial_stops_nothing(root: Path, space: Path, calls: Calls, capfd: pytest.CaptureFixture[str]) -> None:
    space.write_text("model.optimizer.lr: {choices: [1e-2, 1e20]}\n")
    assert run(root, space, "--trials", "4", "--model.hidden", "[4]", "--model.optimizer", "SGD") == 0
    states = {str(trial.params["model.optimizer.lr"]): trial.state.name for trial in study(root).trials}
    assert states == {"1e-2": "COMPLETE", "1e20": "FAIL"}
    output = capfd.readouterr().out
    assert "exit code 3" in output
    assert "--model.optimizer.lr=1e-2" in output.split("chosen by")[1].splitlines()[0]


def test_rmse_is_searched_downwards(root: Path, space: Path, calls: Calls) -> None:
    words = ["--data", "TinyRegression", "--trials", "3"]
    assert run(root, space, *words) == 0
    found = study(root)
    assert found.direction.name == "MINIMIZE"
    assert found.best_value == min(trial.value for trial in found.trials)


class Scripted(Calls):
    """Runs that are told to be as good as their script says, an epoch a look, and never trained."""

    def __init__(self, script: dict[str, list[float]]) -> None:
        super().__init__()
        self.script = script
        self.epoch: dict[str, int] = {}
        self.stopped: list[str] = []
        self.now: list[tuple[Any, Any]] = []

    def has_room(self) -> bool:
        return not self.now

    def start(self, run: Any, folder: Any) -> None:
        self.started.append(run.name)
        self.epoch[run.name] = 0
        self.now.append((run, folder))

    def running(self) -> list[Any]:
        return [run for run, _ in self.now]

    def ended(self) -> list[tuple[Any, int]]:
        over = []
        for run, folder in [*self.now]:
            self.epoch[run.name] += 1
            stopped = run.name in self.stopped
            if stopped or self.epoch[run.name] >= len(self.script[run.name]):
                path = folder.path / run.name
                path.mkdir(parents=True)
                status = "interrupted" if stopped else "untested"
                (path / "record.json").write_text(json.dumps({"status": status, "seconds": 2.0}))
                self.now.remove((run, folder))
                over.append((run, 143 if stopped else 0))
        return over

    def stop(self, run: Any) -> None:
        self.stopped.append(run.name)


def read_script(monkeypatch: pytest.MonkeyPatch, launcher: Scripted, script: dict[str, list[float]]) -> None:
    """Trials have the curves of a script, as far as the launcher is."""

    class Read:
        def __init__(self, path: Path, name: str) -> None:
            self.name = path.name

        def values(self) -> list[float]:
            return script[self.name][: launcher.epoch[self.name]]

    monkeypatch.setattr("experiments.sweep.optuna_search.launcher_of", lambda options, jobs: launcher)
    monkeypatch.setattr(trials, "Curve", Read)
    monkeypatch.setattr("experiments.sweep.optuna_search.run_combinations", lambda *_: 0)


def test_a_trial_below_the_median_is_ended(root: Path, space: Path, calls: Calls, monkeypatch: Any) -> None:
    good, bad = [0.5, 0.6, 0.7, 0.65], [0.1, 0.1, 0.1, 0.9]
    script = {_name(number): good for number in range(6)} | {_name(6): bad}
    launcher = Scripted(script)
    read_script(monkeypatch, launcher, script)
    assert run(root, space, "--trials", "7") == 0
    assert launcher.stopped == [_name(6)]
    states = [trial.state.name for trial in study(root).trials]
    assert states == ["COMPLETE"] * 6 + ["PRUNED"]
    assert study(root).trials[0].value == 0.7
    assert study(root).trials[0].intermediate_values == dict(enumerate(good))
    assert run(root, space, "--trials", "7") == 0
    assert len(launcher.started) == 7


@pytest.mark.parametrize(("own", "words", "of_trials"), [(1, [], 1), (None, [], 1), (3, ["--jobs", "3"], 3)])
def test_what_was_chosen_runs_as_the_launcher_does(
    root: Path, space: Path, monkeypatch: Any, own: int | None, words: list[str], of_trials: int
) -> None:
    """A cluster takes all runs at once, this machine one, and trials follow each other without ``--jobs``."""
    script = {_name(0): [0.5]}
    launcher, jobs = Scripted(script), list[int | None]()
    read_script(monkeypatch, launcher, script)
    launcher.jobs = own
    start = launcher.start

    def started(run: Any, folder: Any) -> None:
        jobs.append(launcher.jobs)
        start(run, folder)

    launcher.start = started  # type: ignore[method-assign]
    monkeypatch.setattr(
        "experiments.sweep.optuna_search.run_combinations", lambda launcher, *_: jobs.append(launcher.jobs) or 0
    )
    assert run(root, space, "--trials", "1", *words) == 0
    assert jobs == [of_trials, own]


def test_a_budget_counts_trials_that_ended_early(root: Path, space: Path, calls: Calls, monkeypatch: Any) -> None:
    good, bad = [0.5, 0.6, 0.7, 0.65], [0.1, 0.1, 0.1, 0.9]
    script = {_name(number): bad if number == 6 else good for number in range(9)}
    launcher = Scripted(script)
    read_script(monkeypatch, launcher, script)
    assert run(root, space, "--budget", "15s") == 0
    assert [trial.state.name for trial in study(root).trials] == ["COMPLETE"] * 6 + ["PRUNED", "COMPLETE"]
    assert run(root, space, "--budget", "15s") == 0
    assert len(launcher.started) == 8


def test_a_curve_is_what_was_logged_and_grows(fit: Fit) -> None:
    words = [*TINY[2:-1], "6", "--model", "LitMLP", "--save_every_n_steps", "1"]
    path = fit(*words)["path"]
    assert Curve(path, "val/accuracy").values() == pytest.approx(curve(path))
    assert len(curve(path)) == 6
    (events,) = path.glob("events*")
    content = events.read_bytes()
    events.write_bytes(content[: len(content) // 2])
    growing = Curve(path, "val/accuracy")
    some = growing.values()
    assert 0 < len(some) < 6
    events.write_bytes(content)
    assert growing.values() == Curve(path, "val/accuracy").values()


def test_an_untested_run_is_tested_when_it_is_told_to(fit: Fit, root: Path) -> None:
    plain = fit(*TINY[2:], "--model", "LitMLP", "--seed_everything", "1", "--run", "plain")
    words = [*TINY, "--model", "LitMLP", "--seed_everything", "1", "--run", "later"]
    words += ["--trainer.default_root_dir", str(root)]
    assert main(["fit", *words, "--test_at_end", "false"]) == 0
    assert records(root, "tiny")["later"]["status"] == "untested"
    assert main(["fit", *words, "--test_at_end", "true"]) == 0
    assert records(root, "tiny")["later"]["metrics"] == plain["metrics"]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "holds no settings"),
        ("[1, 2]", "holds no settings"),
        ("a: [", "cannot be read"),
        ("a: 3", "range: [0.0, 0.5]"),
        ("a: {range: [1, 0]}", "not below"),
        ("a: {range: [0, x]}", "range: [0.0, 0.5]"),
        ("a: {log: [0, 1]}", "logarithm"),
        ("a: {log_int: [0, 8]}", "logarithm"),
        ("a: {int: [1, 2.5]}", "whole"),
        ("a: {choices: []}", "no list"),
        ("a: {choices: abc}", "no list"),
        ("a: {normal: [0, 1]}", "range: [0.0, 0.5]"),
        ("a: {range: [0, 1], log: true}", "range: [0.0, 0.5]"),
        ("a: {range: [0, .inf]}", "range: [0.0, 0.5]"),
        ("data.split_seed: {int: [0, 9]}", "--resplit"),
        ("seed_everything: {int: [0, 9]}", "--seeds"),
    ],
)
def test_a_space_that_is_none_is_told(tmp_path: Path, written: str, message: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(written)
    with pytest.raises(ConfigError) as refused:
        read_space(path)
    assert message in str(refused.value)
    assert str(path) in str(refused.value)


NUMBER = st.one_of(st.integers(-3, 3), st.floats(), st.text(max_size=3), st.none(), st.booleans())


@given(
    st.dictionaries(st.sampled_from(["range", "log", "int", "log_int", "choices", "x"]), st.lists(NUMBER), max_size=2)
)
@QUICK
def test_no_space_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_text(yaml.safe_dump({"a": value}))
    try:
        space = read_space(path)
    except ConfigError:
        return
    assert corners(space)


def test_every_choice_and_both_ends_are_parsed_ahead(space: Path) -> None:
    read = read_space(space)
    assert corners(read) == [
        {"model.optimizer.lr": "1e-05", "model.hidden": "[4]"},
        {"model.optimizer.lr": "0.1", "model.hidden": "[8, 8]"},
    ]
    assert settings_of({"a": True, "b": 3, "c": "LitMLP"}) == {"a": "true", "b": "3", "c": "LitMLP"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--resplit 2", "one split"),
        ("--grid model.hidden=[4]", "choices"),
        ("--model.hidden [4]", "--space"),
        ("--space none.yaml", "cannot be read"),
    ],
)
def test_words_that_contradict_a_search_are_told(
    root: Path, space: Path, words: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(root, space, *words.split())
    output = capfd.readouterr().err
    assert message in output
    assert len(output.splitlines()) == 1


def _name(number: int) -> str:
    return f"trial-{number:04d}"


def test_a_choice_at_the_edge_of_its_range_is_named(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "sizes.yaml"
    path.write_text("data.batch_size: {int: [9, 10]}\n")
    words = [word for word in TINY if word not in ("--data.batch_size", "10")]
    line = ["sweep", *words, "--model", "LitLinear", "--search", "random", "--space", str(path), "--experiment", "e"]
    assert main([*line, "--trials", "1", "--trainer.default_root_dir", str(root)]) == 0
    assert re.search(r"check: the chosen data.batch_size .*edge of its range, 9 to 10; widen", capfd.readouterr().out)


def test_choices_inside_their_ranges_and_of_no_range_are_at_no_edge(space: Path) -> None:
    ranges = read_space(space)
    assert edge_lines({"model.optimizer.lr": 1e-3, "model.hidden": "[4]"}, ranges) == []
    (line,) = edge_lines({"model.optimizer.lr": 0.0999, "model.hidden": "[4]"}, ranges)
    assert line.startswith("check: the chosen model.optimizer.lr 0.0999 is at the upper edge of its range")


def test_a_trial_of_several_seeds_has_their_mean(root: Path, space: Path, calls: Calls) -> None:
    def crash(run_: Any) -> None:
        if run_.name == "trial-0001-seed6":
            raise KeyboardInterrupt

    words = ("--trials", "3", "--trial_seeds", "2", "--seeds", "5")
    calls.before = crash
    with pytest.raises(KeyboardInterrupt):
        run(root, space, *words)
    calls.before = lambda run_: None
    assert run(root, space, *words) == 0
    made = records(root, "e-search")
    assert {name: record["seed"] for name, record in made.items()} == {
        f"{_name(number)}-seed{seed}": seed for number in range(3) for seed in (5, 6)
    }
    means = {
        number: sum(max(curve(root / f"runs/e-search/{_name(number)}-seed{seed}")) for seed in (5, 6)) / 2
        for number in range(3)
    }
    assert {trial.number: trial.value for trial in study(root).trials} == pytest.approx(means)
    assert [record["seed"] for record in records(root, "e").values()] == [5]


def test_a_trial_that_ends_early_starts_no_further_seed(
    root: Path, space: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = [0.5, 0.6, 0.7, 0.65], [0.1, 0.1, 0.1, 0.9]
    script = {f"{_name(number)}-seed{seed}": bad if number == 6 else good for number in range(7) for seed in (0, 1)}
    launcher = Scripted(script)
    read_script(monkeypatch, launcher, script)
    assert run(root, space, "--trials", "7", "--trial_seeds", "2") == 0
    assert launcher.stopped == [f"{_name(6)}-seed0"]
    assert launcher.started == [name for name in script if name != f"{_name(6)}-seed1"]
    assert [trial.state.name for trial in study(root).trials] == ["COMPLETE"] * 6 + ["PRUNED"]


def test_trial_seeds_need_a_search(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["sweep", *TINY, "--model", "LitMLP", "--trial_seeds", "3"])
    assert "--trial_seeds are those of each trial of a search; add --search tpe" in capsys.readouterr().err

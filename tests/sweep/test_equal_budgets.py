"""``evenhand sweep --each``: as many trials for each architecture, in a space of its own, and each winner tested."""

import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_process_sweep import Calls, calls, records
from tiny_data import QUICK

from experiments.__main__ import main
from experiments.cli.fit_parser import parse_lines
from experiments.sweep.grid import settings_words

optuna = pytest.importorskip("optuna", reason="this test needs optuna; pip install '.[search]' in the checkout")

from experiments.sweep.budget import Budget, expected_best  # noqa: E402
from experiments.sweep.contenders import SPACES, space_file  # noqa: E402
from experiments.sweep.search_space import corners, read_space  # noqa: E402
from experiments.sweep.trials import MOST_FAILED  # noqa: E402

__all__ = ["calls"]

WORDS = ["--trust", "tiny_package", "--figures", "false", "--data", "Tiny", "--data.batch_size", "10"]
WORDS += ["--trainer.max_epochs", "2", "--experiment", "e"]


ALL_TYPED = ["--model.dropout", "0", "--model.optimizer.lr", "1e-3", "--model.optimizer.weight_decay", "0"]


def sweep(root: Path, *words: str) -> int:
    return main(["sweep", *WORDS, *words, "--trainer.default_root_dir", str(root)])


def study(root: Path, name: str) -> Any:
    return optuna.load_study(study_name="search", storage=f"sqlite:///{root}/runs/e-search-{name}/study.db")


def test_each_architecture_gets_as_many_trials_and_each_winner_is_tested(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("--each", "model=LitLinear,LitMLP", "--search", "random", "--trials", "2", "--seeds", "3")

    def crash(run: Any) -> None:
        if "LitMLP" in "".join(run.words) and run.name == "trial-0001":
            raise KeyboardInterrupt

    calls.before = crash
    with pytest.raises(KeyboardInterrupt):
        sweep(root, *words)
    assert not records(root, "e")
    suggested = study(root, "LitMLP").trials[1].params
    calls.before = lambda run: None
    calls.started.clear()
    assert sweep(root, *words) == 0
    # It goes on where it was, in the second architecture.
    assert calls.started[0] == "trial-0001"
    assert len(calls.started) == 3
    assert study(root, "LitMLP").trials[1].params == suggested
    best = {}
    for name, keys in (("LitLinear", {"dropout"}), ("LitMLP", {"dropout", "hidden"})):
        made, trials = records(root, f"e-search-{name}"), study(root, name).trials
        assert [record["status"] for record in made.values()] == ["untested"] * 2
        assert len(trials) == 2
        searched = {"optimizer.lr", "optimizer.weight_decay", *keys}
        assert all(trial.params.keys() == {f"model.{key}" for key in searched} for trial in trials)
        best[name] = study(root, name).best_params
    finals = records(root, "e")
    assert [record["seed"] for record in finals.values()] == [3, 3]
    for record in finals.values():
        settings = record["hyperparameters"]
        chosen = best[settings["model"].rpartition(".")[2]]
        assert settings["model.dropout"] == chosen["model.dropout"]
        assert settings["model.optimizer.lr"] == chosen["model.optimizer.lr"]
    output = capfd.readouterr().out
    for name in best:
        value = study(root, name).best_value
        cost = r"after 2 trials \(2 complete, 0 ended early\), \d+ s of training; expected "
        assert re.search(f"{name}: val/accuracy {value:.4f} {cost}", output)
    assert (root / "runs/e/trials.png").read_bytes().startswith(b"\x89PNG")
    assert "2 of 2 runs are finished" in output
    details = json.loads((root / "runs/e/sweep.json").read_text())["sweeps"][0]["chosen"]
    assert details.keys() == best.keys()
    calls.started.clear()
    assert sweep(root, *words) == 0
    assert not calls.started


def test_a_budget_is_training_time_and_the_same_for_each(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("--each", "model=LitLinear,LitMLP", "--search", "random", "--budget")

    def seconds(name: str) -> list[float]:
        return [record["seconds"] for record in records(root, f"e-search-{name}").values()]

    assert sweep(root, *words, "0.1s") == 0
    first = {name: seconds(name) for name in ("LitLinear", "LitMLP")}
    for spent in first.values():
        assert sum(spent[:-1]) < 0.1 <= sum(spent)
    output = capfd.readouterr().out
    assert "LitMLP: trials in 0.1s of training" in output
    assert "[1] trial-0000  val/accuracy " in output
    calls.started.clear()
    assert sweep(root, *words, "0.1s") == 0
    assert not calls.started
    more = sum(first["LitLinear"]) + 0.01
    assert sweep(root, *words, f"{more:.3f}s", "--trials", str(len(first["LitLinear"]) + 1)) == 0
    assert len(seconds("LitLinear")) == len(first["LitLinear"]) + 1
    assert seconds("LitLinear")[:-1] == first["LitLinear"]


def test_trials_that_fail_before_they_train_end_a_search_by_time(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(run: Any, folder: Any) -> None:
        calls.started.append(run.name)
        calls.over.append((run, 2))

    monkeypatch.setattr(calls, "start", fail)
    with pytest.raises(SystemExit, match="2"):
        sweep(root, "--each", "model=LitLinear", "--search", "random", "--budget", "1h")
    assert len(calls.started) == MOST_FAILED
    assert "no trial came to a val/accuracy" in capfd.readouterr().err


def test_a_typed_setting_is_not_searched(root: Path, calls: Calls) -> None:
    words = ("--search", "gp", "--trials", "1", "--each", "model=LitMLP")
    assert sweep(root, *words, "--model.dropout", "0.25", "--model.hidden", "[4]") == 0
    (trial,) = study(root, "LitMLP").trials
    assert trial.params.keys() == {"model.optimizer.lr", "model.optimizer.weight_decay"}
    (record,) = records(root, "e").values()
    assert record["hyperparameters"]["model.dropout"] == 0.25


def test_a_typed_space_is_that_of_all(root: Path, calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("model.dropout: {range: [0.1, 0.2]}\n")
    words = ("--search", "tpe", "--trials", "1", "--each", "model=LitLinear", "--space", str(tmp_path / "space.yaml"))
    assert sweep(root, *words) == 0
    (record,) = records(root, "e").values()
    assert 0.1 <= record["hyperparameters"]["model.dropout"] <= 0.2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--each", "model=LitMLP"], "add --search tpe"),
        (["--budget", "10m"], "--budget is the training time of a search; add --search tpe"),
        (["--search", "tpe", "--each", "model=LitMLP", "--budget", "10"], "--budget 10 is no time; write seconds"),
        (["--search", "tpe", "--each", "model=LitMLP", "--budget", "0m"], "--budget 0m is no time"),
        (["--search", "tpe", "--each", "model.dropout=0,1"], "--each model.dropout is no architecture"),
        (["--search", "tpe", "--each", "config=a.yaml"], "--each config=... needs --space FILE"),
        (["--search", "tpe", "--each", "model=LitMLP", "--model", "LitCNN"], "--model is typed and is in --each too"),
        (["--search", "tpe", "--each", "model=LitMLP,LitMLP"], "names LitMLP twice"),
        (["--search", "tpe", "--each", "LitMLP"], "is not KEY=VALUE,VALUE"),
        (
            ["--search", "tpe", "--each", "model=LitLinear", *ALL_TYPED],
            "that is searched for LitLinear is typed",
        ),
    ],
)
def test_words_that_do_not_fit_are_one_sentence(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        sweep(root, *words)
    error = capfd.readouterr().err.strip()
    assert sentence in error
    assert len(error.splitlines()) == 1
    assert not (root / "runs").exists()


def test_every_space_is_of_an_architecture_and_parses() -> None:
    # Each on one kind of data that its settings are for; a search parses all corners of what it is given.
    data = {
        "LitCNN": "MNIST1D",
        "LitResCNN": "Digits",
        "LitRNN": "UEA --data.name GunPoint",
        "LitTransformer": "Digits",
    }
    files, lines = set(), []
    for model in ("LitLinear", "LitMLP", "LitResMLP", "LitTabM", "LitCNN", "LitResCNN", "LitRNN", "LitTransformer"):
        files.add(space_file(f"lit_models.{model}"))
        assert space_file(model).stem != "other"
        some = corners(read_space(space_file(model)))
        words = ["fit", "--data", *data.get(model, "Digits").split(), "--model", model]
        lines += [[*words, *settings_words(settings)] for settings in (some[0], some[-1])]
    assert space_file("my_package.LitMLP").stem == space_file("LitModule").stem == "other"
    assert {*SPACES.glob("*.yaml")} == {*files, SPACES / "other.yaml"}
    assert len(parse_lines(lines)) == len(lines)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=4), st.booleans())
@QUICK
def test_the_expected_best_is_the_mean_over_all_draws(values: list[int], is_higher_better: bool) -> None:
    mean, sd = expected_best(values, is_higher_better)
    for draws in range(1, len(values) + 1):
        best = [(max if is_higher_better else min)(draw) for draw in product(values, repeat=draws)]
        assert mean[draws - 1] == pytest.approx(numpy.mean(best), abs=1e-12)
        assert sd[draws - 1] == pytest.approx(numpy.std(best), abs=1e-7)


def test_the_setting_that_matters_is_named() -> None:
    def objective(trial: Any) -> float:
        trial.suggest_float("model.dropout", 0, 1)
        return -abs(trial.suggest_float("model.optimizer.lr", 1e-4, 1, log=True) - 0.01)

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    made.optimize(objective, n_trials=30)
    lines = Budget.of("LitMLP", made, "val/accuracy", 75.0).lines()
    assert lines[1].startswith("  what mattered: model.optimizer.lr ")
    assert float(lines[1].split("lr ")[1].split("%")[0]) > 80

"""``evenhand sweep``: every combination is a run of its own, and the whole can be killed and started again."""

import json
import os
import platform
import re
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from conftest import Fit
from hypothesis import given
from hypothesis import strategies as st
from in_process_sweep import Calls, calls, records
from paths import PYTHONPATH
from resumed_runs import looks
from tiny_data import QUICK

from experiments.__main__ import main
from experiments.run import precision
from experiments.sweep import local_launcher
from experiments.sweep.grid import Run, combinations, parse_grid, parse_seeds
from experiments.sweep.plan import label_of
from experiments.sweep.progress_display import Display
from experiments.sweep.run_result import Outcome
from experiments.sweep.runner import exit_code
from experiments.sweep.scheduler import Listed, work
from experiments.sweep.sweep_directory import Folder
from lit_models.errors import ConfigError

__all__ = ["calls"]

TINY = ["--trust", "tiny_package", "--figures", "false"]
TINY += ["--data", "Tiny", "--data.batch_size", "10", "--trainer.max_epochs", "1"]
TEXT = st.text(st.sampled_from("ab1.-_é/ ,:[]{}'\"\\#&*!|>%@"), min_size=1, max_size=8)


def sweep(root: Path, *words: str) -> int:
    return main(["sweep", *TINY, *words, "--trainer.default_root_dir", str(root)])


@given(st.lists(st.integers(0, 50), min_size=1, max_size=5, unique=True), st.sampled_from([" ", ","]))
@QUICK
def test_seeds_are_those_that_were_typed(seeds: list[int], separator: str) -> None:
    assert parse_seeds(separator.join(map(str, seeds)).split()) == seeds
    assert parse_seeds([f"{seeds[0]}..{seeds[0] + 3}"]) == [*range(seeds[0], seeds[0] + 4)]


@pytest.mark.parametrize(
    "word", ["a", "4..0", "-1", "1..", "0,0", "0..2 1", "1.5", "٣", ",", "0..99999999", "99999999999"]
)
def test_what_is_no_seed_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="--seeds"):
        parse_seeds(word.split())


def test_values_stand_as_in_a_yaml_list() -> None:
    words = ["model=LitMLP,LitCNN", "model.hidden=[64],[128,128]", "a.b='x,y',1e-3, 2 ", 'c={d: 1},"[e]"']
    assert parse_grid(words) == {
        "model": ["LitMLP", "LitCNN"],
        "model.hidden": ["[64]", "[128,128]"],
        "a.b": ["x,y", "1e-3", "2"],
        "c": ["{d: 1}", "[e]"],
    }
    assert parse_grid(["--model.init_args.dropout=0.1", "model.optimizer.class_path=SGD"]) == {
        "model.dropout": ["0.1"],
        "model.optimizer": ["SGD"],
    }


@given(st.lists(TEXT, min_size=1, max_size=4, unique=True))
@QUICK
def test_any_values_can_be_quoted_and_name_different_folders(values: list[str]) -> None:
    quoted = ",".join(json.dumps(value) for value in values)
    grid = parse_grid([f"model.x={quoted}", "model=A,B"])
    assert grid["model.x"] == values
    labels = [label_of(settings, grid, "LitMLP") for settings in combinations(grid)]
    assert len(set(labels)) == 2 * len(values)
    assert all(re.fullmatch(r"\w[\w.+=@-]*", label) for label in labels)


@given(st.text(max_size=30))
@QUICK
def test_no_word_of_a_grid_breaks_the_reader(word: str) -> None:
    for one in (word, f"a={word}"):
        with suppress(ConfigError):  # and nothing else
            assert parse_grid([one])


def test_names_are_short_and_readable() -> None:
    grid = parse_grid(["model.optimizer.lr=1e-3,3e-3", "model=LitMLP,my.own.LitOwn", "data.batch_size=8"])
    named = [label_of(settings, grid, "LitMLP") for settings in combinations(grid)]
    assert named[0] == "LitMLP-lr=1e-3-batch_size=8"
    assert named[3] == "LitOwn-lr=3e-3-batch_size=8"
    grid = parse_grid(["config=recipes/cnn.yaml,recipes/gru.yaml", "a.lr=1", "b.lr=2"])
    assert label_of(combinations(grid)[1], grid, "LitRNN") == "gru-a.lr=1-b.lr=2"
    grid = parse_grid(["config=a/cnn.yaml,b/cnn.yaml"])
    assert len({label_of(settings, grid, "LitCNN") for settings in combinations(grid)}) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--grid model.dropout", "KEY=VALUE"),
        ("--grid model.dropout=", "names no value"),
        ("--grid model.dropout=0.1,[", "quotes"),
        ("--grid model.dropout=0.1,0.1", "twice"),
        ("--grid model.dropout=0.1 model.dropout=0.2", "twice"),
        ("--grid seed_everything=1,2", "--seeds 0..4"),
        ("--grid data.split_seed=1,2", "--resplit"),
        ("--seed_everything 3", "--seeds"),
        ("--run one", "leave it out"),
        ("--model LitMLP --grid model=LitMLP,LitCNN", "--model is typed and is in --grid"),
        ("--model.init_args.dropout=0 --grid model.dropout=0.1", "--model.dropout is typed"),
        ("--jobs 0", "from 1 on"),
        ("--search tpe", "belong together"),
        ("--space space.yaml", "belong together"),
    ],
)
def test_contradicting_words_are_told_in_one_sentence(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["sweep", *words.split()])
    printed = capsys.readouterr().err
    assert stopped.value.code == 2
    assert message in printed
    assert len(printed.splitlines()) == 1


def test_the_last_combination_is_refused_before_the_first_runs(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        sweep(root, "--grid", "model=LitMLP,LitLinear", "model.hidden=[8]")
    printed = capfd.readouterr().err
    assert stopped.value.code == 2
    assert "LitLinear has no setting 'hidden'" in printed
    assert len(printed.splitlines()) <= 5
    assert not (root / "runs").exists()
    assert not calls.started


def test_every_combination_is_an_ordinary_run(
    root: Path, calls: Calls, fit: Fit, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"model": {"class_path": "LitMLP", "init_args": {"hidden": [8]}}}))
    words = ["-c", str(recipe), "--grid", "model.optimizer.lr=1e-2,1e-1", "--seeds", "3..4", "--experiment", "e"]
    assert sweep(root, *words) == 0
    printed = capfd.readouterr().out
    made = records(root, "e")
    names = [f"LitMLP-lr={rate}-seed{seed}" for rate in ("1e-2", "1e-1") for seed in (3, 4)]
    assert calls.started == names
    assert sorted(made) == sorted(names)
    for name in names:
        rate, seed = name.split("-lr=")[1].split("-seed")
        assert made[name]["seed"] == int(seed)
        assert made[name]["hyperparameters"]["model.optimizer.lr"] == float(rate)
        (command,) = (line for line in printed.splitlines() if line.startswith("evenhand") and name in line)
        assert command == made[name]["command"]
        assert f"{name}  test/accuracy {made[name]['metrics']['test/accuracy']:.4f}" in printed
    assert len({one["fingerprints"]["split"] for one in made.values()}) == 1
    assert "another process" not in printed
    ends = [line.rpartition(", ")[2] for line in printed.splitlines() if line.startswith("[")]
    assert all(re.fullmatch(r"about \d+ s left", end) for end in ends[:-1])
    assert "left" not in ends[-1]
    table = printed.split(" ─")[1]
    rows = [line.split() for line in table.splitlines() if "LitMLP" in line]
    assert [row[:2] for row in sorted(rows)] == [["LitMLP-lr=1e-1", "2"], ["LitMLP-lr=1e-2", "2"]]
    alone = fit("-c", str(recipe), *TINY[2:], "--model.optimizer.lr", "1e-2", "--seed_everything", "4")
    assert alone["metrics"] == made["LitMLP-lr=1e-2-seed4"]["metrics"]
    (noted,) = json.loads((root / "runs/e/sweep.json").read_text())["sweeps"]
    assert noted["runs"] == names
    assert noted["seeds"] == [3, 4]


def test_a_failed_run_stops_nothing_and_is_the_only_one_that_is_run_again(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", "LitLinear", "--experiment", "e", "--seeds", "0"]
    grid = ["--grid", "model.optimizer.lr=1e30,1e-3"]
    line = ["sweep", *TINY, *words, *grid, "--trainer.default_root_dir", str(root)]
    assert main(line) == 3
    printed = capfd.readouterr().out
    assert calls.started == ["LitLinear-lr=1e30-seed0", "LitLinear-lr=1e-3-seed0"]
    (message, again, _) = printed.split(" ─")[1].split("lr=1e30-seed0", 1)[1].split("\n")[:3]
    assert message.startswith("  exit code 3: ")
    assert "nan" in message.lower()
    assert again.startswith("  again: evenhand fit --trust tiny_package")
    assert "1 of 2 runs are finished" in printed
    calls.started.clear()
    assert main(line) == 3
    assert calls.started == ["LitLinear-lr=1e30-seed0"]
    assert [name for name, one in records(root, "e").items() if one["status"] == "finished"] == [
        "LitLinear-lr=1e-3-seed0"
    ]


def test_more_seeds_add_to_a_folder_and_other_settings_are_refused(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", "LitLinear", "--experiment", "e", "--trainer.callbacks+", "EarlyStopping"]
    words += ["--trainer.callbacks.monitor", "val/accuracy"]
    assert sweep(root, *words, "--seeds", "0") == 0
    before = (root / "runs/e/LitLinear-seed0/record.json").read_bytes()
    assert sweep(root, *words, "--seeds", "0..1") == 0
    assert calls.started == ["LitLinear-seed0", "LitLinear-seed1"]
    assert (root / "runs/e/LitLinear-seed0/record.json").read_bytes() == before
    capfd.readouterr()
    with pytest.raises(SystemExit, match="2"):
        sweep(root, *words, "--seeds", "0..1", "--trainer.max_epochs", "2")
    printed = capfd.readouterr().err
    assert "LitLinear-seed0 is there with trainer.max_epochs 1, and this sweep has 2" in printed
    assert len(calls.started) == 2


def test_runs_of_a_version_with_fewer_options_belong_to_a_sweep(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", "LitLinear", "--experiment", "e"]
    assert sweep(root, *words, "--seeds", "0") == 0
    config = root / "runs/e/LitLinear-seed0/config.yaml"
    config.write_text(
        re.sub(r"\n +mixup: 0\.0(?=\n)", "", config.read_text()).replace("_execution: auto", "_execution: 1")
    )
    assert "mixup" not in config.read_text()
    assert "steps_per_execution: 1" in config.read_text()
    assert sweep(root, *words, "--seeds", "0..1") == 0
    assert calls.started == ["LitLinear-seed0", "LitLinear-seed1"]
    with pytest.raises(SystemExit, match="2"):
        sweep(root, *words, "--seeds", "0..1", "--model.mixup", "0.2")
    assert "is there with model.mixup None, and this sweep has 0.2" in capfd.readouterr().err


def test_what_the_fast_preset_came_to_is_the_runs(
    root: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: False)
    words = ["--model", "LitLinear", "--experiment", "e", "--trainer.precision", "auto", "--seeds"]
    assert sweep(root, *words, "0") == 0
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    assert sweep(root, *words, "0,1") == 0
    found = {name: one["precision"] for name, one in records(root, "e").items()}
    assert found == {"LitLinear-seed0": "32-true", "LitLinear-seed1": "bf16-mixed"}
    with pytest.raises(SystemExit, match="2"):
        sweep(root, *words, "0", "--trainer.precision", "bf16-mixed")
    assert "is there with trainer.precision 32-true, and this sweep has bf16-mixed" in capfd.readouterr().err
    assert sweep(root, "--model", "LitMLP", "--experiment", "e", "--seeds", "0") == 0
    with pytest.raises(SystemExit, match="2"):
        sweep(root, "--model", "LitMLP", "--experiment", "e", "--seeds", "0", "--trainer.precision", "auto")
    assert "is there with trainer.precision None, and this sweep has auto" in capfd.readouterr().err


def test_resplit_repeats_over_splits_and_seeds_share_each(root: Path, calls: Calls) -> None:
    assert sweep(root, "--model", "LitLinear", "--experiment", "e", "--resplit", "2", "--seeds", "0,1") == 0
    splits = {name: one["fingerprints"]["split"] for name, one in records(root, "e").items()}
    assert list(splits) == [f"LitLinear-split{split}-seed{seed}" for split in (0, 1) for seed in (0, 1)]
    assert splits["LitLinear-split0-seed0"] == splits["LitLinear-split0-seed1"]
    assert splits["LitLinear-split0-seed0"] != splits["LitLinear-split1-seed0"]
    assert splits["LitLinear-split1-seed0"] == splits["LitLinear-split1-seed1"]


def test_the_seed_of_a_recipe_is_kept_where_none_is_typed(root: Path, calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("seed_everything: 9\n")
    assert sweep(root, "-c", str(tmp_path / "recipe.yaml"), "--model", "LitLinear") == 0
    assert list(records(root, "tiny")) == ["LitLinear-seed9"]


def test_recipes_are_a_grid_too(root: Path, calls: Calls, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "small.yaml").write_text("model: {class_path: LitMLP, init_args: {hidden: [4]}}\n")
    (tmp_path / "line.yaml").write_text("model: {class_path: LitLinear}\nseed_everything: 7\n")
    grid = f"config={tmp_path}/small.yaml,{tmp_path}/line.yaml"
    words = ["--grid", grid, "--experiment", "e", "--model.optimizer.lr", "0.5"]
    with pytest.raises(SystemExit, match="2"):
        sweep(root, *words)
    assert "several seed_everything" in capfd.readouterr().err
    assert not calls.started
    assert sweep(root, *words, "--seeds", "0") == 0
    made = records(root, "e")
    assert {name: one["model"] for name, one in made.items()} == {"line-seed0": "LitLinear", "small-seed0": "LitMLP"}
    assert {one["hyperparameters"]["model.optimizer.lr"] for one in made.values()} == {0.5}


def test_two_sweeps_are_not_at_one_folder(root: Path, calls: Calls, capfd: pytest.CaptureFixture[str]) -> None:
    with Folder(root / "runs/e").locked(), pytest.raises(SystemExit, match="2"):
        sweep(root, "--model", "LitLinear", "--experiment", "e")
    assert "a sweep is at" in capfd.readouterr().err
    assert not calls.started


def test_cores_and_gpus_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(8))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert local_launcher.job_environment(0, 1) == {}
    assert local_launcher.job_environment(2, 3) == {"OMP_NUM_THREADS": "2"}
    assert local_launcher.job_environment(0, 20) == {"OMP_NUM_THREADS": "1"}
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3,5,7")
    assert [local_launcher.job_environment(job, 2)["CUDA_VISIBLE_DEVICES"] for job in range(2)] == ["2,3", "5,7"]
    assert [local_launcher.job_environment(job, 5)["CUDA_VISIBLE_DEVICES"] for job in range(5)] == [
        "2",
        "3",
        "5",
        "7",
        "2",
    ]
    assert "OMP_NUM_THREADS" not in local_launcher.job_environment(0, 2)


def test_gpus_are_counted_by_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert local_launcher.visible_gpus() == []
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H100 (UUID: GPU-1)'\necho 'GPU 1: NVIDIA H100 (UUID: GPU-2)'\n")
    command.chmod(0o755)
    assert local_launcher.visible_gpus() == ["0", "1"]
    assert [local_launcher.job_environment(job, 2)["CUDA_VISIBLE_DEVICES"] for job in range(2)] == ["0", "1"]
    command.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    assert local_launcher.visible_gpus() == []


def test_help_needs_no_torch() -> None:
    code = "import sys; from experiments.__main__ import main\n"
    code += "try: main(['sweep', '--help'])\nfinally: assert not {'torch', 'lightning', 'rich'} & {*sys.modules}"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "evenhand sweep -c recipe.yaml --seeds 0..4 --grid" in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.6


def test_killed_and_started_again_only_what_is_missing_runs(root: Path, calls: Calls, fit: Fit) -> None:
    """Real processes: SIGKILL in the middle of the second of three runs, and at once the same command again."""
    shared = ["--trust", "faults", *TINY[2:-1], "3", "--model", "LitMLP", "--model.hidden", "[8]"]
    shared += ["--save_every_n_steps", "1", "--trainer.callbacks+", "faults.Pause"]
    words = ["--trust", "tiny_package", *shared, "--experiment", "e"]
    words += ["--trainer.default_root_dir", str(root), "--seeds"]
    assert main(["sweep", *words, "0"]) == 0
    runs = [root / "runs/e" / f"LitMLP-seed{seed}" for seed in range(3)]
    finished = (runs[0] / "record.json").read_bytes()
    printed = root / "output.txt"

    def start(**more: str) -> "subprocess.Popen[bytes]":
        with printed.open("ab") as output:
            line = [sys.executable, "-m", "experiments", "sweep", *words, "0..2"]
            env = {**os.environ, "PYTHONPATH": PYTHONPATH, **more}
            return subprocess.Popen(line, stdout=output, stderr=output, env=env, cwd=root)

    first, end = start(PAUSE_AT="step 7", GO_ON="slowly"), time.monotonic() + 120
    while not (root / "reached").exists():
        assert first.poll() is None, printed.read_text()
        assert time.monotonic() < end, printed.read_text()
        time.sleep(0.005)
    first.kill()
    first.wait()
    assert start().wait(200) == 0, printed.read_text()
    made = [json.loads((run / "record.json").read_bytes()) for run in runs]
    assert (runs[0] / "record.json").read_bytes() == finished
    assert [one["status"] for one in made] == ["finished"] * 3
    assert [len(one.get("resumed", [])) for one in made] == [0, 1, 0]
    assert made[1]["resumed"][0]["step"] < 3 * 5, "the killed sweep's run did not go on to its end"
    assert "3 of 3 runs are finished" in printed.read_text()
    ledger = looks(root / "runs")
    assert [looks(run) for run in runs] == [[look] for look in ledger]
    alone = fit(*shared, "--seed_everything", "1", "--experiment", "alone")
    assert alone["metrics"] == made[1]["metrics"]
    (look,) = looks(alone["path"])
    assert look == ledger[1] | {"experiment": "alone", "run": alone["run"]}
    assert looks(root / "runs") == ledger  # the same weights on the same rows


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_what_runs_and_starts_nothing_more(
    root: Path, monkeypatch: pytest.MonkeyPatch, signum: int
) -> None:
    started: list[str] = []

    def start(self: object, run: Run, log: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        started.append(run.name)
        if len(started) == 2:
            os.kill(os.getpid(), signum)
        return subprocess.Popen(["sleep", "60"])

    monkeypatch.setattr(local_launcher.Local, "_fork", start)
    folder, runs = Folder(root), [Run(name, "", ("fit",)) for name in "abc"]
    outcomes, stopped_by = work(local_launcher.Local(2), Listed(folder, runs), folder, Display(folder, 3, 0))
    assert stopped_by == signum
    assert started == ["a", "b"]
    assert [one.code for one in outcomes] == [143, 143]
    assert exit_code(outcomes, stopped_by) == 128 + signum
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_run_that_a_living_process_is_at_is_put_off(root: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        (root / "a").mkdir()
        at_it = {"host": platform.node(), "pid": process.pid, "began": f"{boot} {stat}"}
        (root / "a/record.json").write_text(json.dumps({"status": "running", "process": at_it}))
        runs = [Run(name, "", ("fit",)) for name in "ab"]
        listed = Listed(Folder(root), runs)
        assert listed.next() == runs[1]
        assert listed.next() is None
        assert listed.waiting() == [runs[0]]
        process.kill()
        process.wait()
        assert listed.next() == runs[0]


@pytest.mark.parametrize(
    ("code", "printed", "message"),
    [
        (-9, "epoch 1/2\n", "exit code 137: killed by SIGKILL; was memory short?"),
        (2, "x\nerror: the disk is full\n", "exit code 2: the disk is full"),
        (1, "Traceback\nRuntimeError: oh\n", "exit code 1: RuntimeError: oh"),
        (1, "", "exit code 1: it ended without a word"),
    ],
)
def test_a_failed_run_is_told_in_one_sentence(root: Path, code: int, printed: str, message: str) -> None:
    folder = Folder(root)
    folder.log("a").parent.mkdir()
    folder.log("a").write_text(f"$ evenhand fit\nerror: of the session before\n$ evenhand fit\n{printed}")
    outcome = Outcome.of(folder, Run("a", "", ()), code)
    assert outcome.line() == f"a  {message}"
    assert not outcome.complete


def test_a_run_ends_with_the_sweep_that_started_it(root: Path) -> None:
    """The parent is killed while the run imports torch: nothing is left, and nothing was written."""
    code = "import subprocess, sys, os\n"
    code += f"words = ['-c', {local_launcher.RUN!r}, str(os.getpid()), 'fit', *sys.argv[1:]]\n"
    code += "print(subprocess.Popen([sys.executable, *words]).pid, flush=True); input()"
    line = [sys.executable, "-c", code, *TINY, "--model", "LitMLP", "--trainer.default_root_dir", str(root)]
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    parent = subprocess.Popen(line, env=environment, **pipes)
    assert parent.stdout is not None
    child, end = int(parent.stdout.readline()), time.monotonic() + 60
    while "libtorch" not in Path(f"/proc/{child}/maps").read_text():
        assert time.monotonic() < end
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    while Path(f"/proc/{child}").exists() and " Z " not in Path(f"/proc/{child}/stat").read_text():
        assert time.monotonic() < end
        time.sleep(0.01)
    assert not (root / "runs").exists()

"""A run's identity is its whole configuration as it ran: one in all spellings, another with any other argument."""

import inspect
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy
import pytest
import yaml
from compared_groups import TARGET
from handmade_runs import guesses, record_run
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch import Trainer, callbacks
from tiny_data import QUICK

from datamodules import TableData
from experiments.__main__ import main
from experiments.compare.configuration_identity import COUNT_OR_FRACTION, REPEATS, WITHOUT_EFFECT
from experiments.run.record.hyperparameters import flat_hyperparameters
from lit_models import LitModel

STORED = Path(__file__).parents[1] / "stored" / "run_folders" / "finished" / "config.yaml"
BASE: dict[str, Any] = yaml.safe_load(STORED.read_text())
BASE["data"]["init_args"]["path"] = str(Path("flowers.csv").absolute())
MONITOR = {"class_path": "lightning.pytorch.callbacks.LearningRateMonitor", "init_args": {"log_momentum": False}}
PREDICTION = guesses(numpy.random.default_rng(1), TARGET, 1.0)
folders = count()


def leaves(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Yields the path of every value that is neither a mapping nor a list of classes."""
    classes = isinstance(value, list) and any(isinstance(item, dict) for item in value)
    inner = value.items() if isinstance(value, dict) else enumerate(value) if classes else ()
    for key, below in inner:
        yield from leaves(below, *path, key)
    if not inner and path:
        yield path


LEAVES = [path for path in leaves({part: BASE[part] for part in ("trainer", "model", "data")}) if path[-1] != "metrics"]


def recorded_name(path: tuple[Any, ...]) -> str:
    name = ".".join(str(key) for key in path if key not in ("init_args", "class_path"))
    return {"trainer.max_epochs": "max_epochs"}.get(name, name.replace("callbacks.0", "callbacks.EarlyStopping"))


def where_name(path: tuple[Any, ...]) -> str:
    return recorded_name(path).replace("max_epochs", "trainer.max_epochs")


def without_effect(name: str) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in (*WITHOUT_EFFECT, *REPEATS))


def copied(value: Any) -> Any:
    return json.loads(json.dumps(value))


def changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value * 2 + 1
    return value[:-1] if isinstance(value, list) else 7 if value is None else f"{value}Other"


def reordered(value: Any, draw: Any) -> Any:
    """Returns the configuration with its keys in another order and numbers in another spelling."""
    if isinstance(value, dict):
        return {key: reordered(value[key], draw) for key in draw(st.permutations([*value]))}
    if isinstance(value, list):
        return [reordered(item, draw) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return draw(st.sampled_from([value, float(value)] + ([int(value)] if value == int(value) else [])))
    return value


def groups(tmp_path: Path, compare_json: Any, *configs: dict[str, Any], old: bool = False) -> list[list[int]]:
    """Seeds of the groups of a run of each configuration; an old record has its options in ``config.yaml`` alone."""
    folder = tmp_path / str(next(folders))
    for seed, config in enumerate(configs):
        options = {} if old else flat_hyperparameters(config)
        run = record_run(folder / str(seed), TARGET, PREDICTION, seed=seed, split="0")
        record = json.loads((run / "record.json").read_text())
        record["hyperparameters"] |= options | {"seed": seed}
        (run / "record.json").write_text(json.dumps(record))
        (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    blocks = compare_json(folder)["blocks"]
    return [[run["seed"] for run in group["runs"]] for block in blocks for group in block["groups"]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("identity")


FEW = settings(QUICK, max_examples=25)


@FEW
@given(data=st.data(), old=st.booleans())
def test_another_spelling_is_the_same_group(shared: Path, data: st.DataObject, old: bool) -> None:
    other = reordered(BASE, data.draw)
    other["data"]["init_args"]["path"] = data.draw(st.sampled_from(["flowers.csv", "./flowers.csv", "/x/flowers.csv"]))
    other["model"]["init_args"]["steps_per_execution"] = data.draw(st.sampled_from(["auto", 1, 50]))
    other["model"]["init_args"]["optimizer"]["init_args"]["lr"] = data.draw(st.sampled_from([0.02, "2e-2", "2.0E-2"]))
    if data.draw(st.booleans()):
        other["trainer"]["callbacks"].append(MONITOR)
    assert len(groups(shared, run_compare, BASE, other, old=old)) == 1


@FEW
@given(path=st.sampled_from(LEAVES), old=st.booleans())
def test_any_other_argument_is_another_group(shared: Path, path: tuple[Any, ...], old: bool) -> None:
    other = copied(BASE)
    owner = other
    for key in path[:-1]:
        owner = owner[key]
    owner[path[-1]] = changed(owner[path[-1]])
    expected = 1 if without_effect(recorded_name(path)) else 2
    assert len(groups(shared, run_compare, BASE, other, old=old)) == expected


def run_compare(folder: Path, *words: str) -> Any:
    """JSON output of the command."""
    import io
    from contextlib import redirect_stdout

    with redirect_stdout(io.StringIO()) as output:
        assert main(["compare", str(folder), "--format", "json", *words]) == 0
    return json.loads(output.getvalue())


def test_old_and_new_records_are_one_group(tmp_path: Path) -> None:
    folder = tmp_path / "both"
    for seed, old in enumerate((True, False)):
        options = {} if old else flat_hyperparameters(BASE)
        run = record_run(folder / str(seed), TARGET, PREDICTION, settings=options | {"seed": seed}, split="0")
        (run / "config.yaml").write_text(yaml.safe_dump(BASE))
    ((group,),) = [block["groups"] for block in run_compare(folder)["blocks"]]
    assert group["n"] == 2


@pytest.mark.parametrize("name", [*WITHOUT_EFFECT, *REPEATS])
def test_the_options_without_effect_exist_and_have_a_reason(name: str) -> None:
    assert len(WITHOUT_EFFECT.get(name, "repeats").split()) > 0
    owner, _, rest = name.partition(".")
    if name.startswith("trainer.callbacks."):
        class_name, _, option = name.removeprefix("trainer.callbacks.").partition(".")
        cls = getattr(callbacks, class_name)
        assert not option or option in inspect.signature(cls).parameters
    elif name != "seed":
        cls = {"trainer": Trainer, "data": TableData, "model": LitModel}[owner]
        assert any(rest in inspect.signature(base).parameters for base in cls.__mro__[:-1])


ADDED: list[tuple[Any, ...]] = [
    ("trainer", "accumulate_grad_batches"),
    ("trainer", "overfit_batches"),
    ("trainer", "use_distributed_sampler"),
    ("trainer", "callbacks", 0, "init_args", "min_delta"),
    ("trainer", "callbacks", 0, "init_args", "strict"),
    ("model", "init_args", "mixup"),
    ("model", "init_args", "norm"),
    ("model", "init_args", "loss", "init_args", "gamma"),
    ("model", "init_args", "optimizer", "init_args", "betas"),
    ("model", "init_args", "optimizer", "init_args", "amsgrad"),
    ("model", "init_args", "schedule", "frequency"),
    ("model", "init_args", "schedule", "scheduler", "init_args", "eta_min"),
    ("data", "init_args", "ratios"),
    ("data", "init_args", "missing"),
    ("data", "init_args", "duplicates"),
]
"""Arguments that the stored run left at their defaults."""


def owner_of(config: dict[str, Any], path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        config = config[key]
    return config


@FEW
@given(paths=st.sets(st.sampled_from(ADDED), min_size=1, max_size=4), old=st.booleans(), data=st.data())
def test_an_argument_of_a_newer_version_has_its_default_in_older_records(
    shared: Path, paths: set[tuple[Any, ...]], old: bool, data: st.DataObject
) -> None:
    older, other = copied(BASE), copied(BASE)
    for path in paths:
        del owner_of(older, path)[path[-1]]
    assert groups(shared, run_compare, older, BASE, old=old) == [[0, 1]]
    path = data.draw(st.sampled_from(sorted(paths, key=str)))
    owner_of(other, path)[path[-1]] = changed(owner_of(other, path)[path[-1]])
    assert len(groups(shared, run_compare, older, other, old=old)) == 2
    assert len(groups(shared, run_compare, older, BASE, other, old=old)) == 2


def test_a_default_of_a_record_without_a_configuration_is_known_too(tmp_path: Path, compare_json: Any) -> None:
    for seed, options in enumerate(({}, {"model.dropout": 0.1, "model.mixup": 0})):
        record_run(tmp_path / str(seed), TARGET, PREDICTION, seed=seed, settings=options)
    assert compare_json(tmp_path)["blocks"][0]["groups"][0]["n"] == 2
    assert len(compare_json(tmp_path, "--where", "model.mixup=0")["blocks"][0]["groups"]) == 1


def test_null_is_not_a_default_left_out(tmp_path: Path, compare_json: Any) -> None:
    other = copied(BASE)
    other["trainer"]["check_val_every_n_epoch"] = None  # of which the default is 1
    assert len(groups(tmp_path, compare_json, BASE, other)) == 2


def test_a_second_callback_of_a_class_counts_as_the_first(tmp_path: Path, compare_json: Any) -> None:
    configs = [copied(BASE) for _ in range(3)]
    for config in configs:
        config["trainer"]["callbacks"].append(copied(config["trainer"]["callbacks"][0]))
    configs[1]["trainer"]["callbacks"][1]["init_args"]["verbose"] = True
    configs[2]["trainer"]["callbacks"][1]["init_args"]["patience"] = 5
    assert sorted(groups(tmp_path, compare_json, *configs)) == [[0, 1], [2]]


def test_a_callback_of_another_package_counts_whatever_its_name(tmp_path: Path, compare_json: Any) -> None:
    other = copied(BASE)
    other["trainer"]["callbacks"].append({"class_path": "mine.LearningRateMonitor", "init_args": {"factor": 2}})
    assert len(groups(tmp_path, compare_json, BASE, other)) == 2


@FEW
@given(path=st.sampled_from(LEAVES))
def test_where_reaches_every_argument(shared: Path, path: tuple[Any, ...]) -> None:
    value = owner_of(BASE, path)[path[-1]]
    text = value if isinstance(value, str) else json.dumps(value)
    kept = groups(shared, lambda folder: run_compare(folder, "--where", f"{where_name(path)}={text}"), BASE)
    assert kept == [[0]]
    with pytest.raises(SystemExit, match="2"):
        groups(shared, lambda folder: run_compare(folder, "--where", f"{where_name(path)}=9.75"), BASE)


@pytest.mark.parametrize("name", COUNT_OR_FRACTION)
def test_one_batch_is_not_all_batches(tmp_path: Path, compare_json: Any, name: str) -> None:
    callback = {"trainer.callbacks.StochasticWeightAveraging": "StochasticWeightAveraging"}
    for seed, value in enumerate((1, 1.0, 2, 2.0)):
        record_run(tmp_path / str(seed), TARGET, PREDICTION, seed=seed, settings=callback | {name: value})
    found = [group["runs"] for group in compare_json(tmp_path)["blocks"][0]["groups"]]
    assert sorted(sorted(run["seed"] for run in runs) for runs in found) == [[0], [1], [2, 3]]
    class_name, _, option = name.rpartition(".")
    cls = callbacks.StochasticWeightAveraging if "callbacks" in class_name else Trainer
    assert option in inspect.signature(cls).parameters


def test_where_reaches_options_of_the_command(tmp_path: Path, compare_json: Any) -> None:
    configs = [BASE | {"experiment": name} for name in ("one", "two")]
    kept = groups(tmp_path, lambda folder: compare_json(folder, "--where", "experiment=two"), *configs)
    assert kept == [[1]]


def test_where_reaches_what_differs(tmp_path: Path, compare_json: Any) -> None:
    other = copied(BASE)
    other["trainer"]["callbacks"][0]["init_args"]["patience"] = 3
    other["trainer"]["gradient_clip_val"] = 0.5
    assert groups(tmp_path, compare_json, BASE, other) in ([[0], [1]], [[1], [0]])
    for condition in ("trainer.gradient_clip_val=5e-1", "trainer.callbacks.EarlyStopping.patience=3"):
        (block,) = compare_json(tmp_path, "--where", condition)["blocks"]
        assert [run["seed"] for group in block["groups"] for run in group["runs"]] == [1]
    assert len(compare_json(tmp_path, "--where", "trainer.max_epochs=12")["blocks"][0]["groups"]) == 2


def test_a_metric_counts_only_where_it_is_monitored(tmp_path: Path, compare_json: Any) -> None:
    configs = [copied(BASE) for _ in range(2)]
    for config, average in zip(configs, ("macro", "micro"), strict=True):
        arguments = {"task": "multiclass", "average": average}
        config["model"]["init_args"]["metrics"] = {
            "f": {"class_path": "torchmetrics.F1Score", "dict_kwargs": arguments}
        }
    assert len(groups(tmp_path / "reported", compare_json, *configs)) == 1
    for config in configs:
        config["trainer"]["callbacks"][0]["init_args"]["monitor"] = "val/f"
    assert len(groups(tmp_path / "monitored", compare_json, *configs)) == 2
    own = {"class_path": "mine.Stop", "init_args": {"metric": "val/f"}}
    for config in configs:
        config["trainer"]["callbacks"] = [own]
    assert len(groups(tmp_path / "by_own_callback", compare_json, *configs)) == 2


def test_classes_of_one_name_in_two_packages_differ(tmp_path: Path, compare_json: Any) -> None:
    configs = [copied(BASE) for _ in range(2)]
    for config, package in zip(configs, ("torch.optim", "mine"), strict=True):
        config["model"]["init_args"]["optimizer"]["class_path"] = f"{package}.AdamW"
    assert len(groups(tmp_path, compare_json, *configs)) == 2


def test_unseeded_runs_count(tmp_path: Path, compare_json: Any) -> None:
    for index in range(3):
        started = f"2026-01-01T00:00:0{index}+00:00"
        record_run(tmp_path / str(index), TARGET, PREDICTION, settings={"seed": False}, started=started)
    assert compare_json(tmp_path)["blocks"][0]["groups"][0]["n"] == 3


def test_a_path_changed_at_a_resume_is_the_same_configuration(tmp_path: Path, compare_json: Any) -> None:
    changes = {"data.path": ["a.csv", "moved/a.csv"], "model.steps_per_execution": [1, 50]}
    for seed in range(2):
        resumed = [{"step": 30, "changed": changes if seed else {}}]
        record_run(tmp_path / str(seed), TARGET, PREDICTION, seed=seed, resumed=resumed)
    assert compare_json(tmp_path)["blocks"][0]["groups"][0]["n"] == 2


def test_a_setting_changed_at_a_resume_is_another_configuration(tmp_path: Path, compare_json: Any) -> None:
    for seed in range(2):
        changes = {"model.optimizer.lr": [0.1, 0.01]} if seed else {}
        record_run(tmp_path / str(seed), TARGET, PREDICTION, seed=seed, resumed=[{"step": 30, "changed": changes}])
    labels = {group["group"] for group in compare_json(tmp_path)["blocks"][0]["groups"]}
    assert len(labels) == 2


def test_real_runs_are_one_group_in_every_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits one configuration in ten spellings, several in a run, and others with one argument changed."""
    rows = [f"{row % 7},{row % 5},{'ab'[row % 2]}" for row in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(["x,y,kind", *rows]))
    (tmp_path / "link.csv").symlink_to("rows.csv")
    (tmp_path / "recipe.yaml").write_text("trainer: {gradient_clip_val: 1.0}\nmodel: {class_path: lit_models.LitMLP}\n")
    monkeypatch.chdir(tmp_path)
    stop = "--trainer.callbacks EarlyStopping --trainer.callbacks.monitor val/loss"
    base = {
        "path": "rows.csv",
        "lr": "--model.optimizer.lr 1e-3",
        "clip": "--trainer.gradient_clip_val 1",
        "stop": stop,
    }
    same = [
        {},
        {
            "path": f"{tmp_path}/rows.csv",
            "lr": "--model.optimizer.lr=0.001",
            "clip": "--trainer.gradient_clip_val 1.0",
            "steps": "--model.steps_per_execution 1",
        },
        {
            "path": "./link.csv",
            "clip": "-c recipe.yaml",
            "stop": f"{stop} --trainer.callbacks.patience 3 --trainer.callbacks.min_delta 0",
        },
        {
            "defaults": "--model.dropout 0.1 --trainer.accumulate_grad_batches 1 --data.sampler shuffle",
            "quiet": "--trainer.enable_progress_bar false --trainer.log_every_n_steps 7 --data.device cpu",
        },
    ]
    other = [
        {"clip": "--trainer.gradient_clip_val 2"},
        {"stop": f"{stop} --trainer.callbacks.patience 4"},
        {"stop": ""},
        {"lr": "--model.optimizer.lr 2e-3"},
        {"lr": "--model.optimizer SGD --model.optimizer.lr 1e-3"},
        {"schedule": "--model.schedule.scheduler CosineAnnealingLR"},
        {"model": "--model.dropout 0.2"},
        {"data": "--data.batch_size 30"},
        {"check": "--trainer.check_val_every_n_epoch null --trainer.val_check_interval 1"},
    ]
    for seed, changes in enumerate([*same, *other]):
        options = base | {"model_class": "--model LitMLP"} | changes
        path = options.pop("path")
        words = f"fit --data TableData --data.path {path} --data.target kind --figures false --trainer.max_epochs 1"
        words += f" --data.duplicates keep-together --experiment e --run r{seed} --seed_everything {seed} "
        assert main([*words.split(), *" ".join(options.values()).split()]) == 0
    (block,) = run_compare(tmp_path / "runs")["blocks"]
    found = sorted(sorted(run["seed"] for run in group["runs"]) for group in block["groups"])
    assert found == [[*range(len(same))], *([len(same) + index] for index in range(len(other)))]


def test_runs_without_a_seed_are_repetitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in ("false", "true", "false"):
        words = (
            f"fit --trust tiny_package --data Tiny --model LitLinear --trainer.max_epochs 1 --seed_everything {seed}"
        )
        assert main([*words.split(), "--figures", "false", "--experiment", "e"]) == 0
    content = run_compare(tmp_path / "runs")
    assert content["blocks"][0]["groups"][0]["n"] == 3
    assert not content["left_out"]

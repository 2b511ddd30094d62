"""Mean runs of groups: their curves are numpy's, and no reader of runs mistakes them for runs."""

import json
from pathlib import Path

import numpy
import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.data.provider import ListHyperparametersResult
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.custom_scalar.custom_scalars_plugin import CustomScalarsPlugin
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG

from experiments.__main__ import main
from experiments.compare.seed_curves import aggregate

SETTINGS = {"narrow": ("LitMLP", "--model.hidden", "[4]"), "wide": ("LitMLP", "--model.hidden", "[8]")}


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two settings of three seeds, one of them stopped after an epoch less, and a model with one seed."""
    root = tmp_path_factory.mktemp("sweep")
    words = ["fit", "--trust", "tiny_package", "--data", "Tiny", "--figures", "false", "--experiment", "e"]
    for name, model in {**SETTINGS, "lonely": ("LitCNN", "--model.channels", "[4]")}.items():
        for seed in range(1 if name == "lonely" else 3):
            epochs = "2" if (name, seed) == ("wide", 2) else "3"
            own = ["--run", f"{name}{seed}", "--seed_everything", str(seed), "--trainer.max_epochs", epochs]
            assert main([*words, *own, "--model", *model, "--trainer.default_root_dir", str(root)]) == 0
    return root / "runs" / "e"


def curves(folder: Path) -> dict[str, dict[int, float]]:
    events = EventAccumulator(str(folder)).Reload()
    return {tag: {event.step: event.value for event in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def test_mean_and_spread_are_those_of_numpy(experiment: Path) -> None:
    wide = [experiment / f"wide{seed}" for seed in range(3)]
    assert aggregate(experiment, {"wide": wide}) == ["wide"]
    runs = [curves(path) for path in wide]
    mean = curves(experiment / "wide mean")
    assert {tag for tag in mean if not tag.startswith("with sd/")} == set(runs[0])
    assert len(mean["val/loss"]) == 2  # the epochs that all of them have
    charted = [tag for tag in runs[0] if tag.startswith("val/") or tag == "train/loss"]
    assert {tag for tag in mean if tag.startswith("with sd/")} == {
        f"with sd/{tag} {sign} sd" for tag in charted for sign in "-+"
    }
    for tag in runs[0]:
        for step, value in mean[tag].items():
            last = tag.startswith("test/")
            values = [run[tag][max(run[tag]) if last else step] for run in runs]
            assert value == pytest.approx(numpy.mean(values), rel=1e-6)
            for sign in (-1, 1) if tag in charted else ():
                margin = mean[f"with sd/{tag} {'-+'[sign > 0]} sd"][step]
                assert margin == pytest.approx(numpy.mean(values) + sign * numpy.std(values, ddof=1), rel=1e-6)
    assert {tag for tag in mean if tag.startswith("test/")} >= {"test/accuracy", "test/loss"}


def groups(experiment: Path) -> dict[str, list[Path]]:
    names = {"LitMLP hidden=[4]": "narrow", "LitMLP hidden=[8]": "wide"}
    return {group: [experiment / f"{name}{seed}" for seed in range(3)] for group, name in names.items()} | {
        "LitCNN": [experiment / "lonely0"]
    }


def test_groups_of_several_runs_are_written_and_nothing_else_is_touched(experiment: Path) -> None:
    stems = ["LitMLP hidden=4", "LitMLP hidden=8"]
    records = sorted(experiment.glob("*/record.json"))
    (experiment / "my mean").mkdir()
    (experiment / "my mean" / "notes.txt").write_text("a person's own")
    assert aggregate(experiment, groups(experiment)) == stems
    assert aggregate(experiment, groups(experiment)) == stems
    made = sorted(path.name for path in experiment.iterdir() if path.is_dir() and " mean" in path.name)
    assert made == sorted(["my mean", *(f"{stem} mean" for stem in stems)])
    assert all(len(list((experiment / name).iterdir())) == 1 for name in made)
    assert sorted(experiment.glob("*/record.json")) == sorted(records)


def test_custom_scalars_has_train_and_val_and_the_margins_of_each_group(experiment: Path) -> None:
    aggregate(experiment, groups(experiment))
    plugin = CustomScalarsPlugin(TBContext(logdir=str(experiment), data_provider=provided(experiment)))
    first, second = json.loads(plugin.layout_impl(RequestContext(), ""))["category"]
    assert first["title"] == "train and val"
    charts = {chart["title"]: chart["multiline"]["tag"] for chart in first["chart"]}
    assert charts["loss"] == ["train/loss$", "val/loss$"]
    assert "accuracy" in charts
    assert second["title"] == "mean ± sd over seeds"
    (loss,) = (chart["margin"]["series"] for chart in second["chart"] if chart["title"] == "val/loss")
    assert loss == [{"value": "val/loss", "lower": "with sd/val/loss - sd", "upper": "with sd/val/loss + sd"}]
    drawn = curves(experiment / "LitMLP hidden=4 mean")
    assert all({*series.values()} <= drawn.keys() for chart in second["chart"] for series in chart["margin"]["series"])


def provided(experiment: Path) -> MultiplexerDataProvider:
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(experiment))
    multiplexer.Reload()
    return MultiplexerDataProvider(multiplexer, str(experiment))


def test_the_hparams_tab_has_the_columns_of_all_runs_and_no_row_of_a_mean(experiment: Path) -> None:
    aggregate(experiment, groups(experiment))
    tab = Context(TBContext(data_provider=provided(experiment)))
    runs = tab.hparams_metadata(RequestContext(), "")
    rows = {run for run, tags in runs.items() if SESSION_START_INFO_TAG in tags}
    assert rows == {"lonely0", *(f"{name}{seed}" for name in SETTINGS for seed in range(3))}
    nothing = ListHyperparametersResult(hyperparameters=[], session_groups=[])
    seen = tab.experiment_from_metadata(RequestContext(), "", True, runs, nothing)
    # A multilayer perceptron has no kernels, and a CNN no hidden layers.
    assert {"model", "model.hidden", "model.kernel_size", "seed"} <= {info.name for info in seen.hparam_infos}
    assert {"test/accuracy", "test/f1_macro", "test/loss"} <= {info.name.tag for info in seen.metric_infos}

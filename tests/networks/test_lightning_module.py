"""``--model`` with a LightningModule of another package: its own training, our evaluation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
import yaml
from conftest import Fit
from lightning.pytorch import seed_everything
from people_table import people
from sklearn.metrics import accuracy_score, roc_auc_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_package import Tiny, TinyRegression
from torch import nn
from torch.nn import functional

from experiments.__main__ import main
from experiments.inference import load
from lit_models import LitLightningModule
from lit_models.any_network.network_factory import NetworkFactory

TRUST = ("--trust", "foreign_lightning")
TINY = (*TRUST, "--data", "tiny_package.Tiny", "--data.batch_size", "8", "--seed_everything", "3")
SERIES = (*TRUST, "--data", "MNIST1D", "--data.ratios", "[0.1,0.2,0.7]", "--trainer.max_epochs", "2")


def by_hand(epochs: int) -> nn.Linear:
    """Trains the layer of ``Linear`` on the batches of Tiny, in a loop without Lightning."""
    seed_everything(3)
    data = Tiny(batch_size=8)
    data.setup("fit")
    layer, loader = nn.Linear(4, 3), data.train_dataloader()
    layer.weight.data = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    layer.bias.data.zero_()
    optimizer = torch.optim.SGD(layer.parameters(), 0.05)
    for epoch in range(epochs):
        loader.set_epoch(epoch)
        for batch in loader:
            optimizer.zero_grad()
            functional.cross_entropy(layer(batch["x"]), batch["y"]).backward()
            optimizer.step()
    return layer


def test_it_trains_as_a_loop_by_hand_and_is_evaluated_by_its_outputs(
    fit: Fit, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("--model", "foreign_lightning.Linear", "--model.lr", "0.05", "--trainer.max_epochs", "3")
    record = fit(*TINY, *words)
    assert "arguments of foreign_lightning.Linear from the data: num_classes 3, in_features 4" in capfd.readouterr().out
    saved = torch.load(record["path"] / "checkpoints" / "last.ckpt", weights_only=True)
    layer = by_hand(3)
    assert torch.equal(saved["state_dict"]["network.body.layer.weight"], layer.weight)
    assert torch.equal(saved["state_dict"]["network.body.layer.bias"], layer.bias)
    rows = polars.read_parquet(record["path"] / "predictions.parquet")
    probabilities = rows.select("^prediction_.*$").to_numpy()
    assert record["metrics"]["test/accuracy"] == pytest.approx(accuracy_score(rows["target"], probabilities.argmax(1)))
    area = roc_auc_score(rows["target"], probabilities, multi_class="ovr")
    assert record["metrics"]["test/auroc_macro"] == pytest.approx(area)


def test_a_checkpoint_alone_is_tested_predicts_and_is_exported(
    fit: Fit, root: Path, compare_output: Callable[..., str]
) -> None:
    record = fit(*SERIES, "--model", "foreign_lightning.ConvModule", "--model.width", "5", "--run", "one")
    path = record["path"]
    curves = EventAccumulator(str(path)).Reload().Tags()["scalars"]
    assert {"train_loss", "val_accuracy", "val_loss", "val/accuracy", "val/loss", "train/loss"} <= {*curves}
    config = yaml.safe_load((path / "config.yaml").read_text())["model"]
    options = {"class_path": "foreign_lightning.ConvModule", "init_args": {"width": 5}}
    assert config == {"class_path": "lit_models.LitLightningModule", "init_args": {"network": options}}
    assert "LitLightningModule network=ConvModule" in compare_output(path.parent)
    (path / "config.yaml").unlink()
    again = root / "again.csv"
    numpy.save(root / "rows.npy", numpy.random.default_rng(0).normal(size=(5, 1, 40)).astype("float32"))
    assert (
        main(["predict", *TRUST, "--ckpt_path", str(path), "--input", str(root / "rows.npy"), "--output", str(again)])
        == 0
    )
    model = load(path, trust=["foreign_lightning"]).model
    assert polars.read_csv(again).height == 5
    assert isinstance(model, LitLightningModule)
    export = ["export", *TRUST, "--ckpt_path", str(path), "--format", "torch-export", "--output", str(root / "graph")]
    assert main(export) == 0
    assert main(["export", "--verify", str(root / "graph")]) == 0
    assert main(["test", *TRUST, "--ckpt_path", str(path), "--trainer.default_root_dir", str(root)]) == 0


def test_options_of_files_and_words_go_to_the_module(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = root / "model.yaml"
    file.write_text("model: {class_path: foreign_lightning.ConvModule, init_args: {width: 3, lr: 0.5}}")

    def written(*words: str) -> Any:
        capfd.readouterr()
        with pytest.raises(SystemExit):
            main(["fit", *SERIES, *words, "--print_config"])
        return yaml.safe_load(capfd.readouterr().out)["model"]["init_args"]["network"]["init_args"]

    assert written("-c", str(file)) == {"width": 3, "lr": 0.5}
    assert written("-c", str(file), "--model.lr", "0.1") == {"width": 3, "lr": 0.1}
    assert written("--model.width=7", "--model=foreign_lightning.ConvModule") == {"width": 7}
    assert written("-c", str(file), "--model", "foreign_lightning.Linear") == {}


@pytest.mark.parametrize("name", ["Flat", "Linear"])
def test_targets_have_the_shape_of_the_outputs(fit: Fit, name: str) -> None:
    """Regression with (N,) outputs, and two classes with two logits, whose predictions are those of the sigmoid."""
    data = {"Flat": "tiny_package.TinyRegression", "Linear": "tiny_package.TinyImbalanced"}[name]
    words = (*TRUST, "--data", data, "--model", f"foreign_lightning.{name}", "--trainer.max_epochs", "4")
    record = fit(*words, "--seed_everything", "1")
    rows = polars.read_parquet(record["path"] / "predictions.parquet")
    if name == "Linear":
        assert "num_classes 2" in record["notes"][0]
        state = torch.load(record["path"] / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
        assert state["network.body.layer.weight"].shape == (2, 2)
        assert record["metrics"]["test/auroc"] == pytest.approx(roc_auc_score(rows["target"], rows["prediction"]))
    else:
        assert record["metrics"]["test/mae"] == pytest.approx((rows["target"] - rows["prediction"]).abs().mean())
        assert abs(rows["prediction"].mean() - 5000) < 500  # in the target's units


def test_manual_optimization_hooks_and_methods_that_are_not_called(fit: Fit) -> None:
    record = fit(*TINY, "--model", "foreign_lightning.Manual", "--trainer.max_epochs", "2", *_watch("val_depth", "max"))
    state = torch.load(record["path"] / "checkpoints" / "last.ckpt", weights_only=True)
    start = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(state["state_dict"]["network.body.layer.weight"], start)
    not_called = "not called, since --data and Evenhand have their own: foreign_lightning.Manual.train_dataloader"
    assert not_called in record["notes"]
    curves = EventAccumulator(str(record["path"])).Reload()
    batches = len(range(0, record["rows"]["train"], 8))
    assert [event.value for event in curves.Scalars("val_depth")] == [1 + batches, 2 + 2 * batches]


def _watch(name: str, mode: str) -> tuple[str, ...]:
    option = "--trainer.callbacks"
    return (f"{option}+=EarlyStopping", f"{option}.monitor", name, f"{option}.mode", mode)


def test_lengths_of_padded_series_come_behind_the_targets(fit: Fit) -> None:
    words = ("--data", "JapaneseVowels", "--model", "foreign_lightning.WithLengths", "--trainer.max_epochs", "1")
    try:
        record = fit(*TRUST, *words)
    except SystemExit:
        pytest.skip("this test needs the network once")
    assert "test/accuracy" in record["metrics"]


def test_categories_of_a_table_are_one_hot(fit: Fit, root: Path) -> None:
    people().write_csv(root / "people.csv")
    data = ("--data", "TableData", "--data.path", str(root / "people.csv"), "--data.target", "label", "--data.id", "id")
    words = (*TRUST, *data, "--model", "foreign_lightning.Linear", "--trainer.max_epochs", "2")
    record = fit(*words, "--seed_everything", "1")
    model = load(record["path"], trust=["foreign_lightning"]).model
    assert isinstance(model, LitLightningModule)
    x, _ = model.network.given(torch.zeros(2, *model.input_shape), _first_categories(model), None)[:2]
    own = x[:, model.input_shape[0] :]
    assert {*own.unique().tolist()} <= {0.0, 1.0}
    assert own.sum(dim=1).tolist() == [len(model.cardinalities)] * 2
    assert record["parameters"] == 2 * (x.shape[1] + 1)  # none of them learns what the module does not train


def _first_categories(model: LitLightningModule) -> torch.Tensor:
    """Returns the first category that train rows have, of each column: (2, C)."""
    return torch.full((2, len(model.cardinalities)), 2)


MISFITS = {
    "Softmax": "foreign_lightning.Softmax.forward returns probabilities, which sum to 1; return logits without a "
    "softmax, or the logarithms",
    "NoForward": "foreign_lightning.NoForward has no forward; a LightningModule needs forward(x), which returns "
    "logits, training_step and configure_optimizers",
    "NoSteps": "foreign_lightning.NoSteps has no training_step and no configure_optimizers; a LightningModule needs "
    "forward(x), which returns logits, training_step and configure_optimizers",
    "NoOptimizer": "foreign_lightning.NoOptimizer.configure_optimizers returns no optimizer; return one",
    "Nothing": "foreign_lightning.Nothing returns None for a batch of (2, 4), and a network returns a tensor of "
    "numbers, or one named logits in a dictionary, a tuple or a dataclass; wrap it in a module that does",
    "Linear --model.num_classes 7": "foreign_lightning.Linear.forward returns (2, 7) for a batch of (2, 4), and the "
    "task needs (2, 3); set its number of outputs below --model",
    "Linear --model.in_features 5": "foreign_lightning.Linear does not take a batch of (2, 4): its layer (Linear) "
    "takes (..., 5) and was given (2, 4); set the arguments below --model that say so, or choose another network",
    "Linear --model.depth 3": "--model.depth: foreign_lightning.Linear has no argument depth; it takes in_features, "
    "lr, num_classes",
}


@pytest.mark.parametrize("words", MISFITS)
def test_a_misfit_is_one_sentence(refused: Callable[..., str], words: str) -> None:
    assert refused(*TINY, "--model", *f"foreign_lightning.{words}".split()) == f"error: {MISFITS[words]}"


def test_an_untrusted_module_and_a_plain_network_are_refused(refused: Callable[..., str]) -> None:
    data = ("--data", "tiny_package.Tiny")
    assert "if foreign_lightning is a package of your own, add --trust foreign_lightning" in refused(
        *data, "--model", "foreign_lightning.ConvModule"
    )
    finder = ("--model", "foreign_lightning.Linear", "--trainer.callbacks+=LearningRateFinder")
    assert "foreign_lightning.Linear has an optimizer of its own; leave the finder out" in refused(*TINY, *finder)


def test_from_python_the_class_itself_is_given() -> None:
    from foreign_lightning import Flat

    data = TinyRegression()
    model = LitLightningModule.for_data(data, network=NetworkFactory.of(Flat, lr=0.2))
    assert model.inner.lr == 0.2
    assert model(torch.zeros(2, 4)).shape == (2, 1)


def test_an_optimizer_without_a_learning_rate(fit: Fit, capfd: pytest.CaptureFixture[str]) -> None:
    record = fit(*TINY, "--model", "foreign_lightning.WithoutRate", "--trainer.max_epochs", "1")
    assert record["step"]["learning_rate"] is None
    assert "a step takes 8 rows\n" in capfd.readouterr().out

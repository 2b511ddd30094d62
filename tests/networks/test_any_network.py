"""Any network: arguments from the data, outputs that are understood, and sentences for what does not fit."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foreign_networks
import pytest
import torch
from conftest import Fit
from torch import Tensor, nn

from experiments import safe_yaml
from experiments.import_allowlist import allow
from experiments.inference.predictor import build_model, load
from experiments.network_option import import_network, read_factory
from lit_models import ConfigError, LitModule
from lit_models.any_network.network_factory import NetworkFactory

IMAGE = {"task": "multiclass", "modality": "image", "input_shape": (1, 8, 8), "num_outputs": 10}
SERIES = {"task": "multiclass", "modality": "series", "input_shape": (2, 16), "num_outputs": 3}
TEXT = {"task": "multiclass", "modality": "text", "input_shape": (6,), "num_outputs": 4, "vocab_size": 30}
TABLE = {"task": "regression", "modality": "table", "input_shape": (3,), "num_outputs": 2, "cardinalities": (5, 4)}

RUN = ("--trust", "foreign_networks", "--model", "LitModule", "--trainer.max_epochs", "1")
DIGITS = (*RUN, "--data", "Digits")


def module(facts: dict[str, Any], network: Callable[..., Any], head: str = "none", **options: Any) -> LitModule:
    repeat = options.pop("repeat_channels", False)
    factory = NetworkFactory.of(network, **options)
    return LitModule(network=factory, head=head, repeat_channels=repeat, **facts)  # type: ignore[arg-type]


def named(network: Any) -> LitModule:
    """Creates a model for grey images with a network as YAML names it."""
    return LitModule(network=import_network(read_factory(network, None, None)), **IMAGE)  # type: ignore[arg-type]


def own(network: str) -> str:
    return f"foreign_networks.{network}"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("RgbNet",), "its conv1 (Conv2d) takes (N, 3, ...) and was given (2, 1, 8, 8); add --model.repeat_channels"),
        (("ConvNet", "--in_channels", "2"), "stem.0 (Conv2d) takes (N, 2, ...) and was given (2, 1, 8, 8); set"),
        (("ConvNet", "--num_classes", "5"), "returns (2, 5) for a batch of (2, 1, 8, 8), and the task needs (2, 10)"),
        (("SevenOutputs",), "returns (2, 7) for a batch of (2, 1, 8, 8), and the task needs (2, 10)"),
        (("Returns", "--form", "other dict"), "returns a dict of scores (2, 10), loss None for a batch of"),
        (("Returns", "--form", "None"), "returns None for a batch of (2, 1, 8, 8), and a network returns a tensor"),
        (("Returns", "--form", "list"), "returns a list of a int, a int for a batch of"),
        (("Returns", "--form", "classes"), "returns (2,) of int64 for a batch of"),
        (("Returns", "--form", "one row"), "returns (10,) for a batch of (2, 1, 8, 8), and the task needs (2, 10)"),
        (("Returns", "--form", "unheard"), "does not take a batch of (2, 1, 8, 8): KeyError 'unheard'; set"),
        (
            ("ConvNet", "--wdith", "5"),
            "--model.network.wdith: foreign_networks.ConvNet has no argument wdith; it takes",
        ),
        (("create_model", "--model_name", "conv2d", "--wdith", "5"), "create_model has no argument wdith; it takes"),
        (
            ("create_model",),
            "foreign_networks.create_model needs its argument model_name; give it with --model.network",
        ),
        (("Rejecting", "--size", "3"), "foreign_networks.Rejecting cannot be made: size must be even, got 3; correct"),
        (("Rejecting", "--size", "[]"), "foreign_networks.Rejecting cannot be made: TypeError unsupported operand"),
        (("BagOfTokens",), "BagOfTokens needs its argument vocab_size; give it with --model.network.vocab_size"),
        (("returns_nothing",), "foreign_networks.returns_nothing returns None, and a network is an nn.Module"),
        (("NoModule",), "--model.network foreign_networks.NoModule is no nn.Module; name a class that is one"),
        (("NUMBER",), "--model.network foreign_networks.NUMBER"),
        (("Convnet",), "foreign_networks has no Convnet; did you mean ConvNet?"),
        (("Features", "--images", "true"), "returns (2, 16, 8, 8) for a batch of (2, 1, 8, 8), and the task needs"),
    ],
)
def test_a_misfit_is_one_sentence(words: tuple[str, ...], sentence: str) -> None:
    name, *options = words
    typed = {option[2:]: safe_yaml.load(value) for option, value in zip(options[::2], options[1::2], strict=True)}
    allow(["foreign_networks"])
    with pytest.raises(ConfigError) as error:
        named({"class_path": own(name), "init_args": typed})
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_misfit_ends_a_fit_before_anything_is_trained(refused: Callable[..., str]) -> None:
    message = refused(*DIGITS, "--model.network", own("ConvNet"), "--model.network.num_classes", "5")
    assert message == (
        "error: foreign_networks.ConvNet returns (2, 5) for a batch of (2, 1, 8, 8), and the task needs (2, 10); set "
        "its number of outputs below --model.network, or add --model.head linear if these are features"
    )


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        ("os.system", "os.system: it is of no trusted package; if you trust os, add --trust os"),
        ("torch.hub.load", "of no trusted package"),
        ("timm.create_model", "if you trust timm, add --trust timm"),
        ("torch.nn.functional.cross_entropy", "it is not a class, so that a configuration may not name it"),
        ("lightning.pytorch.core.saving._load_from_checkpoint", "it is not a class"),
        ("torchmetrics.image.lpip.LearnedPerceptualImagePatchSimilarity", "it unpickles a network"),
        ("torch.optim.AdamW", "is no nn.Module"),
        ("resnet18", "--model.network 'resnet18' is no import path; name a class or function with its package"),
        ("torch.nn..Linear", "'torch.nn..Linear' is no import path"),
        ("[1, 2]", "--model.network '[1, 2]' is no import path"),
        ("torch.nn.Liner", "torch.nn has no Liner; did you mean Linear"),
        ("torch.nn.no_module.Linear", "torch.nn.no_module has no Linear; name another"),
        ("lit_models.LitMLP", "lit_models.LitMLP is an architecture itself; write --model lit_models.LitMLP"),
        ("torch.nn.Linear", "it takes (..., 64) and was given (2, 1, 8, 8)"),
    ],
)
def test_what_may_not_be_named_is_one_sentence(network: str, sentence: str) -> None:
    allow([])
    with pytest.raises(ConfigError) as error:
        named(network)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_an_untrusted_package_is_refused_ahead_of_the_data(refused: Callable[..., str]) -> None:
    words = ("--data", "TableData", "--data.path", "absent.csv", "--data.target", "y", "--model", "LitModule")
    message = refused(*words, "--model.network", "timm.create_model", "--model.network.model_name", "resnet18")
    assert message == (
        "error: --model.network timm.create_model: it is of no trusted package; if you trust timm, add --trust timm"
    )


@pytest.mark.parametrize("network", ["torch.nn.Linear", own("ConvNet"), own("create_model")])
def test_a_network_as_the_model_names_the_line_to_write(refused: Callable[..., str], network: str) -> None:
    message = refused("--trust", "foreign_networks", "--data", "Digits", "--model", network)
    assert f"train it by --model LitModule --model.network {network}" in message


def test_options_without_a_network_and_a_missing_network_are_said(refused: Callable[..., str]) -> None:
    assert "--model.network is missing" in refused(*DIGITS)
    assert "--model.network is missing, and options" in refused(*DIGITS, "--model.network.width", "3")


@pytest.mark.parametrize("form", ["tensor", "dict", "dataclass", "namedtuple", "tuple"])
def test_outputs_are_the_logits_in_whatever_a_network_returns(form: str) -> None:
    model = module(IMAGE, foreign_networks.Returns, form=form)
    x = torch.randn(3, 1, 8, 8)
    body: Any = model.network.body
    assert model(x).equal(body.fc(x.flatten(1)))


def test_one_output_may_come_without_its_axis() -> None:
    class Flat(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum(1)

    model = module({**TABLE, "num_outputs": 1, "cardinalities": ()}, Flat)
    assert model(torch.ones(4, 3)).tolist() == [[3.0]] * 4


@pytest.mark.parametrize(
    ("facts", "network", "expected"),
    [
        (IMAGE, foreign_networks.ConvNet, {"in_channels": 1, "num_classes": 10}),
        (SERIES, foreign_networks.Features, {"c_in": 2}),
        (TEXT, foreign_networks.BagOfTokens, {"vocab_size": 30, "padding_idx": 0, "n_classes": 4}),
        (TABLE, foreign_networks.Returns, {"in_features": 10, "out_features": 2}),  # 3 numbers, embeddings of 4 and 3
        (SERIES, nn.LSTM, {"input_size": 16}),
    ],
)
def test_facts_fill_arguments_of_usual_names(
    facts: dict[str, Any], network: type[nn.Module], expected: dict[str, Any]
) -> None:
    has_head = network in (nn.LSTM, foreign_networks.Features)
    options = {"hidden_size": 4} if network is nn.LSTM else {}
    model = module(facts, network, "linear" if has_head else "none", **options)
    assert model.hparams["network"]["filled"] == expected
    note = model.notes[0].partition(": ")[2].split(", ")
    assert sorted(note) == sorted(f"{name} {value}" for name, value in expected.items())


def test_facts_reach_kwargs_by_the_name_that_is_not_refused_and_the_weights_are_those_of_one_call() -> None:
    torch.manual_seed(3)
    model = module(IMAGE, foreign_networks.create_model, model_name="conv2d", width=5)
    assert model.hparams["network"]["filled"] == {"in_channels": 1, "num_classes": 10}
    torch.manual_seed(3)
    direct = foreign_networks.ConvNet(in_channels=1, num_classes=10, width=5)
    body: Any = model.network.body
    assert all(mine.equal(theirs) for mine, theirs in zip(body.parameters(), direct.parameters(), strict=True))


def test_typed_arguments_win_by_whatever_name() -> None:
    model = module(IMAGE, foreign_networks.ConvNet, "linear", num_classes=6)
    head: Any = model.network.head
    assert head.weight.shape == (10, 6)
    assert model.hparams["network"]["filled"] == {"in_channels": 1}


def test_an_object_that_a_network_takes_gets_its_facts_too() -> None:
    config = NetworkFactory.of(foreign_networks.Configuration, width=4)
    model = module(TEXT, foreign_networks.Configured, config=config)
    assert model.notes[0].endswith("config.num_labels 4, config.seq_len 6, config.vocab_size 30, config.padding_idx 0")
    kept = model.hparams["network"]["init_args"]["config"]
    assert kept["class_path"] == "foreign_networks.Configuration"
    assert kept["filled"] == {"num_labels": 4, "seq_len": 6, "vocab_size": 30, "padding_idx": 0}


def test_grey_images_are_repeated_if_that_is_typed() -> None:
    model = module(IMAGE, foreign_networks.RgbNet, repeat_channels=True)
    body: Any = model.network.body
    x = torch.randn(3, 1, 8, 8)
    assert model(x).equal(body(torch.cat([x, x, x], dim=1)))
    with pytest.raises(ConfigError, match=r"and a row is \(3, 8, 8\); leave --model\.repeat_channels out"):
        module({**IMAGE, "input_shape": (3, 8, 8)}, foreign_networks.RgbNet, repeat_channels=True)


@pytest.mark.parametrize("last", [False, True])
def test_a_head_takes_the_mean_of_features_over_their_positions(last: bool) -> None:
    """Of a series with as many steps as features, a shorter row tells which axis is which."""
    model = module(SERIES, foreign_networks.Features, "linear", last=last)
    body, head = model.network.body, model.network.head
    x = torch.randn(3, 2, 16)
    features: Any = body.layer(x)  # type: ignore[operator, union-attr]
    torch.testing.assert_close(model(x), head(features.mean(2)))  # type: ignore[operator]
    image = module(IMAGE, foreign_networks.Features, "linear", images=True)
    assert image(torch.randn(3, 1, 8, 8)).shape == (3, 10)


def test_features_of_tokens_are_averaged_without_the_padding() -> None:
    config = NetworkFactory.of(foreign_networks.Configuration, width=4)
    model = module(TEXT, foreign_networks.Configured, "linear", config=config)
    ids, lengths = torch.randint(2, 30, (2, 6)), torch.tensor([6, 2])
    body, head = model.network.body, model.network.head
    hidden: Any = body.embedding(ids)  # type: ignore[operator, union-attr]
    expected = head(torch.stack([hidden[0].mean(0), hidden[1, :2].mean(0)]))  # type: ignore[operator]
    torch.testing.assert_close(model(ids, None, lengths), expected)


@pytest.mark.parametrize("network", ["BagOfTokens", "BagByLengths", "BagByPadding"])
def test_ends_of_texts_reach_the_argument_that_a_network_has_for_them(network: str) -> None:
    model = module(TEXT, getattr(foreign_networks, network))
    ids, lengths = torch.randint(2, 30, (2, 6)), torch.tensor([6, 3])
    body: Any = model.network.body
    expected = body.fc(torch.stack([body.embedding(row[:end]).mean(0) for row, end in zip(ids, lengths, strict=True)]))
    torch.testing.assert_close(model(ids, None, lengths), expected)
    torch.testing.assert_close(model(ids), body.fc(body.embedding(ids).mean(1)))


def test_a_network_without_such_an_argument_sees_rows_that_do_not_depend_on_their_batch() -> None:
    model = module(TEXT, foreign_networks.BagWithoutEnds)
    ids, lengths = torch.randint(2, 30, (2, 6)), torch.tensor([6, 3])
    torch.testing.assert_close(model(ids, None, lengths)[1:], model(ids[1:, :3], None, lengths[1:]))
    assert any("takes no mask or lengths of texts: each is padded to 6 tokens with 0" in note for note in model.notes)


def test_the_trial_leaves_statistics_modes_and_random_numbers_alone() -> None:
    torch.manual_seed(0)
    direct = foreign_networks.ConvNet(in_channels=1, num_classes=10)
    direct.drop.eval()
    after = torch.rand(1)
    torch.manual_seed(0)
    model = module(IMAGE, lambda in_channels, num_classes: direct)
    body: Any = model.network.body
    assert body.stem[1].num_batches_tracked == 0
    assert body.training
    assert not body.drop.training
    torch.manual_seed(0)
    module(IMAGE, foreign_networks.ConvNet)
    assert torch.rand(1).equal(after)


def test_a_run_says_what_was_filled_in_and_answers_from_its_checkpoint(
    fit: Fit, capfd: pytest.CaptureFixture[str], compare_output: Callable[..., str], root: Path
) -> None:
    network = ("--model.network", own("create_model"), "--model.network.model_name", "conv2d")
    record = fit(*DIGITS, *network, "--model.network.width", "6", "--run", "wide", "--experiment", "e")
    note = "arguments of foreign_networks.create_model from the data: in_channels 1, num_classes 10"
    assert capfd.readouterr().out.count(note) == 1
    assert note in record["notes"]
    checkpoint = torch.load(record["path"] / "checkpoints" / "best.ckpt", weights_only=True)
    kept = checkpoint["hyper_parameters"]["network"]
    assert kept["class_path"] == own("create_model")
    assert kept["init_args"] == {"model_name": "conv2d", "width": 6}
    predictor = load(record["path"], trust=["foreign_networks"])
    body: Any = predictor.model.network.body
    assert body.classifier.weight.shape == (10, 6)
    fit(*DIGITS, *network, "--model.network.width", "5", "--run", "narrow", "--experiment", "e")
    fit(*RUN[2:], *DIGITS[-2:], "--model", "LitLinear", "--run", "linear", "--experiment", "e")
    table = compare_output(root / "runs" / "e")
    assert "LitModule network=create_model model_name=conv2d width=6" in " ".join(table.split())


def test_a_checkpoint_of_an_untrusted_network_is_refused(fit: Fit) -> None:
    record = fit(*DIGITS, "--model.network", own("ConvNet"))
    with pytest.raises(ConfigError, match="it is of no trusted package; if you trust foreign_networks, add --trust"):
        load(record["path"])


def test_a_network_that_no_checkpoint_can_name_is_left_out_of_it() -> None:
    model = module(IMAGE, foreign_networks.ConvNet, width=torch.tensor(4))
    assert "network" not in model.hparams
    with pytest.raises(ConfigError, match=r"give --model\.network PATH, or in Python NetworkFactory\.of\(class\)"):
        LitModule(network="torch.nn.Linear", **IMAGE)  # type: ignore[arg-type]


HARMFUL = [
    "os.system",
    "lightning.pytorch.core.saving._load_from_checkpoint",
    "lightning.pytorch.loggers.CSVLogger",
    "datamodules.ImageData",
    "torch.nn.functional.relu",
]


@pytest.mark.parametrize("path", HARMFUL)
def test_a_checkpoint_names_no_code_that_is_not_trusted(path: str) -> None:
    allow([])
    harmful = {"class_path": path, "init_args": {"command": "false"}}
    inside = {"class_path": "torch.nn.Linear", "init_args": {"in_features": harmful}}
    for network in (harmful, inside):
        with pytest.raises(ConfigError, match=r"trusted package|not a class|is no nn\.Module"):
            build_model("lit_models.LitModule", {**IMAGE, "network": network}, {})


def test_lazy_layers_are_no_longer_lazy_in_a_checkpoint() -> None:
    first, second = (module(IMAGE, foreign_networks.SevenOutputs, "linear") for _ in range(2))
    second.load_state_dict(first.state_dict())
    x = torch.randn(3, 1, 8, 8)
    assert second(x).equal(first(x))


def test_token_ids_beyond_an_embedding_are_said() -> None:
    with pytest.raises(ConfigError, match=r"its embedding \(Embedding\) takes ids below 10 and was given .* up to 29"):
        module(TEXT, foreign_networks.BagOfTokens, vocab_size=10)


def test_what_was_filled_in_stays_whatever_names_a_later_version_fills() -> None:
    factory = NetworkFactory.of(foreign_networks.ConvNet, width=2)
    kept = NetworkFactory(factory.path, factory.options, factory.function, {"in_channels": 1, "num_classes": 10})
    assert LitModule(network=kept, **IMAGE).hparams["network"]["filled"] == kept.filled  # type: ignore[arg-type]
    gone = NetworkFactory(factory.path, factory.options, factory.function, {"in_channels": 1, "n_classes": 10})
    with pytest.raises(ConfigError, match="ConvNet has no argument n_classes, which it had when it was trained"):
        LitModule(network=gone, **IMAGE)  # type: ignore[arg-type]


def test_several_steps_between_two_calls_of_lightning_are_the_same_steps(fit: Fit) -> None:
    words = (*DIGITS, "--model.network", own("ConvNet"), "--seed_everything", "1", "--model.steps_per_execution")
    assert fit(*words, "1")["metrics"] == fit(*words, "7")["metrics"]


def test_networks_are_not_imported_before_they_are_named() -> None:
    assert "timm" not in sys.modules


PRETRAINED = ("--model.repeat_channels", "true", "--model.image_size", "16")
MEANS = ("--model.image_mean", "[.485, .456, .406]", "--model.image_std", "[.229, .224, .225]")


def test_images_are_resized_and_normalized_as_in_the_pretraining(fit: Fit) -> None:
    record = fit(*DIGITS, "--data.normalize", "none", "--model.network", own("RgbNet"), *PRETRAINED, *MEANS)
    model: Any = load(record["path"], trust=["foreign_networks"]).model
    pixels = torch.arange(64.0).view(1, 1, 8, 8)
    resized = nn.functional.interpolate(pixels, size=(16, 16), mode="bilinear").repeat(1, 3, 1, 1)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    expected = model.network.body((resized / 255 - mean) / std)
    torch.testing.assert_close(model(pixels), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("facts", "options", "sentence"),
    [
        (SERIES, {"image_size": 8}, r"are about images \(C, H, W\), and a row is \(2, 16\); leave them out"),
        (IMAGE, {"image_mean": [0.5]}, "for each of 1 channels, and 1 and 0 were given"),
        (IMAGE, {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}, "for each of 1 channels, and 3 and 3 were given"),
        (IMAGE, {"image_mean": [120.0], "image_std": [60.0]}, "are fractions of white"),
        (IMAGE, {"image_size": -1}, "is a side in pixels, and it is -1"),
    ],
)
def test_options_of_images_that_do_not_fit(facts: dict[str, Any], options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        LitModule(network=NetworkFactory.of(foreign_networks.Features), head="linear", **options, **facts)


def test_the_means_of_a_pretraining_need_pixels_as_they_are(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        fit(*DIGITS, "--model.network", own("RgbNet"), *PRETRAINED, *MEANS)
    assert stopped.value.code == 2
    assert "the data are normalized already (standard); add --data.normalize none" in capsys.readouterr().err

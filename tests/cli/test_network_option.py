"""``--model.network`` on the command line and in files: classes, functions, and options of any name below them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Fit
from hypothesis import given
from hypothesis import strategies as st
from tiny_data import QUICK

from experiments import safe_yaml
from experiments.__main__ import main
from experiments.network_option import read_factory
from lit_models.any_network.network_factory import NetworkFactory

WORDS = ("--trust", "foreign_networks", "--data", "Digits", "--model", "LitModule")
MAKE = ("--model.network", "foreign_networks.create_model", "--model.network.model_name", "conv2d")


@pytest.fixture
def written(root: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Runs ``evenhand fit --print_config``; returns the network's part of what it prints."""

    def run(*words: str) -> dict[str, Any]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main(["fit", *words, "--print_config"])
        assert stopped.value.code in (0, None)
        text = capfd.readouterr().out
        (root / "printed.yaml").write_text(text)
        network: dict[str, Any] = yaml.safe_load(text)["model"]["init_args"]["network"]
        return network

    return run


def test_options_of_any_name_and_type_are_written_and_read_again(
    written: Callable[..., dict[str, Any]], root: Path
) -> None:
    typed = (
        ("width", "7"),
        ("rate", "1e-3"),
        ("sizes", "[2, 3]"),
        ("flag", "true"),
        ("none", "null"),
        ("on", "a.b"),
        ("text", "'050'"),
    )
    words = [word for name, value in typed for word in (f"--model.network.{name}", value)]
    network = written(*WORDS, *MAKE, *words)
    assert network == {
        "class_path": "foreign_networks.create_model",
        "init_args": {
            "model_name": "conv2d", "width": 7, "rate": 0.001, "sizes": [2, 3], "flag": True, "none": None, "on": "a.b",
            "text": "050",
        },
    }  # fmt: skip
    assert written("--trust", "foreign_networks", "-c", str(root / "printed.yaml")) == network


def test_typed_options_win_over_a_file_and_another_class_starts_from_its_own_defaults(
    written: Callable[..., dict[str, Any]], root: Path
) -> None:
    file = root / "config.yaml"
    network = {"class_path": "foreign_networks.create_model", "init_args": {"model_name": "conv2d", "width": 3}}
    file.write_text(yaml.safe_dump({"model": {"class_path": "LitModule", "init_args": {"network": network}}}))
    words = (*WORDS[:4], "-c", str(file))
    assert written(*words)["init_args"] == {"model_name": "conv2d", "width": 3}
    assert written(*words, "--model.network.width", "4")["init_args"] == {"model_name": "conv2d", "width": 4}
    assert written(*words, *MAKE[:2])["init_args"] == {"model_name": "conv2d", "width": 3}
    other = written("--model.network.width", "5", *words, "--model.network", "foreign_networks.ConvNet")
    assert other == {"class_path": "foreign_networks.ConvNet", "init_args": {"width": 5}}
    file.write_text("model: {class_path: LitModule, init_args: {network: foreign_networks.ConvNet}}")
    assert written(*words) == {"class_path": "foreign_networks.ConvNet", "init_args": {}}


@pytest.mark.parametrize("named", ["--model.network.config", "--model.network.config.class_path"])
def test_an_option_may_be_an_object_with_options_of_its_own(written: Callable[..., dict[str, Any]], named: str) -> None:
    network = ("--model.network", "foreign_networks.Configured", named, "foreign_networks.Configuration")
    assert written(*WORDS, *network, "--model.network.config.width", "4")["init_args"]["config"] == {
        "class_path": "foreign_networks.Configuration",
        "init_args": {"width": 4},
    }


OPTIONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("abc. :[]{}1e-", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inner, max_size=3),
    max_leaves=5,
)


@QUICK
@given(st.dictionaries(st.text("abc", min_size=1), OPTIONS, max_size=4))
def test_a_factory_is_the_same_behind_yaml(options: dict[str, Any]) -> None:
    factory = NetworkFactory("a.b", {**options, "inner": NetworkFactory("c.d", options)}, filled={"in_chans": 1})
    assert read_factory(safe_yaml.load(yaml.safe_dump(factory.plain())), None, None) == factory


@pytest.mark.parametrize("value", [3, None, [], {"class_path": 3}, {"other": 1}, {}, "", "a", "a.b..c"])
def test_a_value_of_another_kind_becomes_a_factory_that_no_import_accepts(value: Any) -> None:
    path = read_factory(value, None, None).path
    assert "." not in path or not all(word.isidentifier() for word in path.split("."))


def test_a_changed_option_of_a_network_is_refused_at_a_resume(
    fit: Fit, capfd: pytest.CaptureFixture[str], root: Path
) -> None:
    words = (*WORDS, *MAKE, "--run", "a", "--experiment", "e", "--test_at_end", "false")
    fit(*words, "--trainer.max_epochs", "1")
    capfd.readouterr()
    more = ("--model.network.width", "9", "--trainer.max_epochs", "2", "--trainer.default_root_dir", str(root))
    with pytest.raises(SystemExit) as stopped:
        main(["fit", *words, *more])
    assert stopped.value.code == 2
    message = capfd.readouterr().err
    assert "--model.network.width is 9, and the checkpoint was trained with None" in message

"""A configuration that lacks a setting which has its default is that of a version without it."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from experiments.__main__ import main
from experiments.run.record.config_diff import Changes, flat

WORDS = "validate --data Digits --model LitMLP --model.hidden [9] --trainer.max_epochs 7 --print_config"


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    with pytest.raises(SystemExit):
        main(WORDS.split())
    config: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
    return config


def settings(config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Of data, model and Trainer: the name on the command line, the dictionary that holds it, and its key there."""
    for owner in ("data", "model", "trainer"):
        inner = config[owner].get("init_args", config[owner])
        for key, value in inner.items():
            if not isinstance(value, dict):
                yield f"{owner}.{key}", inner, key


def test_every_setting_may_be_new(capsys: pytest.CaptureFixture[str]) -> None:
    config = printed(capsys)
    now = yaml.safe_dump(config)
    found = {}
    for name, inner, key in list(settings(config)):
        value = inner.pop(key)
        found[name] = list(Changes.between(yaml.safe_dump(config), now).values)
        inner[key] = value
    others = {"model.hidden", "trainer.max_epochs", "trainer.enable_model_summary", "trainer.num_sanity_val_steps"}
    others |= {"trainer.devices"}
    assert others < found.keys()  # typed, or with another default here than Lightning's
    assert {"data.ratios", "model.mixup", "model.steps_per_execution", "trainer.gradient_clip_val"} < found.keys()
    assert {name: names for name, names in found.items() if names} == {name: [name] for name in others}


def test_one_that_was_there_with_another_value_is_a_change(capsys: pytest.CaptureFixture[str]) -> None:
    config = printed(capsys)
    now = yaml.safe_dump(config)
    config["model"]["init_args"]["mixup"] = 0.2
    assert Changes.between(yaml.safe_dump(config), now).values == {"model.mixup": (0.2, 0.0)}


def test_a_class_of_another_name_is_no_new_setting(capsys: pytest.CaptureFixture[str]) -> None:
    config = printed(capsys)
    now = yaml.safe_dump(config)
    del config["model"]["init_args"]["mixup"]
    config["model"]["class_path"] = "lit_models.LitLinear"
    assert {"model.class_path", "model.mixup"} == Changes.between(yaml.safe_dump(config), now).values.keys()
    assert "model.mixup" not in flat(config)

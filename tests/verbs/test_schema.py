"""``evenhand schema`` and ``evenhand completion``: names and types for editors and shells."""

import io
import json
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import yaml
from paths import REPOSITORY

import datamodules
import lit_models
from experiments.__main__ import VERBS, main

CONFIGS = [
    path
    for path in sorted((REPOSITORY / "experiments/configs").rglob("*.yaml"))
    if path.parent.name not in ("papers", "spaces")
]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed("schema"))
    return found


def printed(*words: str) -> str:
    """Returns what a command prints."""
    out = io.StringIO()
    with redirect_stdout(out):
        assert main([*words]) == 0
    return out.getvalue()


def unknown(schema: dict[str, Any], config: dict[str, Any]) -> list[str]:
    """Returns the settings of a configuration that the schema does not have, and the classes without settings."""
    found = [name for name in config if name not in schema["properties"]]
    found += [name for name in config.get("trainer", {}) if name not in schema["properties"]["trainer"]["properties"]]
    for section in ("model", "data"):
        given = config.get(section)
        name = given.get("class_path", "") if isinstance(given, dict) else ""
        if name:
            listed = schema["$defs"][f"{section}.{name.rpartition('.')[2]}"]["properties"]
            found += [f"{name}.{setting}" for setting in given.get("init_args", {}) if setting not in listed]
    return found


def printed_config(*words: str, capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capfd.readouterr()
    with pytest.raises(SystemExit):
        main(["fit", *words, "--print_config"])
    found: dict[str, Any] = yaml.safe_load(capfd.readouterr().out)
    return found


def test_every_setting_of_every_configuration_is_in_the_schema(
    schema: dict[str, Any], root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (root / "my.csv").write_text("a,b\n" + "\n".join(f"{row},{row % 2}" for row in range(60)))
    table = ("--data", "TableData", "--data.path", str(root / "my.csv"), "--data.target", "b")
    configs = [yaml.safe_load(path.read_text()) for path in CONFIGS]
    configs += [printed_config(*table, "--model", model, capfd=capfd) for model in ("LitMLP", "LitTransformer")]
    assert len(configs) > 20
    for config in configs:
        assert unknown(schema, config) == []
    assert unknown(schema, {"modle": 1, "model": {"class_path": "LitMLP", "init_args": {"hiden": 1}}}) == [
        "modle",
        "LitMLP.hiden",
    ]
    jsonschema = pytest.importorskip("jsonschema")
    check = jsonschema.Draft202012Validator(schema)
    check.check_schema(schema)
    for config in configs:
        assert list(check.iter_errors(config)) == []
    assert list(check.iter_errors({"model": "my_models.Own", "data": {"class_path": "my_data.Own"}})) == []
    for wrong, path in {
        '{"model": {"class_path": "LitMLP", "init_args": {"dropout": "much"}}}': ["model", "init_args", "dropout"],
        '{"data": {"class_path": "datamodules.TableData", "init_args": {"path": 3}}}': ["data", "init_args", "path"],
        '{"seed_everything": "three"}': ["seed_everything"],
    }.items():
        (error,) = check.iter_errors(json.loads(wrong))
        assert list(error.absolute_path) == path


def test_every_model_and_data_set_has_its_settings(schema: dict[str, Any]) -> None:
    for section, package, name in (("model", lit_models, "LitMLP"), ("data", datamodules, "TableData")):
        assert name in schema["properties"][section]["examples"]
        for example in schema["properties"][section]["examples"]:
            assert f"{section}.{example}" in schema["$defs"]
            assert example in package.__all__
    assert schema["$defs"]["model.LitMLP"]["properties"]["dropout"]["type"] == "number"
    assert "num_outputs" not in schema["$defs"]["model.LitMLP"]["properties"]  # a fact of the data


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_verbs_options_and_classes(root: Path) -> None:
    pytest.importorskip("shtab", reason="pip install '.[completion]'")
    (root / "script.sh").write_text(printed("completion", "bash"))
    lines = {
        "evenhand co": "compare completion",
        "evenhand fit --model LitT": "LitTabM LitTransformer",
        "evenhand fit --data Tab": "TableData",
        "evenhand fit --model LitMLP --model.hid": "--model.hidden",
        "evenhand fit --trainer.max_ep": "--trainer.max_epochs",
        "evenhand compare --htm": "--html",
        "evenhand test --ckpt": "--ckpt_path",
        "evenhand ": " ".join(VERBS),
    }
    tries = "\n".join(
        f"COMP_WORDS=({line}{chr(34) * 2 if line.endswith(' ') else ''}); "
        "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _shtab_evenhand; echo ${COMPREPLY[*]}"
        for line in lines
    )
    bash = ["bash", "-c", f"source script.sh\n{tries}"]
    done = subprocess.run(bash, cwd=root, capture_output=True, text=True, check=True)
    assert dict(zip(lines, done.stdout.splitlines(), strict=True)) == lines


def test_without_shtab_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(SystemExit) as stopped:
        main(["completion", "zsh"])
    assert stopped.value.code == 2
    message = "error: evenhand completion needs shtab; pip install '.[completion]' in the checkout"
    assert capfd.readouterr().err.strip() == message

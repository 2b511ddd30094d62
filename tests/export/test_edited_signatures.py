"""Signatures that were edited and signed again: one sentence at every door, or the same predictions as before."""

import hashlib
import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest
from edited_json import Edit, edits
from exported_runs import finished, words
from hostile_runs import refusal
from server_process import free_port

from datamodules import DataError
from experiments.__main__ import main
from experiments.export import load_export

ARTEFACTS = {
    "table": ("LitMLP", "safetensors"),
    "image": ("LitCNN", "torch-export"),
    "series": ("LitRNN", "safetensors"),
    "text": ("LitTransformer", "onnx"),
    "numbers": ("LitLinear", "state-dict"),
}
PROSE = {
    *(("notes",), ("versions",), ("run",), ("output", "meaning"), ("targets",), ("classes",)),
    *(("checked", "test_rows"), ("checked", "differences"), ("checked", "metrics_of_run")),
}
"""Fields that nothing computes with: their types are checked, and their values are printed."""
OF_TENSORS = {"missing", "units", "meaning"}
"""Fields of an input's description that are documentation."""
ANY = {
    ("model", "hyper_parameters"),
    ("checked", "metrics"),
    ("raw", "inputs", "missing"),
    ("raw", "inputs", "columns"),
}
"""Fields that may hold several types: what loads with them has to predict as before."""


@pytest.fixture(scope="module", params=ARTEFACTS)
def artefact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """An artefact of each modality, and rows for it."""
    home, (model, format) = tmp_path_factory.mktemp(request.param), ARTEFACTS[request.param]
    if request.param == "numbers":
        shape = ["--model", model, "--trainer.max_epochs", "1", "--figures", "false", "--seed_everything", "0"]
        folder = ["--trainer.default_root_dir", str(home), "--run", "a", "--experiment", "b"]
        assert main(["fit", "--data", "Digits", *shape, *folder]) == 0
        run, rows = home / "runs/b/a", numpy.zeros((3, 1, 8, 8))
    else:
        done = finished(home / "run", request.param, model)
        run, rows = done.path, done.rows[:5]
    assert main(["export", *words(run, home / "artefact", format)]) == 0
    return home / "artefact", rows


def sign(folder: Path, content: dict[str, Any]) -> None:
    """Writes a signature with the digest of what it is now."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    text = json.dumps({**content, "digest": digest}, indent=2, ensure_ascii=False)
    (folder / "signature.json").write_text(text + "\n")


def is_prose(edit: Edit) -> bool:
    """Returns True for a field whose value is documentation: edits of it may be taken."""
    if edit.path[0] == "inputs":
        return (len(edit.path) > 2 and edit.path[2] in OF_TENSORS) or edit.kind == "extra"
    return any(edit.path[: len(prose)] == prose for prose in PROSE)


def outcome(folder: Path, rows: Any) -> Any:
    """The predictions, or None behind an error that is one sentence."""
    try:
        return load_export(folder).predict(rows)
    except DataError as error:
        message = str(error)
    assert len(message.splitlines()) == 1
    assert len(message) < 1500
    return None


@pytest.mark.parametrize("most", [20, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_every_field(artefact: tuple[Path, Any], tmp_path: Path, most: int) -> None:
    """By ``load_export`` and ``predict``: another type is refused wherever it is not printed alone."""
    folder, rows = shutil.copytree(artefact[0], tmp_path / "copy"), artefact[1]
    whole = json.loads((folder / "signature.json").read_text())
    del whole["digest"]
    every, expected, taken = [*edits(whole)], load_export(folder).predict(rows), []
    assert len(every) > 500
    for edit in random.Random(most).sample(every, min(most, len(every))):
        sign(folder, edit.value)
        found = outcome(folder, rows)
        if found is not None and not is_prose(edit):
            taken.append(edit[:2])
            assert found.equals(expected), taken
    other = [edit for edit in taken if not any(edit[0][: len(field)] == field for field in ANY)]
    assert [edit for edit in other if edit[1] in ("type", "nested", "extra")] == []


def test_every_door(artefact: tuple[Path, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """By ``export --verify``, ``predict`` and ``serve``, of some edits."""
    folder = shutil.copytree(artefact[0], tmp_path / "copy")
    whole = json.loads((folder / "signature.json").read_text())
    del whole["digest"]
    every = [edit for edit in edits(whole) if not is_prose(edit)]
    for edit in random.Random(0).sample(every, 8):
        sign(folder, edit.value)
        try:
            load_export(folder)
        except DataError as error:
            message = str(error)[:60]
            assert message in refusal(capfd, "export", "--verify", str(folder))
            assert message in refusal(capfd, "serve", "--ckpt_path", str(folder), "--port", str(free_port()))
        refusal(capfd, "predict", "--ckpt_path", str(folder), "--input", str(folder))

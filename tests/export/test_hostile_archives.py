"""An archive with two truths, and an artefact whose files are others than those beside its signature."""

import hashlib
import io
import json
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hostile_runs import Touch, refusal, train

from datamodules import DataError
from experiments.__main__ import main
from experiments.export.exported_predictor import load_export

Members = list[tuple[str, bytes]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("archives"))


@pytest.fixture(scope="module")
def exported(run: Path) -> Path:
    folder = run.parent / "whole"
    assert main(["export", "--ckpt_path", str(run), "--format", "torch-export", "--output", str(folder)]) == 0
    return folder


@pytest.fixture
def artefact(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to change; the working directory is beside it."""
    folder = tmp_path / "artefact"
    folder.mkdir()
    for file in exported.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    return folder


def resign(folder: Path, edit: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
    """Make the signature one of the folder's files as they are now."""
    content = json.loads((folder / "signature.json").read_text())
    del content["digest"]
    content["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in content["files"]}
    edit(content)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    text = json.dumps({**content, "digest": digest}, indent=2, ensure_ascii=False)
    (folder / "signature.json").write_text(text + "\n")


def members(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def write(path: Path, content: Members, compression: int = zipfile.ZIP_STORED) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a name is there twice
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, data in content:
                archive.writestr(name, data)


def pickled(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def twice(content: Members) -> Members:
    """A pickle under the name of the empty example inputs, as often as torch's bisection needs to find it."""
    name = next(name for name, _ in content if name.endswith("sample_inputs/model.pt"))
    return [(name, pickled(Touch())) for _ in range(60)] + content


def twice_but_for_case(content: Members) -> Members:
    name = next(name for name, _ in content if name.endswith("sample_inputs/model.pt"))
    return [*content, (name.replace("model.pt", "MODEL.pt"), pickled(Touch()))]


def weight_twice(content: Members) -> Members:
    name, data = next((name, data) for name, data in content if name.endswith("weight_0"))
    return [*content, (name, bytes(len(data)))]


def outside(content: Members) -> Members:
    return [*content, ("model/../../ran", b"x")]


def two_folders(content: Members) -> Members:
    name, data = next((name, data) for name, data in content if name.endswith("weight_0"))
    return [*content, (f"other/{name.partition('/')[2]}", data)]


@pytest.mark.parametrize("edit", [twice, twice_but_for_case, weight_twice, outside, two_folders])
def test_an_archive_with_two_truths_is_refused(
    artefact: Path, capfd: pytest.CaptureFixture[str], edit: Callable[[Members], Members]
) -> None:
    write(artefact / "model.pt2", edit(members(artefact / "model.pt2")))
    resign(artefact)
    assert "model.pt2" in refusal(capfd, "export", "--verify", str(artefact))


def test_a_compressed_archive_is_refused(artefact: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A gigabyte of zeros is a megabyte there."""
    write(artefact / "model.pt2", members(artefact / "model.pt2"), zipfile.ZIP_DEFLATED)
    resign(artefact)
    assert "not stored as torch stores it" in refusal(capfd, "export", "--verify", str(artefact))


def test_torch_reads_only_what_was_written_anew(artefact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An untouched file is answered equally when it is loaded again, and torch never gets its path."""
    given: list[Any] = []
    whole = torch.export.load
    monkeypatch.setattr(torch.export, "load", lambda file: given.append(file) or whole(file))
    assert main(["export", "--verify", str(artefact)]) == 0
    assert [type(file) for file in given] == [io.BytesIO]
    content = [(name.partition("/")[2], data) for name, data in members(artefact / "model.pt2")]
    written = [(name.partition("/")[2], data) for name, data in members(given[0])]
    assert [name for name, _ in written] == [name for name, _ in content]
    assert all(a == b or name.endswith(".json") for (name, a), (_, b) in zip(written, content, strict=True))


@pytest.mark.parametrize("name", ["/dev/zero", "../t.csv", "a/b", "..", "", "model.pt2\n", "x" * 200])
def test_a_signature_names_files_of_its_folder(artefact: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    resign(artefact, lambda content: content["files"].update({name: "0" * 64}))
    assert "no file of its folder" in refusal(capfd, "export", "--verify", str(artefact))


def test_a_signature_with_thousands_of_files_is_refused(artefact: Path, capfd: pytest.CaptureFixture[str]) -> None:
    resign(artefact, lambda content: content["files"].update({f"f{index}": "0" * 64 for index in range(1000)}))
    assert "names no files that an export writes" in refusal(capfd, "export", "--verify", str(artefact))


@pytest.mark.parametrize("name", ["signature.json", "model.pt2", "rows.safetensors"])
def test_a_pipe_in_the_place_of_a_member(artefact: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    (artefact / name).unlink()
    os.mkfifo(artefact / name)
    assert "is a pipe" in refusal(capfd, "export", "--verify", str(artefact))


def test_a_link_in_the_place_of_a_member(artefact: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (artefact / "MODEL_CARD.md").unlink()
    (artefact / "MODEL_CARD.md").symlink_to("/dev/zero")
    assert "is a link" in refusal(capfd, "export", "--verify", str(artefact))


def test_rows_that_do_not_fit_the_graph(artefact: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from safetensors.torch import load_file, save_file

    rows = load_file(artefact / "rows.safetensors")
    save_file({**rows, "x": rows["x"][:, :0].contiguous()}, artefact / "rows.safetensors")
    resign(artefact)
    assert "does not fit the artefact" in refusal(capfd, "export", "--verify", str(artefact))


def test_a_checkpoint_with_a_member_twice_is_refused(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = members(run / "checkpoints/best.ckpt")
    name = next(name for name, _ in content if name.endswith("data.pkl"))
    write(tmp_path / "twice.ckpt", [(name, b"x"), *content])
    message = refusal(capfd, "test", "--ckpt_path", str(tmp_path / "twice.ckpt"))
    assert "twice.ckpt is no checkpoint" in message
    assert "twice" in message.partition("is no checkpoint")[2]


def test_a_state_dict_with_a_member_twice_is_refused(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    assert main(["export", "--ckpt_path", str(run), "--format", "state-dict", "--output", str(folder)]) == 0
    file = next(file for file in folder.iterdir() if file.read_bytes()[:2] == b"PK")
    content = members(file)
    write(file, [*content, content[0]])
    resign(folder)
    with pytest.raises(DataError, match="twice"):
        load_export(folder)

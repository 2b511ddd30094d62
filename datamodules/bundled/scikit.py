"""Small data sets inside scikit-learn, which is imported when one of them is loaded."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import polars
import torch

from datamodules.errors import DataError
from datamodules.in_memory import InMemoryData
from datamodules.raw_data import Rows
from datamodules.tables.frame_data import FrameData


class Digits(InMemoryData):
    """1,797 handwritten digits of 8 x 8 pixels from 0 to 16 (Alpaydin & Kaynak 1998, the test part alone)."""

    task = "multiclass"
    modality = "image"
    input_shape = (1, 8, 8)
    num_outputs = 10
    class_names = tuple("0123456789")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _datasets("Digits")  # an error before training, and not in it

    def load(self) -> Rows:
        """Returns the digits in scikit-learn's order."""
        pixels, labels = _datasets("Digits").load_digits(return_X_y=True)
        return Rows(torch.from_numpy(pixels).float().view(-1, 1, 8, 8), torch.from_numpy(labels).long())


class BreastCancer(FrameData):
    """569 fine needle aspirates, 30 numbers of their cell nuclei: malignant or benign (Street, Wolberg et al. 1993)?"""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        made = _datasets("BreastCancer").load_breast_cancer()
        frame = polars.DataFrame(made.data, schema=list(made.feature_names))
        kinds = [str(made.target_names[label]) for label in made.target]
        self.take(frame.with_columns(kind=polars.Series(kinds)), ["kind"], "binary")


class Diabetes(FrameData):
    """442 patients, 10 numbers each: a measure of their disease a year later, 25 to 346 (Efron et al. 2004)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        made = _datasets("Diabetes").load_diabetes(scaled=False)
        frame = polars.DataFrame(made.data, schema=list(made.feature_names))
        self.take(frame.with_columns(progression=made.target), ["progression"], "regression")


def _datasets(name: str) -> Any:
    if find_spec("sklearn") is None:
        raise DataError(f"{name} is inside the package scikit-learn, which is not installed; pip install scikit-learn")
    return import_module("sklearn.datasets")

"""The LightningDataModule that every data set stands on: load, split, normalize, batch."""

import hashlib
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from datamodules.errors import DataError
from datamodules.loaders import TensorLoader
from datamodules.normalization import Method, Normalizer, Statistics, fit, learn, restore
from datamodules.splits import Split, check_ratios, split_rows

TaskName = Literal["binary", "multiclass", "multilabel", "regression"]
Modality = Literal["table", "series", "image", "text"]


@dataclass
class Rows:
    """All rows of a data set, as they were read.

    Args:
        x: Inputs (N, *input_shape), any number type.
        y: Targets: class indices (N,), labels (N, L), or values (N,) or (N, R).
        test: Row numbers of a test part that the data set comes with; None where there is none.
    """

    x: Tensor
    y: Tensor
    test: Tensor | None = None


class DataModule(LightningDataModule):
    """A data set: a subclass sets the facts in its constructor and gives the rows in ``load``.

    The facts are ``task``, ``modality``, ``input_shape``, ``num_outputs`` and, for a table's categorical columns,
    ``cardinalities``, which the command line passes on to the model; and ``class_names`` where there are classes.
    ``notes`` are sentences worth knowing about the data, which a run records.

    Args:
        batch_size: Rows of a training batch, over all devices together.
        ratios: Shares of train, val and test. With a test part that the data set comes with, the first two keep
            their proportion.
        stratify: Give each part its share of each class; for the tasks with one class a row where it is left out.
        split_seed: Seed of the split, independent of the training seed.
        normalize: What is done to each feature, with statistics of the train rows.

    Raises:
        DataError: For settings that cannot be used.
    """

    task: TaskName
    modality: Modality
    input_shape: tuple[int, ...]
    num_outputs: int
    cardinalities: tuple[int, ...] = ()
    vocab_size: int = 0
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        batch_size: int = 100,
        ratios: tuple[float, float, float] = (0.7, 0.15, 0.15),
        stratify: bool | None = None,
        split_seed: int = 0,
        normalize: Method = "standard",
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        if batch_size < 1:
            raise DataError(f"batch_size must be at least 1, and it is {batch_size}")
        check_ratios(ratios)
        self.batch_size = batch_size
        self.ratios = ratios
        self.stratify = stratify
        self.split_seed = split_seed
        self.normalize = normalize
        self.split: Split | None = None
        self.statistics: Normalizer | None = None
        self.target_statistics: Statistics | None = None
        self._rows: Rows | None = None

    @abstractmethod
    def load(self) -> Rows:
        """Read every row, in an order that never changes."""

    @property
    def rows(self) -> Rows:
        """Every row, read once and checked."""
        if self._rows is None:
            rows = self.load()
            self._check(rows)
            self._rows = rows
        return self._rows

    def setup(self, stage: str) -> None:
        """Read, split and fit, once; what a checkpoint brought is kept."""
        if self.split is None:
            self.split = self._split()
        self._check_processes(len(self.split.train))
        if self.statistics is None:
            self.statistics = learn(self._inputs(self.split.train), self.normalize)
            if self.task == "regression":
                target = self.rows.y[self.split.train].double()
                self.target_statistics = fit(target.view(len(target), -1), "standard")

    def train_dataloader(self) -> TensorLoader:
        """Shuffled train rows; the order is a function of the training seed and the epoch."""
        rank, world_size = self._process()
        return TensorLoader(self.part("train"), self.batch_size, True, torch.initial_seed(), rank, world_size)

    def val_dataloader(self) -> TensorLoader:
        """Validation rows in order."""
        return self._evaluation_loader("val")

    def test_dataloader(self) -> TensorLoader:
        """Test rows in order."""
        return self._evaluation_loader("test")

    def predict_dataloader(self) -> TensorLoader:
        """Test rows in order."""
        return self._evaluation_loader("test")

    def part(self, name: str) -> dict[str, Tensor]:
        """The normalized rows of train, val or test: ``x``, ``y`` and the row ids ``row``."""
        if self.split is None or self.statistics is None:
            raise RuntimeError("call setup() before asking for rows")
        index: Tensor = getattr(self.split, name)
        return {"x": self.statistics.apply(self._inputs(index)), "y": self.rows.y[index], "row": index}

    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of the rows, and of the split: runs are comparable where both are equal."""
        if self.split is None:
            raise RuntimeError("call setup() before asking for fingerprints")
        return {"data": self._data_digest(), "split": digest(*self.split)}

    def state_dict(self) -> dict[str, Any]:
        """The split and the statistics, as plain values and tensors."""
        if self.split is None or self.statistics is None:
            return {}
        return {
            "fingerprints": self.fingerprints(),
            "split": self.split._asdict(),
            "statistics": self.statistics._asdict(),
            "target_statistics": self.target_statistics and self.target_statistics._asdict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take a checkpoint's split and statistics instead of one's own.

        Raises:
            DataError: Where the checkpoint was trained on other data.
        """
        if not state_dict:
            return
        if self._data_digest() != state_dict["fingerprints"]["data"]:
            raise DataError(f"the checkpoint was trained on other data than what {type(self).__name__} reads now")
        self.split = Split(**state_dict["split"])
        self.statistics = restore(state_dict["statistics"])
        if state_dict["target_statistics"]:
            self.target_statistics = Statistics(**state_dict["target_statistics"])

    def _inputs(self, index: Tensor) -> Tensor:
        """The inputs of some rows ahead of their normalization."""
        return self.rows.x[index]

    def _data_digest(self) -> str:
        return digest(self.rows.x, self.rows.y)

    def _stratifies(self) -> bool:
        one_class = self.task in ("binary", "multiclass")
        stratify = one_class if self.stratify is None else self.stratify
        if stratify and not one_class:
            raise DataError(f"stratify needs one class a row, and the task is {self.task}; set --data.stratify false")
        return stratify

    def _split(self) -> Split:
        rows, test = self.rows, self.rows.test
        stratify = self._stratifies()
        every = torch.arange(len(rows.y))
        if test is None:
            labels = rows.y if stratify else None
            return Split(*split_rows(every, self.ratios, self.split_seed, labels, self.class_names))
        rest = torch.ones(len(every), dtype=torch.bool)
        rest[test] = False
        labels = rows.y[rest] if stratify else None
        train_and_val = sum(self.ratios[:2])
        shares = [share / train_and_val for share in self.ratios[:2]]
        train, val = split_rows(every[rest], shares, self.split_seed, labels, self.class_names)
        return Split(train, val, test.sort().values)

    def _check(self, rows: Rows) -> None:
        if len(rows.x) != len(rows.y):
            raise DataError(f"{type(self).__name__} has {len(rows.x)} rows of inputs and {len(rows.y)} of targets")
        for name, values in (("inputs", rows.x), ("targets", rows.y)):
            if not len(values):
                raise DataError(f"{type(self).__name__} has no rows")
            bad = ~values.isfinite().reshape(len(values), -1).all(dim=1)
            if bad.any():
                first = int(bad.nonzero()[0])
                raise DataError(
                    f"{int(bad.sum())} of {len(bad)} rows of {type(self).__name__} have NaN or infinite {name}, "
                    f"the first of them row {first}; fill them in or drop the rows"
                )

        if self.task in ("binary", "multiclass"):
            classes = 2 if self.task == "binary" else self.num_outputs
            low, high = int(rows.y.min()), int(rows.y.max())
            if low < 0 or high >= classes:
                raise DataError(
                    f"{type(self).__name__} has classes {low} to {high}, and they must be 0 to {classes - 1}"
                )

    def _evaluation_loader(self, name: str) -> TensorLoader:
        # Nothing is learned from these batches, so their size is chosen for speed, not for the result.
        rank, world_size = self._process()
        return TensorLoader(self.part(name), max(self.batch_size, 1024), rank=rank, world_size=world_size)

    def _check_processes(self, train_rows: int) -> None:
        _, world_size = self._process()
        if self.batch_size % world_size:
            raise DataError(
                f"batch_size {self.batch_size} is that of all {world_size} processes together; "
                f"choose a multiple of {world_size}"
            )
        if train_rows < world_size:
            raise DataError(f"{train_rows} train rows are too few for {world_size} processes; use fewer devices")

    def _process(self) -> tuple[int, int]:
        """Which process this is, and of how many."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


def digest(*tensors: Tensor) -> str:
    """SHA-256 of tensors, their types and shapes."""
    sha = hashlib.sha256()
    for tensor in tensors:
        sha.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        sha.update(tensor.contiguous().numpy().tobytes())
    return sha.hexdigest()

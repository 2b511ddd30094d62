"""Contract between a data set and the code that trains, tests, records and exports."""

from abc import abstractmethod
from typing import Any

import polars
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from datamodules.errors import DataError
from datamodules.inspection.summary_columns import InspectionSample
from datamodules.loading.base_loader import Batch, Loader, Transform
from datamodules.loading.evaluation_batch_size import rows_at_once
from datamodules.loading.global_batch import accumulated_by, check_batch, check_processes, device_of, process_of
from datamodules.preprocessing.array_inputs import ArrayInputs
from datamodules.preprocessing.inputs import Inputs
from datamodules.preprocessing.normalization import Statistics, restore
from datamodules.preprocessing.normalizer import Method, Normalizer
from datamodules.preprocessing.series_normalization import SeriesNormalization
from datamodules.splitting.split_options import SplitSettings
from datamodules.splitting.splits import Split, check_ratios
from datamodules.types import Modality, TaskName


class DataModule(LightningDataModule):
    """Contract of a data set: ``InMemoryData`` implements it for rows in memory, ``StreamData`` for rows on disk.

    A subclass sets ``task``, ``modality``, ``input_shape``, ``num_outputs``, for categorical columns ``cardinalities``,
    for text ``vocab_size``; the command line passes these to the model. ``notes`` are sentences that a run records.

    Args:
        batch_size: Rows of an optimizer step, over all devices and accumulated gradients together; of each accumulated
            batch with a ``GradientAccumulationScheduler``.
        ratios: Fractions of train, val and test; train and val keep their proportion if the data come with a test
            split. With 0 for val no row validates, and the epoch of the lowest train loss is kept.
        split_seed: Seed of the split.
        group: Column whose equal values stay in one split; no input.
        split_column: Column of the words train, val and test; no input. Without a val row, train rows are divided.
        folds: Number of folds; one is the test split, the rest is divided into train and val in their proportion.
        fold: Index of the test fold, from 0.
        normalize: Normalization of each feature, with statistics of the train rows; ``series`` for series in files and
            streamed arrays.
        train_fraction: Fraction of the train rows in use, for a learning curve; a smaller one is part of a larger one.
        val_fold: ``[0,5]`` for fold 0 of five of the train and validation rows, as the validation rows.
    """

    task: TaskName
    modality: Modality
    input_shape: tuple[int, ...]
    num_outputs: int
    cardinalities: tuple[int, ...] = ()
    vocab_size: int = 0
    class_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        batch_size: int = 100,
        ratios: tuple[float, float, float] = (0.7, 0.15, 0.15),
        split_seed: int = 0,
        group: str | None = None,
        split_column: str | None = None,
        folds: int | None = None,
        fold: int = 0,
        normalize: Method = "standard",
        train_fraction: float = 1.0,
        val_fold: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        if hasattr(self, "load") and type(self).part is DataModule.part:
            raise DataError(f"{type(self).__name__} defines load(); derive it from InMemoryData instead of DataModule")
        if batch_size < 1:
            raise DataError(f"batch_size must be at least 1, and it is {batch_size}")
        check_ratios(ratios)
        self.data_name = type(self).__name__  # in records, and of the folder of the runs
        self.batch_size = batch_size
        self.split_settings = SplitSettings(
            ratios, split_seed, group, split_column, folds, fold, train_fraction=train_fraction, val_fold=val_fold
        )
        self.normalize = normalize
        if normalize == "series" and hasattr(self, "modality"):  # where it is none, it depends on the files
            self.input_shape = self.normalized_shape(getattr(self, "input_shape", (0,)))
        self.split: Split | None = None
        self.left_out = torch.empty(0, dtype=torch.int64)  # row ids that train_fraction takes from the train rows
        self.statistics: Normalizer | None = None
        self.target_statistics: Statistics | None = None

    @abstractmethod
    def part_rows(self) -> dict[str, int]:
        """Returns the number of rows of each split."""

    @abstractmethod
    def part(self, name: str) -> Batch:
        """Returns the normalized rows of a split: ``x``, ``y``, row ids ``row``, and ``lengths`` of padded rows."""

    @abstractmethod
    def class_counts(self) -> Tensor | None:
        """Returns train rows of each class (K,), or without and with each label (L, 2); None for regression."""

    @abstractmethod
    def raw(self, index: Tensor) -> polars.DataFrame | polars.Series | list[Tensor]:
        """Returns rows, by their ids, in a form to look at: table columns, texts, series (C, T), images (C, H, W)."""

    @abstractmethod
    def unprepared(self, index: Tensor) -> dict[str, Tensor]:
        """Returns the input tensors of rows, by their ids, before normalization: those of ``inputs.unprepared()``."""

    @abstractmethod
    def fingerprints(self) -> dict[str, str]:
        """Returns SHA-256 of the ``data`` and of the ``split``: runs are comparable where both are equal."""

    def id_columns(self, index: Tensor) -> polars.DataFrame:
        """Returns the columns that name rows, by their ids, besides these: that of ``--data.id``; none by default."""
        return polars.DataFrame()

    def columns_at(self, index: Tensor) -> polars.DataFrame:
        """Returns all columns of rows, by their ids, inputs or not, by which predictions may be looked at in slices.

        These are the columns of a table, else summary columns such as the length, and those that name rows.
        """
        sample = self.inspection_sample()
        if sample.row_ids is None:  # every row is in the sample
            others = [other for other in sample.about if other.name not in sample.features.columns]
            columns = sample.features.with_columns(others)[index.numpy()]
        else:
            raw = self.raw(index)
            columns = raw if isinstance(raw, polars.DataFrame) else polars.DataFrame()
        names = self.id_columns(index)
        return columns.with_columns(name for name in names if name.name not in columns.columns)

    def column_fingerprints(self) -> dict[str, Any]:
        """Returns the names of ``target`` and ``inputs``, and SHA-256 of the ``cells`` of each column by its name.

        Runs with other inputs are comparable where the cells of all common columns are equal, in the same order of
        rows. Empty where rows have no columns.
        """
        return {}

    def series_scales(self) -> Tensor | None:
        """Returns the standard deviation (N, C) of each channel of train series; None for other rows."""
        return None

    @abstractmethod
    def inspection_sample(self) -> InspectionSample:
        """Returns the rows that an inspection of the data is based on."""

    @abstractmethod
    def _learn_statistics(self) -> None:
        """Computes ``statistics`` of the train rows, and ``target_statistics`` for regression."""

    @abstractmethod
    def _loader(self, split: str, batch_size: int, shuffle: bool = False) -> Loader:
        """Returns a loader of a split; its order is a function of the training seed and the epoch."""

    @property
    def inputs(self) -> Inputs:
        """Preprocessing from raw rows to the model's inputs, once ``setup()`` was called; checkpoints contain it."""
        assert self.statistics is not None
        return ArrayInputs(self.statistics, self.raw_shape)

    @property
    def raw_shape(self) -> tuple[int, ...]:
        """Shape of a row before normalization."""
        if self.normalize != "series":
            return self.input_shape
        return (self.input_shape[0] // SeriesNormalization.channels, *self.input_shape[1:])

    def normalized_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns ``input_shape`` for a raw row: a series that is normalized by itself gets further channels.

        Raises ``DataError`` for a normalization that does not fit the modality.
        """
        if self.normalize != "series":
            return shape
        if self.modality != "series":
            raise DataError(
                f"--data.normalize series is for series, and a row of {type(self).__name__} is of the modality "
                f"{self.modality}; leave it out or take standard, minmax, robust or quantile"
            )
        return (shape[0] * SeriesNormalization.channels, *shape[1:])

    @property
    def has_val(self) -> bool:
        """True if there are rows to validate on."""
        return self.split_settings.ratios[1] > 0 or self.part_rows()["val"] > 0

    @property
    def num_classes(self) -> int | None:
        """Number of classes; None if a row has no class or several labels."""
        return {"binary": 2, "multiclass": self.num_outputs}.get(self.task)

    def setup(self, stage: str) -> None:
        """Splits the rows and computes statistics once; those of a loaded checkpoint are kept."""
        _, processes = process_of(self.trainer)
        if stage == "fit":
            check_batch(self.batch_size, processes, accumulated_by(self.trainer))
        check_processes(self.part_rows()["train"], processes)
        if self.statistics is None:
            self._learn_statistics()

    def transform(self, split: str) -> Transform | None:
        """Returns a transform of each batch of a split, such as augmentation; None unless a subclass has one."""
        return None

    def train_dataloader(self) -> Loader:
        """Returns shuffled train batches."""
        return self._loader("train", self.batch_size, shuffle=True)

    def val_dataloader(self) -> Loader | list[Loader]:
        """Returns validation batches in row order; an empty list without validation rows."""
        return self._evaluation_loader("val") if self.has_val else []

    def test_dataloader(self) -> Loader:
        """Returns test batches in row order."""
        return self._evaluation_loader("test")

    predict_dataloader = test_dataloader

    def state_dict(self) -> dict[str, Any]:
        """Returns fingerprints, statistics and the state of ``inputs`` as plain values and tensors."""
        if self.statistics is None:
            return {}
        target_statistics = self.target_statistics and dict(self.target_statistics.state_dict())
        learned = {"statistics": dict(self.statistics.state_dict()), "target_statistics": target_statistics}
        names = {"class_names": list(self.class_names), "target_names": list(self.target_names)}
        return {"fingerprints": self.fingerprints(), **learned, "inputs": self.inputs.state_dict(), **names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Replaces the statistics by those of a checkpoint; raises ``DataError`` if it was trained on other data."""
        if not state_dict:
            return
        for name, other in {"data": "other data", "split": "another split"}.items():
            if self.fingerprints()[name] != state_dict["fingerprints"][name]:
                raise DataError(f"the checkpoint was trained on {other} than what {type(self).__name__} reads now")
        statistics = restore(state_dict["statistics"])
        if isinstance(statistics, SeriesNormalization) != (self.normalize == "series"):
            raise DataError(
                f"the checkpoint was trained with{'out' * (self.normalize == 'series')} --data.normalize series, which "
                "changes the channels of the network; resume with the same normalization or train anew"
            )
        self.statistics = statistics
        if state_dict["target_statistics"]:
            self.target_statistics = Statistics(**state_dict["target_statistics"])

    def _evaluation_loader(self, split: str) -> Loader:
        size = rows_at_once(self.input_shape, self.modality, device_of(self.trainer))  # for speed, changes no result
        return self._loader(split, max(self.batch_size, size))

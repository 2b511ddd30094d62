"""Data sets whose rows are in memory: rows, split, statistics and loaders."""

from abc import abstractmethod
from dataclasses import replace
from functools import cached_property
from typing import Any

import polars
import torch
from torch import Tensor

from datamodules.base import DataModule
from datamodules.errors import DataError
from datamodules.inspection.summary_columns import InspectionSample, array_features
from datamodules.loading.base_loader import Batch, Loader
from datamodules.loading.device_placement import DeviceOption, placed
from datamodules.loading.global_batch import device_of, order_options
from datamodules.loading.tensor_loader import TensorLoader
from datamodules.preprocessing.array_inputs import ArrayInputs
from datamodules.preprocessing.id_column import check_id
from datamodules.preprocessing.normalization import Unchanged, fit, learn
from datamodules.preprocessing.normalizer import Normalizer
from datamodules.preprocessing.series_normalization import standard_deviations
from datamodules.raw_data import Rows, digest, evenly_spaced, first_copies
from datamodules.splitting.split_options import Duplicates, Labels, Splittable, split_data
from datamodules.splitting.splits import Split
from datamodules.splitting.train_fraction import Strata, divide_train, fraction_note, undivided
from datamodules.tables.targets import task_note
from datamodules.types import Sampler


class InMemoryData(DataModule):
    """Base class of data sets in memory, bundled ones and a user's own: ``load`` returns the rows.

    Args:
        stratify: Give each split its fraction of each class; by default for tasks with one class a row.
        time: Column by whose order train comes before val before test; no input.
        duplicates: Keep exact copies of a row in one split, drop all but the first, or ignore that they are copies.
        sampler: Take the train rows in a new order each epoch, or draw as many rows with every class equally often:
            rows of a rare class are repeated, those of a frequent class alternate over the epochs.
        id: Column that names rows in predictions; no input.
        device: Keep the rows on the device that trains if it is a CUDA device with enough memory, or in the computer's
            memory, from where batches are copied during training.
        kwargs: Options of every data set, see ``DataModule``.
    """

    task_is_declared = False
    """Whether the files declare the task, as the header of a .ts file does."""

    def __init__(
        self,
        stratify: bool | None = None,
        time: str | None = None,
        duplicates: Duplicates = "keep-together",
        sampler: Sampler = "shuffle",
        device: DeviceOption = "auto",
        id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.split_settings = replace(self.split_settings, time=time, duplicates=duplicates)
        if stratify and time:
            raise DataError("a split by time cannot be stratified; leave --data.stratify out")
        self.stratify, self.sampler, self.device, self.id_column = stratify, sampler, device, id
        self._copies: int | None = None

    @abstractmethod
    def load(self) -> Rows:
        """Reads every row, in an order that never changes."""

    @cached_property
    def rows(self) -> Rows:
        """Every row, read once and checked."""
        rows = self.load()
        self._check(rows)
        if self.id_column is not None:
            self._check_id(self.id_column, rows)
        return rows

    def split_now(self) -> Split:
        """Returns the split; a constructor calls it if the attributes of the data set depend on the train rows."""
        if self.split is None:
            rows, settings = self._splittable(), self.split_settings
            whole, notes = split_data(rows, settings)
            strata = Strata(self.task, self.class_names, self.stratify is not False)
            self.split, self.left_out = divide_train(whole, rows, strata, settings)
            inferred = not self.task_is_declared and self.hparams.get("task", self.task) is None
            note = task_note(self.task, self.rows.y, self.target_names) if inferred else ""
            self.notes = (*self.notes, *([note] if note else []), *notes, *fraction_note(settings.train_fraction))
        return self.split

    def part_rows(self) -> dict[str, int]:
        """Returns the number of rows of each split."""
        return {name: len(index) for name, index in self.split_now()._asdict().items()}

    def targets(self, index: Tensor) -> Tensor:
        """Returns the targets of rows, by their ids."""
        return self.rows.y[index]

    def class_counts(self) -> Tensor | None:
        """Returns train rows of each class (K,), or without and with each label (L, 2); None for regression."""
        if self.task == "regression":
            return None
        y = self.targets(self.split_now().train).long()
        if self.num_classes is not None:
            return torch.bincount(y, minlength=self.num_classes)
        return torch.stack([len(y) - y.sum(dim=0), y.sum(dim=0)], dim=1)

    def features(self) -> polars.DataFrame:
        """Returns summary columns of all rows: one number for each aspect of a row, or the columns of a table."""
        return array_features(self.rows.x, self.rows.lengths)

    def series_scales(self) -> Tensor | None:
        """Returns the standard deviation (N, C) of each channel of at most 10,000 train series."""
        train, lengths = evenly_spaced(self.split_now().train, 10_000), self.rows.lengths
        return standard_deviations(self._inputs(train), None if lengths is None else lengths[train])

    def inspection_sample(self) -> InspectionSample:
        """Returns all rows."""
        split, about = self.split_now(), polars.DataFrame() if self.rows.about is None else self.rows.about
        if self._copies is None:  # the split is that of a checkpoint
            self._find_copies()
        return InspectionSample(split, self.features(), self.rows.y, about, self._copies, self.raw)

    def raw(self, index: Tensor) -> polars.DataFrame | polars.Series | list[Tensor]:
        """Returns rows, by their ids, before normalization; series have no padding."""
        x, lengths = self._inputs(index), self.rows.lengths
        if x.dim() == 2:
            return self.features()[index.numpy()]
        return list(x) if lengths is None else [row[:, :steps] for row, steps in zip(x, lengths[index], strict=True)]

    def part(self, name: str) -> Batch:
        """Returns the normalized rows of a split: ``x``, ``y``, row ids ``row``, and ``lengths`` of padded rows."""
        if self.split is None or self.statistics is None:
            raise RuntimeError("call setup() before asking for rows")
        index: Tensor = getattr(self.split, name)
        return {**self._tensors(index), "y": self.rows.y.index_select(0, index), "row": index}

    def id_columns(self, index: Tensor) -> polars.DataFrame:
        """Returns the column of ``--data.id`` of rows, by their ids; no column without the option."""
        if self.id_column is None or self.rows.about is None:
            return polars.DataFrame()
        return self.rows.about.select(self.id_column)[index.numpy()]

    def unprepared(self, index: Tensor) -> dict[str, Tensor]:
        """Returns the input tensors of rows, by their ids, before normalization."""
        return self._array_tensors(index, Unchanged())

    def train_batches(self) -> int:
        """Returns the number of train batches; rows are prepared for it only if a subclass changes their number."""
        if any(getattr(type(self), name) is not getattr(InMemoryData, name) for name in ("train_dataloader", "part")):
            return len(self.train_dataloader())
        rows, options = {"row": self.split_now().train}, order_options(self.trainer, shuffle=True)
        return len(TensorLoader(rows, self.batch_size, **options))

    def fingerprints(self) -> dict[str, str]:
        """Returns SHA-256 of the rows, and of the split with the train rows that a fraction leaves out."""
        if self.split is None:
            raise RuntimeError("call setup() before asking for fingerprints")
        return {"data": self._digest, "split": digest(*undivided(self.split, self.left_out))}

    def state_dict(self) -> dict[str, Any]:
        """Returns the split, the statistics and the state of ``inputs``."""
        state = super().state_dict()
        left_out = {"left_out": self.left_out} if len(self.left_out) else {}
        return {**state, "split": self.split_now()._asdict(), **left_out} if state else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Replaces split and statistics by those of a checkpoint."""
        own = self.split, self.left_out
        if state_dict:
            self.split, self.left_out = Split(**state_dict["split"]), state_dict.get("left_out", torch.empty(0).long())
        try:
            super().load_state_dict(state_dict)
        except DataError:
            self.split, self.left_out = own
            raise

    def _sliced(self, split: str) -> Batch:
        """Returns the tensors that a loader slices; the transform adds the others."""
        return self.part(split)

    def _inputs(self, index: Tensor) -> Tensor:
        """Returns the inputs of rows, by their ids, before normalization."""
        return self.rows.x.index_select(0, index)

    def _learn_statistics(self) -> None:
        self.statistics = self._learn(train := self.split_now().train)
        if self.task == "regression":
            target = self.rows.y[train].double()
            self.target_statistics = fit(target.view(len(target), -1), "standard")

    def _learn(self, train: Tensor) -> Normalizer:
        """Returns the normalizer of the inputs, learned on the train rows."""
        lengths = self.rows.lengths
        return learn(self._inputs(train), self.normalize, None if lengths is None else lengths[train])

    def _tensors(self, index: Tensor) -> dict[str, Tensor]:
        """Returns the model's inputs of rows, by their ids."""
        assert self.statistics is not None
        return self._array_tensors(index, self.statistics)

    def _array_tensors(self, index: Tensor, normalizer: Normalizer) -> dict[str, Tensor]:
        lengths = self.rows.lengths
        inputs = ArrayInputs(normalizer, self.raw_shape)
        return inputs.tensors(self._inputs(index), None if lengths is None else lengths[index])

    @cached_property
    def _digest(self) -> str:
        return self._data_digest()  # a pass over all rows, and every checkpoint contains it

    def _data_digest(self) -> str:
        return digest(*self.rows.tensors())

    def _labels(self, y: Tensor) -> Labels | None:
        """Returns the classes of a split by class, where time does not decide it; None for another split."""
        stratify = self.num_classes is not None if self.stratify is None else self.stratify
        if stratify and self.num_classes is None:
            raise DataError(f"stratify needs one class a row, and the task is {self.task}; set --data.stratify false")
        return Labels(y, self.class_names) if stratify else None

    def _splittable(self) -> Splittable:
        rows = self.rows
        return Splittable(self._find_copies(), self._labels(rows.y), rows.about, rows.val, rows.test, rows.y)

    def _find_copies(self) -> Tensor:
        first = self._first_copies()
        self._copies = int((first != torch.arange(len(first))).sum())
        return first

    def _first_copies(self) -> Tensor:
        return first_copies(*self.rows.tensors())

    def _check_id(self, name: str, rows: Rows) -> None:
        check_id(name, polars.DataFrame() if rows.about is None else rows.about)

    def _check(self, rows: Rows) -> None:
        rows.check(type(self).__name__, self.num_classes)

    def _loader(self, split: str, batch_size: int, shuffle: bool = False) -> Loader:
        balance = self.targets(self.split_now().train) if shuffle and self.sampler == "balanced" else None
        if balance is not None and self.num_classes is None:
            raise DataError(f"a balanced sampler needs one class a row, and the task is {self.task}; use shuffle")
        tensors, transform, device = self._sliced(split), self.transform(split), device_of(self.trainer)
        if transform is None or getattr(transform, "device", torch.device("cpu")) == device:
            tensors = placed(tensors, self.device, device)
        options = order_options(self.trainer, shuffle)
        loader = TensorLoader(tensors, batch_size, balance=balance, transform=transform, **options)
        loader.device = device
        return loader

"""The LightningDataModule that every data set stands on: load, split, normalize, batch."""

from abc import abstractmethod
from functools import cached_property
from typing import Any, Literal

import polars
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from datamodules.errors import DataError
from datamodules.inspection.summary_columns import array_features
from datamodules.loading.base_loader import Batches, Transform
from datamodules.loading.device_placement import Place, placed
from datamodules.loading.evaluation_batch_size import rows_at_once
from datamodules.loading.global_batch import accumulated_by, check_batch, check_processes, device_of, process_of
from datamodules.loading.tensor_loader import TensorLoader
from datamodules.preprocessing.array_inputs import ArrayInputs
from datamodules.preprocessing.inputs import Inputs
from datamodules.preprocessing.normalization import Method, Normalizer, Statistics, Unchanged, fit, learn, restore
from datamodules.raw_data import Rows, digest, first_copies
from datamodules.splitting.split_options import Duplicates, Labels, SplitSettings, Splittable, split_data
from datamodules.splitting.splits import Split, check_ratios
from datamodules.types import Modality, TaskName

Sampler = Literal["shuffle", "balanced"]


class DataModule(LightningDataModule):
    """A data set: a subclass sets the facts in its constructor and gives the rows in ``load``.

    The facts are ``task``, ``modality``, ``input_shape``, ``num_outputs`` and, for a table's categorical columns,
    ``cardinalities``, for text ``vocab_size``, which the command line passes on to the model; ``class_names`` where
    there are classes, and ``target_names`` where targets have names. ``notes`` are sentences worth knowing about the
    data, which a run records.

    Args:
        batch_size: Rows of an optimizer's step, over all devices and accumulated gradients together; where a
            ``GradientAccumulationScheduler`` accumulates, of each of the steps that it takes together.
        ratios: Shares of train, val and test. With a test part that the data set comes with, the first two keep
            their proportion. That of val may be 0: then no row validates, and the epoch of the lowest train loss is
            kept.
        stratify: Give each part its share of each class; for the tasks with one class a row where it is left out.
        split_seed: Seed of the split, independent of the training seed.
        group: Column whose equal values stay in one part; no input.
        time: Column by whose order train comes before val before test; no input.
        split_column: Column that says train, val or test; no input. Without a val row, train rows are dealt out.
        folds: Make one of so many folds the test part, and deal the rest to train and val in their proportion.
        fold: Which one, from 0.
        duplicates: Keep exact copies of a row in one part, drop all but the first, or ignore that they are copies.
        sampler: Go through the train rows in a new order each epoch, or draw as many rows with every class equally
            often: rows of a rare class come again, those of a common one take turns over the epochs.
        normalize: What is done to each feature, with statistics of the train rows.
        device: Keep the rows on the device that trains, where it is a CUDA device with room for them, or in the
            computer's memory, from where batches are copied while others are trained on.

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
    target_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        batch_size: int = 100,
        ratios: tuple[float, float, float] = (0.7, 0.15, 0.15),
        stratify: bool | None = None,
        split_seed: int = 0,
        group: str | None = None,
        time: str | None = None,
        split_column: str | None = None,
        folds: int | None = None,
        fold: int = 0,
        duplicates: Duplicates = "keep-together",
        sampler: Sampler = "shuffle",
        normalize: Method = "standard",
        device: Place = "auto",
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        if batch_size < 1:
            raise DataError(f"batch_size must be at least 1, and it is {batch_size}")
        check_ratios(ratios)
        self.batch_size = batch_size
        self.split_settings = SplitSettings(ratios, split_seed, group, time, split_column, folds, fold, duplicates)
        self.stratify = stratify
        if stratify and (group or time):
            raise DataError("a split by group or by time cannot be stratified; leave --data.stratify out")
        self.sampler = sampler
        self.normalize = normalize
        self.device = device
        self.split: Split | None = None
        self.statistics: Normalizer | None = None
        self.target_statistics: Statistics | None = None
        self._rows: Rows | None = None
        self._copies: int | None = None

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
        if stage == "fit":
            check_batch(self.batch_size, process_of(self.trainer)[1], accumulated_by(self.trainer))
        self.split_now()
        assert self.split is not None
        check_processes(len(self.split.train), process_of(self.trainer)[1])
        if self.statistics is None:
            self.statistics = self._learn(self.split.train)
            if self.task == "regression":
                target = self.rows.y[self.split.train].double()
                self.target_statistics = fit(target.view(len(target), -1), "standard")

    def split_now(self) -> Split:
        """The split, made where there is none yet; a constructor calls it whose facts depend on the train rows."""
        if self.split is None:
            self.split, notes = split_data(self._splittable(), self.split_settings)
            self.notes = (*self.notes, *notes)
        return self.split

    def part_rows(self) -> dict[str, int]:
        """Number of rows of each part."""
        return {part: len(index) for part, index in self.split_now()._asdict().items()}

    @property
    def has_val(self) -> bool:
        """Whether there are rows to validate on."""
        return self.split_settings.ratios[1] > 0 or self.part_rows()["val"] > 0

    @property
    def num_classes(self) -> int | None:
        """How many classes there are where a row has one, else None."""
        return {"binary": 2, "multiclass": self.num_outputs}.get(self.task)

    def targets(self, index: Tensor) -> Tensor:
        """The targets of some rows, by their numbers."""
        return self.rows.y[index]

    def class_counts(self) -> Tensor | None:
        """Train rows of each class (K,), or without and with each label (L, 2); None for regression."""
        y = self.targets(self.split_now().train).long()
        if self.num_classes is not None:
            return torch.bincount(y, minlength=self.num_classes)
        if self.task == "multilabel":
            return torch.stack([len(y) - y.sum(dim=0), y.sum(dim=0)], dim=1)
        return None

    def features(self) -> polars.DataFrame:
        """Columns to look at, a row for each row: what can be said of one in a number; of a table its columns."""
        return array_features(self.rows.x, self.rows.lengths)

    def raw(self, index: Tensor) -> polars.DataFrame | polars.Series | list[Tensor]:
        """Some rows as a person can look at them, ahead of normalization, by their numbers.

        A frame of a table's columns, a column of texts, series (C, T) without their padding, or images (C, H, W).
        """
        x, lengths = self._inputs(index), self.rows.lengths
        if x.dim() == 2:
            return self.features()[index.numpy()]
        return list(x) if lengths is None else [row[:, :steps] for row, steps in zip(x, lengths[index], strict=True)]

    def about(self) -> polars.DataFrame:
        """Columns that the split may go by, none or a row for each row."""
        return polars.DataFrame() if self.rows.about is None else self.rows.about

    def duplicates(self) -> int | None:
        """How many rows are an exact copy of an earlier one; None where nobody looked."""
        if self._copies is None:
            self._find_copies()
        return self._copies

    def train_dataloader(self) -> Batches:
        """Shuffled train rows; the order is a function of the training seed and the epoch."""
        return self._loader_of("train", self.batch_size, balance=self._balance(), **self._train_settings())

    def train_batches(self) -> int:
        """How many batches that loader has; where it is this class's and of its rows, without preparing them for it."""
        own = any(getattr(type(self), name) is not getattr(DataModule, name) for name in ("train_dataloader", "part"))
        if own:
            return len(self.train_dataloader())
        rows = {"row": self.split_now().train}
        return len(TensorLoader(rows, self.batch_size, **self._train_settings()))

    def val_dataloader(self) -> Batches | list[Batches]:
        """Validation rows in order; no loader where there are none."""
        return self._evaluation_loader("val") if self.has_val else []

    def test_dataloader(self) -> Batches:
        """Test rows in order."""
        return self._evaluation_loader("test")

    def predict_dataloader(self) -> Batches:
        """Test rows in order."""
        return self._evaluation_loader("test")

    def part(self, name: str) -> dict[str, Tensor]:
        """The normalized rows of train, val or test: ``x``, ``y``, the ids ``row``, and ``lengths`` of padded ones."""
        if self.split is None or self.statistics is None:
            raise RuntimeError("call setup() before asking for rows")
        index: Tensor = getattr(self.split, name)
        return {**self._tensors(index), "y": self.rows.y.index_select(0, index), "row": index}

    def unprepared(self, index: Tensor) -> dict[str, Tensor]:
        """What an exported model is given of some rows, by their numbers: ``inputs.unprepared()``'s tensors."""
        lengths = self.rows.lengths
        of_rows = None if lengths is None else lengths[index]
        return ArrayInputs(Unchanged(), self.input_shape).tensors(self._inputs(index), of_rows)

    @property
    def inputs(self) -> Inputs:
        """What turns raw rows into the model's inputs, once ``setup()`` was called; a checkpoint has it too."""
        assert self.statistics is not None
        return ArrayInputs(self.statistics, self.input_shape)

    def transform(self, part: str) -> Transform | None:
        """What is done to each batch of train, val or test besides; nothing unless a subclass says so."""
        return None

    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of the rows, and of the split: runs are comparable where both are equal."""
        if self.split is None:
            raise RuntimeError("call setup() before asking for fingerprints")
        return {"data": self._digest, "split": digest(*self.split)}

    def state_dict(self) -> dict[str, Any]:
        """The split, the statistics, and what predicting needs besides, as plain values and tensors."""
        if self.split is None or self.statistics is None:
            return {}
        return {
            "fingerprints": self.fingerprints(),
            "split": self.split._asdict(),
            "statistics": dict(self.statistics.state_dict()),
            "target_statistics": self.target_statistics and dict(self.target_statistics.state_dict()),
            **self.for_prediction(),
        }

    def for_prediction(self) -> dict[str, Any]:
        """What a checkpoint needs besides the statistics, as plain values, so that raw rows can be predicted."""
        names = {"class_names": list(self.class_names), "target_names": list(self.target_names)}
        return {"inputs": self.inputs.state_dict(), **names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take a checkpoint's split and statistics instead of one's own.

        Raises:
            DataError: Where the checkpoint was trained on other data.
        """
        if not state_dict:
            return
        if self._digest != state_dict["fingerprints"]["data"]:
            raise DataError(f"the checkpoint was trained on other data than what {type(self).__name__} reads now")
        self.split = Split(**state_dict["split"])
        self.statistics = restore(state_dict["statistics"])
        if state_dict["target_statistics"]:
            self.target_statistics = Statistics(**state_dict["target_statistics"])

    def _sliced(self, part: str) -> dict[str, Tensor]:
        """What a loader slices its batches from; the transform adds what is missing."""
        return self.part(part)

    def _inputs(self, index: Tensor) -> Tensor:
        """The inputs of some rows ahead of their normalization."""
        return self.rows.x.index_select(0, index)

    def _learn(self, train: Tensor) -> Normalizer:
        """What normalizes the inputs, of train rows alone."""
        lengths = self.rows.lengths
        return learn(self._inputs(train), self.normalize, None if lengths is None else lengths[train])

    def _tensors(self, index: Tensor) -> dict[str, Tensor]:
        """What a model is given of some rows, by ``inputs``."""
        assert self.statistics is not None
        lengths = self.rows.lengths
        of_rows = None if lengths is None else lengths[index]
        return ArrayInputs(self.statistics, self.input_shape).tensors(self._inputs(index), of_rows)

    @cached_property
    def _digest(self) -> str:
        """Computed once: every checkpoint has it, and it takes a pass over all rows."""
        return self._data_digest()

    def _data_digest(self) -> str:
        return digest(*self.rows.tensors())

    def _stratifies(self) -> bool:
        """Whether the split goes by class, as far as groups or times leave it to."""
        stratify = self.num_classes is not None if self.stratify is None else self.stratify
        if stratify and self.num_classes is None:
            raise DataError(f"stratify needs one class a row, and the task is {self.task}; set --data.stratify false")
        return stratify

    def _splittable(self) -> Splittable:
        rows = self.rows
        labels = Labels(rows.y, self.class_names) if self._stratifies() else None
        return Splittable(self._find_copies(), labels, rows.about, rows.val, rows.test)

    def _find_copies(self) -> Tensor:
        first = self._first_copies()
        self._copies = int((first != torch.arange(len(first))).sum())
        return first

    def _first_copies(self) -> Tensor:
        return first_copies(*self.rows.tensors())

    def _check(self, rows: Rows) -> None:
        rows.check(type(self).__name__, self.num_classes)

    def _balance(self) -> Tensor | None:
        if self.sampler == "shuffle":
            return None
        if self.num_classes is None:
            raise DataError(f"a balanced sampler needs one class a row, and the task is {self.task}; use shuffle")
        return self.targets(self.split_now().train)

    def _train_settings(self) -> dict[str, Any]:
        """Settings of the loader of the train rows."""
        rank, world_size = process_of(self.trainer)
        settings = {"shuffle": True, "seed": torch.initial_seed(), "rank": rank, "world_size": world_size}
        return {**settings, "accumulate": accumulated_by(self.trainer)}

    def _evaluation_loader(self, name: str) -> Batches:
        # Nothing is learned from these batches, so their size is chosen for speed, not for the result.
        rank, world_size = process_of(self.trainer)
        size = max(self.batch_size, rows_at_once(self.input_shape, self.modality, device_of(self.trainer)))
        return self._loader_of(name, size, rank=rank, world_size=world_size)

    def _loader_of(self, part: str, batch_size: int, **settings: Any) -> TensorLoader:
        """Batches of a part, from where its rows are placed."""
        tensors, transform, device = self._sliced(part), self.transform(part), device_of(self.trainer)
        if transform is None or getattr(transform, "device", torch.device("cpu")) == device:
            tensors = placed(tensors, self.device, device)
        loader = TensorLoader(tensors, batch_size, transform=transform, **settings)
        loader.device = device
        return loader

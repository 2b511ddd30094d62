"""Data sets whose rows are on disk, with no more than a buffer of them in memory."""

from abc import abstractmethod
from functools import cached_property
from math import prod
from typing import Any

import numpy
import polars
import torch
from torch import Tensor

from datamodules.base import DataModule
from datamodules.errors import DataError
from datamodules.inspection.summary_columns import InspectionSample, array_features
from datamodules.loading.base_loader import Batch, Loader
from datamodules.loading.block_loader import BlockLoader
from datamodules.loading.device_placement import DeviceOption
from datamodules.loading.global_batch import device_of, order_options
from datamodules.preprocessing.normalization import Statistics, Unchanged, positive_scale
from datamodules.splitting.split_options import Duplicates
from datamodules.splitting.splits import PARTS, Split
from datamodules.splitting.train_fraction import fraction_note
from datamodules.streaming.hash_split import HashSplit, sampled
from datamodules.streaming.npy_file import DiskArray
from datamodules.streaming.partitioned_rows import PartitionedRows, SplitBlocks, SplitCounts, count
from datamodules.streaming.streaming_statistics import RunningStatistics, floating, normalizer
from datamodules.tables.targets import check_train_counts
from datamodules.types import Sampler

SAMPLE_ROWS = 10_000
"""About so many rows are inspected."""


class StreamData(DataModule):
    """Rows in arrays on disk, which a subclass passes to ``take`` in its constructor.

    Memory is bounded whatever the number of rows: the interpreter, the shuffle buffer, and in evaluation the
    predictions of all evaluated rows, since metrics are exact. The split of a row is computed from its number, group,
    split column or file, and not stored. Exact copies of rows are not counted.

    Statistics are learned in one pass over the train rows, medians and quantiles from a sample of up to 65,536 rows.

    Args:
        buffer_mib: Size of the shuffle buffer in MiB; a larger one shuffles better, see ``BlockLoader``.
        stratify: Not for streamed rows, which are split one by one; true is refused.
        time: Not for streamed rows, which cannot be sorted; a column is refused.
        duplicates: No effect, as copies are not looked for; drop is refused.
        sampler: Only shuffle.
        device: No effect: rows stay on disk.
        kwargs: Options of every data set, see ``DataModule``.

    Raises:
        DataError: For options that cannot be used.
    """

    def __init__(
        self,
        buffer_mib: int = 32,
        stratify: bool | None = None,
        time: str | None = None,
        duplicates: Duplicates = "keep-together",
        sampler: Sampler = "shuffle",
        device: DeviceOption = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for is_wrong, message in (
            (buffer_mib < 1, f"buffer_mib must be at least 1, and it is {buffer_mib}"),
            (time is not None, "streamed rows cannot be split by time; name a column of train, val and test instead"),
            (stratify, "streamed rows are split one by one and cannot be stratified; leave --data.stratify out"),
            (duplicates == "drop", "copies of streamed rows are not looked for; leave --data.duplicates drop out"),
            (sampler != "shuffle", "streamed rows are read in blocks; leave --data.sampler out"),
        ):
            if is_wrong:
                raise DataError(message)
        self.buffer_mib = buffer_mib
        self.sizes: list[int] = []
        self.partitioned: PartitionedRows
        self._counts: SplitCounts
        self._digest: str

    def take(self, arrays: dict[str, DiskArray], split: HashSplit, digest: str) -> None:
        """Splits the rows of ``x``, ``y`` and other arrays with a SHA-256 digest; sets what depends on the split.

        Task, shape, outputs and class names must be set before.
        """
        self.partitioned = rows = PartitionedRows(arrays, split)
        self._digest = digest
        self._buffer_rows = max(1, (self.buffer_mib << 20) // rows.row_bytes)
        self._counts = count(rows, len(self.class_names))
        counts, train_fraction = self.part_rows(), self.split_settings.train_fraction
        for name, number in counts.items():
            if not number and (name != "val" or self.split_settings.ratios[1] > 0):
                larger = "take a larger --data.train_fraction, " if name == "train" and train_fraction < 1 else ""
                reason = f"none of the {len(rows):,} rows is in the {name} part"
                raise DataError(f"{reason}; {larger}change the split or add rows")
        is_multilabel = self.task == "multilabel"
        check_train_counts(self.class_names, self._counts.classes, counts["train"], is_multilabel, train_fraction)
        shape = " x ".join(map(str, self.raw_shape))
        fraction = min(1.0, self._buffer_rows / counts["train"])
        self.notes = (
            *self.notes,
            f"streamed: {len(rows):,} rows of {shape}, {fraction:.1%} of the train rows shuffled at a time, in "
            f"blocks of {rows.block_rows:,}; exact copies were not looked for",
            *fraction_note(train_fraction),
        )

    def set_statistics(self, learned: RunningStatistics) -> None:
        """Sets the statistics, and in a subclass what ``finish`` needs, from a pass over the train rows."""
        moments = learned.inputs.over(self.raw_shape[0])
        self.statistics = normalizer(moments, lambda: floating(learned.sample["x"]), self.normalize)

    def part_rows(self) -> dict[str, int]:
        """Returns the number of rows of each split."""
        return dict(zip(PARTS, self._counts.blocks.sum(dim=1).tolist(), strict=True))

    @abstractmethod
    def finish(self, rows: Batch) -> Batch:
        """Converts rows as they are on disk into a batch of the model's inputs."""

    def part(self, name: str) -> Batch:
        """Returns all rows of a split in memory, for small data."""
        batches = list(self._loader(name, 1024))
        return {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}

    def train_batches(self) -> int:
        """Returns the number of train batches."""
        return len(self.train_dataloader())

    def fingerprints(self) -> dict[str, str]:
        """Returns SHA-256 of the content of the rows, and of the split of each."""
        return {"data": self._digest, "split": self._counts.digest}

    def class_counts(self) -> Tensor | None:
        """Returns train rows of each class (K,), or without and with each label (L, 2); None for regression."""
        if self.task == "multilabel":
            positive = self._counts.classes
            return torch.stack([self.part_rows()["train"] - positive, positive], dim=1)
        return None if self.task == "regression" else self._counts.classes

    def raw(self, index: Tensor) -> polars.DataFrame | list[Tensor]:
        """Returns rows, by their ids, before normalization."""
        rows = self.partitioned.at(index)
        return self.frame(rows) if rows["x"].dim() == 2 else list(rows["x"])

    def unprepared(self, index: Tensor) -> dict[str, Tensor]:
        """Returns the input tensors of rows, by their ids, before normalization."""
        return {"x": Unchanged()(self.partitioned.at(index)["x"])}

    def frame(self, rows: Batch) -> polars.DataFrame:
        """Returns summary columns of rows as they are on disk."""
        return array_features(rows["x"].double())

    def inspection_sample(self) -> InspectionSample:
        """Returns a random sample of about 10,000 rows, without the columns that are no inputs."""
        return self._sample

    @cached_property
    def _sample(self) -> InspectionSample:
        rows = self.partitioned
        fraction, drawn, splits = min(1.0, SAMPLE_ROWS / len(rows)), [], []
        for start, piece in rows.scan():
            stop = start + len(piece["row"])
            positions = torch.from_numpy(numpy.flatnonzero(sampled(start, stop, fraction)))
            drawn.append({name: column[positions] for name, column in piece.items()})
            splits.append(rows.split.indices(start, stop)[positions])
        if fraction < 1:
            self.notes = (*self.notes, f"a look at the data is one at a sample of 1 row in {1 / fraction:,.1f}")
        sample = {name: torch.cat([piece[name] for piece in drawn]) for name in drawn[0]}
        split_of = torch.cat(splits)
        split = Split(*((split_of == number).nonzero().flatten() for number in range(len(PARTS))))
        frame, x = self.frame(sample), sample["x"]
        raw = (lambda index: frame[index.numpy()]) if x.dim() == 2 else (lambda index: list(x[index]))
        return InspectionSample(
            split, frame, sample["y"], polars.DataFrame(), None, raw, sample["row"] if fraction < 1 else None
        )

    def _learn_statistics(self) -> None:
        outputs = self.num_outputs if self.task == "regression" else 0
        train_rows, width = self.part_rows()["train"], prod(self.raw_shape)
        learned = RunningStatistics(self.partitioned, train_rows, width, outputs, self.sizes)
        if self.task == "regression":
            target = learned.target
            self.target_statistics = Statistics(target.mean, positive_scale(target.std, target.low, target.high))
        self.set_statistics(learned)

    def _loader(self, split: str, batch_size: int, shuffle: bool = False) -> Loader:
        number = PARTS.index(split)
        blocks = SplitBlocks(self.partitioned, number, self._counts.blocks[number], self.finish)
        buffer_rows = self._buffer_rows if shuffle else self.partitioned.block_rows
        options = order_options(self.trainer, shuffle)
        transform = self.transform(split)
        loader = BlockLoader(blocks, buffer_rows, batch_size=batch_size, transform=transform, **options)
        loader.device = device_of(self.trainer)
        return loader

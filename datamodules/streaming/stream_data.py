"""The data module of rows on disk, of which never more than a buffer is in memory."""

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
from datamodules.inspection.summary_columns import array_features
from datamodules.loading.base_loader import Batch, Batches
from datamodules.loading.block_loader import BlockLoader
from datamodules.loading.evaluation_batch_size import rows_at_once
from datamodules.loading.global_batch import accumulated_by, check_batch, check_processes, device_of, process_of
from datamodules.preprocessing.normalization import Statistics, Unchanged, restore
from datamodules.raw_data import Rows
from datamodules.splitting.splits import PARTS, Split
from datamodules.streaming.hash_split import Dealing, sampled
from datamodules.streaming.npy_file import DiskArray
from datamodules.streaming.partitioned_rows import Counts, DealtRows, Part, check_counts, count
from datamodules.streaming.streaming_statistics import Learner, floating, learn_in_one_pass, normalizer

LOOK_ROWS = 10_000
"""A look at the data is one at about so many rows."""


def look(rows: DealtRows) -> tuple[Batch, list[str]]:
    """A sample of all rows, with the ``part`` of each, and a note where it is not all of them."""
    share, drawn = min(1.0, LOOK_ROWS / len(rows)), []
    for start, some in rows.scan():
        stop = start + len(some["row"])
        some["part"] = rows.dealing.parts(start, stop)
        mine = torch.from_numpy(numpy.flatnonzero(sampled(start, stop, share)))
        drawn.append({name: column[mine] for name, column in some.items()})
    notes = [f"a look at the data is one at a sample of 1 row in {1 / share:,.1f}"] if share < 1 else []
    return {name: torch.cat([one[name] for one in drawn]) for name in drawn[0]}, notes


class StreamData(DataModule):
    """Rows in arrays on disk, which a subclass gives to ``take`` in its constructor.

    Memory is bounded whatever the number of rows: the interpreter's own, the shuffle buffer, and for evaluation the
    predictions of all evaluated rows, since metrics are exact. Which part a row is in is computed from its number (or
    its group, or a column, or its file) and not stored. Exact copies of rows are not looked for.

    Statistics are learned in one pass over the train rows; medians and quantiles from a sample of up to 65,536 of them.

    Args:
        buffer_mib: Rows that are shuffled together, in MiB: the more, the better the shuffling, see ``BlockLoader``.
        kwargs: What every data module takes, see ``DataModule``. ``stratify``, ``time`` and a balanced sampler need all
            rows at once and are refused.

    Raises:
        DataError: For settings that cannot be used.
    """

    def __init__(self, buffer_mib: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if buffer_mib < 1:
            raise DataError(f"buffer_mib must be at least 1, and it is {buffer_mib}")
        if self.split_settings.time is not None:
            raise DataError("streamed rows cannot be split by time; name a column of train, val and test instead")
        if self.stratify:
            raise DataError("streamed rows are dealt one by one and cannot be stratified; leave --data.stratify out")
        if self.sampler != "shuffle":
            raise DataError("streamed rows are gone through in blocks; leave --data.sampler out")
        self.buffer_mib = buffer_mib
        self.sizes: list[int] = []
        self.dealt: DealtRows
        self._counts: Counts
        self._digest: str

    def take(self, arrays: dict[str, DiskArray], dealing: Dealing, digest: str) -> None:
        """Deal the rows out; the facts are known by now.

        Args:
            arrays: ``x``, ``y`` and what else a row has, each N rows.
            dealing: Which part each is in.
            digest: SHA-256 of what is in them.
        """
        self.dealt, self._digest = DealtRows(arrays, dealing), digest
        self._buffer_rows = max(1, (self.buffer_mib << 20) // self.dealt.row_bytes)
        self._counts = count(self.dealt, len(self.class_names))
        validates = self.split_settings.ratios[1] > 0
        check_counts(self._counts, self.class_names, self.task == "multilabel", validates)
        shape = " x ".join(map(str, self.input_shape))
        share = min(1.0, self._buffer_rows / self.part_rows()["train"])
        self.notes = (
            *self.notes,
            f"streamed: {len(self.dealt):,} rows of {shape}, {share:.1%} of the train rows shuffled at a time, in "
            f"blocks of {self.dealt.block_rows:,}; exact copies were not looked for",
        )

    @abstractmethod
    def encode(self, rows: Batch) -> Batch:
        """Rows as they are on disk, with ``x`` ahead of its normalization, none missing, and what else a batch has."""

    def take_over(self, learned: Learner) -> None:
        """Set the statistics, and what ``encode`` needs, to what was learned of the train rows."""
        moments = learned.inputs.over(self.input_shape[0])
        self.statistics = normalizer(moments, lambda: floating(learned.sample["x"]), self.normalize)

    def load(self) -> Rows:
        """Refuse: the rows are never in memory together."""
        raise DataError(f"{type(self).__name__} streams its rows, and something wants all of them in memory")

    def setup(self, stage: str) -> None:
        """Fit, once; what a checkpoint brought is kept."""
        if stage == "fit":
            check_batch(self.batch_size, process_of(self.trainer)[1], accumulated_by(self.trainer))
        check_processes(self.part_rows()["train"], process_of(self.trainer)[1])
        if self.statistics is None:
            self._learn_now()

    def part_rows(self) -> dict[str, int]:
        """Number of rows of each part."""
        return self._counts.parts()

    def finish(self, rows: Batch) -> Batch:
        """Rows as they are on disk -> what a model is given."""
        assert self.statistics is not None
        batch = self.encode(rows)
        return {**batch, "x": self.statistics(batch["x"])}

    def part(self, name: str) -> Batch:
        """All rows of train, val or test in memory, for looking at small data."""
        batches = list(self._loader(name, 1024))
        return {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}

    def train_dataloader(self) -> Batches:
        """Train rows, shuffled in blocks; the order is a function of the training seed and the epoch."""
        return self._loader("train", self.batch_size, shuffle=True, seed=torch.initial_seed())

    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of the content of the rows, and of the part of each."""
        return {"data": self._digest, "split": self._counts.digest}

    def state_dict(self) -> dict[str, Any]:
        """The statistics, what predicting needs besides, and fingerprints; the split follows from the settings."""
        if self.statistics is None:
            return {}
        return {
            "fingerprints": self.fingerprints(),
            "statistics": dict(self.statistics.state_dict()),
            "target_statistics": self.target_statistics and dict(self.target_statistics.state_dict()),
            **self.for_prediction(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take a checkpoint's statistics instead of one's own.

        Raises:
            DataError: Where the checkpoint was trained on other data, or on another split of them.
        """
        if not state_dict:
            return
        for what, own in self.fingerprints().items():
            if own != state_dict["fingerprints"][what]:
                other = "other data" if what == "data" else "another split"
                raise DataError(f"the checkpoint was trained on {other} than what {type(self).__name__} has now")
        self.statistics = restore(state_dict["statistics"])
        if state_dict["target_statistics"]:
            self.target_statistics = Statistics(**state_dict["target_statistics"])

    def split_now(self) -> Split:
        """The split of the sample that a look at the data gets instead of all rows."""
        return Split(*((self._looked_at["part"] == number).nonzero().flatten() for number in range(len(PARTS))))

    def targets(self, index: Tensor) -> Tensor:
        """The targets of rows of that sample."""
        return self._looked_at["y"][index]

    def class_counts(self) -> Tensor | None:
        """Train rows of each class (K,), or without and with each label (L, 2); None for regression."""
        if self.task == "multilabel":
            having = self._counts.classes
            return torch.stack([self.part_rows()["train"] - having, having], dim=1)
        return None if self.task == "regression" else self._counts.classes

    def features(self) -> polars.DataFrame:
        """Columns of that sample."""
        return self.frame(self._looked_at)

    def raw(self, index: Tensor) -> polars.DataFrame | list[Tensor]:
        """Some rows as a person can look at them, by their numbers."""
        rows = self.dealt.at(index)
        return self.frame(rows) if rows["x"].dim() == 2 else list(rows["x"])

    def unprepared(self, index: Tensor) -> dict[str, Tensor]:
        """Some rows ahead of their normalization, by their numbers."""
        return {"x": Unchanged()(self.dealt.at(index)["x"])}

    def frame(self, rows: Batch) -> polars.DataFrame:
        """Columns of rows as they are on disk."""
        return array_features(rows["x"].double())

    def about(self) -> polars.DataFrame:
        """Nothing: columns that are no inputs are not looked at."""
        return polars.DataFrame()

    def duplicates(self) -> int | None:
        """None: nobody looked."""
        return None

    @cached_property
    def _looked_at(self) -> Batch:
        """A sample of all rows, and the part of each."""
        sample, notes = look(self.dealt)
        self.notes = (*self.notes, *notes)
        return sample

    def _learn_now(self) -> None:
        targets = self.num_outputs if self.task == "regression" else 0
        learned = learn_in_one_pass(self.dealt, self.part_rows()["train"], prod(self.input_shape), targets, self.sizes)
        if self.task == "regression":
            target = normalizer(learned.target, lambda: torch.empty(0), "standard")
            assert isinstance(target, Statistics)
            self.target_statistics = target
        self.take_over(learned)

    def _loader(self, name: str, batch_size: int, shuffle: bool = False, seed: int = 0) -> Batches:
        number = PARTS.index(name)
        rank, world_size = process_of(self.trainer)
        part = Part(self.dealt, number, self._counts.blocks[number], self.finish)
        buffer = self._buffer_rows if shuffle else self.dealt.block_rows
        transform = self.transform(name)
        accumulate = accumulated_by(self.trainer) if shuffle else 1
        loader = BlockLoader(part, buffer, batch_size, shuffle, seed, rank, world_size, transform, accumulate)
        loader.device = device_of(self.trainer)
        return loader

    def _evaluation_loader(self, name: str) -> Batches:
        size = rows_at_once(self.input_shape, self.modality, device_of(self.trainer))
        return self._loader(name, max(self.batch_size, size))

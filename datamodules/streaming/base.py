"""The data module of rows on disk, of which never more than a buffer is in memory."""

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy
import polars
import torch
from torch import Tensor

from datamodules.base import DataModule, check_batch
from datamodules.errors import DataError
from datamodules.loaders import Batch, Batches
from datamodules.normalization import Statistics, Unchanged, restore
from datamodules.progress import progress
from datamodules.rows import Rows
from datamodules.splitting.splits import PARTS, Split
from datamodules.streaming.blocks import BlockLoader
from datamodules.streaming.dealing import TRAIN, Dealing, sampled
from datamodules.streaming.disk import DiskArray
from datamodules.streaming.learning import Learner, floating, normalizer

BLOCK_BYTES = 1 << 18
"""About so many bytes of consecutive rows are read at a time."""

PIECE_BLOCKS = 16
"""A pass over all rows takes so many blocks at a time."""

SAMPLE_ROWS, SAMPLE_BYTES = 65_536, 16 << 20
"""Medians and quantiles are those of a sample of about so many train rows, or bytes if those are less."""

LOOK_ROWS = 10_000
"""A look at the data is one at about so many rows."""


class Part(NamedTuple):
    """The rows of a part on disk, as a ``BlockLoader`` reads them."""

    data: "StreamData"
    number: int
    counts: Tensor

    def read(self, block: int) -> Batch:
        """A block's rows of the part."""
        rows = self.data.block_rows
        return self.data.read(block * rows, (block + 1) * rows, self.number)

    def finish(self, batch: Batch) -> Batch:
        """What a model is given of them."""
        return self.data.finish(batch)


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
        self.arrays: dict[str, DiskArray]
        self.dealing: Dealing
        self._digest: str

    def take(self, arrays: dict[str, DiskArray], dealing: Dealing, digest: str) -> None:
        """Deal the rows out; the facts are known by now.

        Args:
            arrays: ``x``, ``y`` and what else a row has, each N rows.
            dealing: Which part each is in.
            digest: SHA-256 of what is in them.
        """
        self.arrays, self.dealing, self._digest = arrays, dealing, digest
        row_bytes = sum(array.row_bytes for array in arrays.values()) + 8
        self.block_rows = max(1, BLOCK_BYTES // row_bytes)
        self._buffer_rows = max(1, (self.buffer_mib << 20) // row_bytes)
        counts, sha = [], hashlib.sha256()
        self._labels = torch.zeros(len(self.class_names), dtype=torch.int64)
        for start, stop in self._pieces():
            parts = dealing.parts(start, stop)
            if self.task != "regression":
                y = arrays["y"].read(start, stop)[parts == TRAIN]
                self._labels += y.sum(dim=0) if y.dim() > 1 else torch.bincount(y, minlength=len(self._labels))
            sha.update(parts.numpy().tobytes())
            blocks = torch.arange(len(parts)) // self.block_rows
            flat = torch.bincount(blocks * len(PARTS) + parts, minlength=(int(blocks[-1]) + 1) * len(PARTS))
            counts.append(flat.view(-1, len(PARTS)))
        self._counts = torch.cat(counts).T
        self._split_digest = sha.hexdigest()
        for part, rows in self.part_rows().items():
            if not rows and (part != "val" or self.split_settings.ratios[1]):
                raise DataError(
                    f"none of the {dealing.rows:,} rows is in the {part} part; change the split or add rows"
                )
        self._check_labels()
        shape = " x ".join(map(str, self.input_shape))
        share = min(1.0, self._buffer_rows / self.part_rows()["train"])
        self.notes = (
            *self.notes,
            f"streamed: {dealing.rows:,} rows of {shape}, {share:.1%} of the train rows shuffled at a time, in blocks "
            f"of {self.block_rows:,}; exact copies were not looked for",
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
            check_batch(self.batch_size, self._process()[1], self._accumulated())
        self._check_processes(self.part_rows()["train"])
        if self.statistics is None:
            self._learn_now()

    def part_rows(self) -> dict[str, int]:
        """Number of rows of each part."""
        return dict(zip(PARTS, self._counts.sum(dim=1).tolist(), strict=True))

    def read(self, start: int, stop: int, part: int) -> Batch:
        """The rows of a part from ``start`` to before ``stop``, as they are on disk, with their ids."""
        stop = min(stop, self.dealing.rows)
        rows = {name: array.read(start, stop) for name, array in self.arrays.items()}
        rows["row"] = torch.arange(start, stop)
        mine = (self.dealing.parts(start, stop) == part).nonzero().flatten()
        return {name: column[mine] for name, column in rows.items()}

    def scan(self, part: int | None = None) -> Iterator[tuple[int, Batch]]:
        """The rows of a part, or of all, a piece at a time with the number of its first row.

        A piece is overwritten by the next: what was freed between small things that stay would not be used again.
        """
        step = self.block_rows * PIECE_BLOCKS
        read, chosen = (
            {name: torch.empty(step, *array.shape[1:], dtype=array.dtype) for name, array in self.arrays.items()}
            for _ in range(2)
        )
        for start, stop in self._pieces():
            rows = {name: array.read(start, stop, read[name]) for name, array in self.arrays.items()}
            row = torch.arange(start, stop)
            if part is not None:
                mine = (self.dealing.parts(start, stop) == part).nonzero().flatten()
                row = row[mine]
                for name, column in rows.items():
                    rows[name] = torch.index_select(column, 0, mine, out=chosen[name][: len(mine)])
            yield start, {**rows, "row": row}

    def finish(self, rows: Batch) -> Batch:
        """Rows as they are on disk -> what a model is given."""
        assert self.statistics is not None
        batch = self.encode(rows)
        return {**batch, "x": self.statistics.apply(batch["x"])}

    def part(self, name: str) -> Batch:
        """All rows of train, val or test in memory, for looking at small data."""
        batches = list(self._loader(name, 1024))
        return {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}

    def train_dataloader(self) -> Batches:
        """Train rows, shuffled in blocks; the order is a function of the training seed and the epoch."""
        return self._loader("train", self.batch_size, shuffle=True, seed=torch.initial_seed())

    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of the content of the rows, and of the part of each."""
        return {"data": self._digest, "split": self._split_digest}

    def state_dict(self) -> dict[str, Any]:
        """The statistics, what predicting needs besides, and fingerprints; the split follows from the settings."""
        if self.statistics is None:
            return {}
        return {
            "fingerprints": self.fingerprints(),
            "statistics": self.statistics._asdict(),
            "target_statistics": self.target_statistics and self.target_statistics._asdict(),
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
            return torch.stack([self.part_rows()["train"] - self._labels, self._labels], dim=1)
        return None if self.task == "regression" else self._labels

    def features(self) -> polars.DataFrame:
        """Columns of that sample."""
        return self.frame(self._looked_at)

    def raw(self, index: Tensor) -> polars.DataFrame | list[Tensor]:
        """Some rows as a person can look at them, by their numbers."""
        rows = self._rows_at(index)
        return self.frame(rows) if rows["x"].dim() == 2 else list(rows["x"])

    def unprepared(self, index: Tensor) -> dict[str, Tensor]:
        """Some rows ahead of their normalization, by their numbers."""
        return {"x": Unchanged().apply(self._rows_at(index)["x"])}

    def frame(self, rows: Batch) -> polars.DataFrame:
        """Columns of rows as they are on disk."""
        x = rows["x"].double()
        each = x.flatten(2).mean(dim=2) if x.dim() > 2 else x
        name = "mean of channel" if x.dim() > 2 else "column"
        return polars.DataFrame({f"{name} {index}": values.numpy() for index, values in enumerate(each.T)})

    def about(self) -> polars.DataFrame:
        """Nothing: columns that are no inputs are not looked at."""
        return polars.DataFrame()

    def duplicates(self) -> int | None:
        """None: nobody looked."""
        return None

    @cached_property
    def _looked_at(self) -> Batch:
        """A sample of all rows, and the part of each."""
        share, drawn = min(1.0, LOOK_ROWS / self.dealing.rows), []
        for start, rows in self.scan():
            stop = start + len(rows["row"])
            rows["part"] = self.dealing.parts(start, stop)
            mine = torch.from_numpy(numpy.flatnonzero(sampled(start, stop, share)))
            drawn.append({name: column[mine] for name, column in rows.items()})
        if share < 1:
            self.notes = (*self.notes, f"a look at the data is one at a sample of 1 row in {1 / share:,.1f}")
        return {name: torch.cat([one[name] for one in drawn]) for name in drawn[0]}

    def _rows_at(self, index: Tensor) -> Batch:
        each = [{name: array.read(row, row + 1) for name, array in self.arrays.items()} for row in index.tolist()]
        return {name: torch.cat([one[name] for one in each]) for name in self.arrays} | {"row": index}

    def _learn_now(self) -> None:
        """Everything that is learned of train rows, in one pass over them."""
        share = self._sample_share(self.part_rows()["train"])
        features = int(numpy.prod(self.input_shape))
        learner = Learner(features, self.num_outputs if self.task == "regression" else 0, self.sizes, share)
        for start, rows in progress(self.scan(TRAIN), "statistics", self.part_rows()["train"], _size):
            learner.update(rows, start, start + self.block_rows * PIECE_BLOCKS)
        if self.task == "regression":
            target = normalizer(learner.target, lambda: torch.empty(0), "standard")
            assert isinstance(target, Statistics)
            self.target_statistics = target
        self.take_over(learner)

    def _check_labels(self) -> None:
        """Raise ``DataError`` where the train rows cannot teach a class or label, since none has it."""
        rows, several = self.part_rows()["train"], self.task == "multilabel"
        lacking = (self._labels == 0) | ((self._labels == rows) & several)
        names = [name for name, lacks in zip(self.class_names, lacking.tolist(), strict=True) if lacks]
        if names:
            what = f"label {names[0]} is the same in" if several else f"class {names[0]} is in none of"
            raise DataError(
                f"{what} the {rows:,} train rows, so that nothing can be learned of it; choose another split"
            )

    def _sample_share(self, rows: int) -> float:
        row_bytes = sum(array.row_bytes for array in self.arrays.values()) + 8
        return min(1.0, min(SAMPLE_ROWS, SAMPLE_BYTES // row_bytes + 1) / rows)

    def _pieces(self) -> Iterator[tuple[int, int]]:
        """Consecutive ranges of all rows, each some whole blocks."""
        step = self.block_rows * PIECE_BLOCKS
        for start in range(0, self.dealing.rows, step):
            yield start, min(start + step, self.dealing.rows)

    def _loader(self, name: str, batch_size: int, shuffle: bool = False, seed: int = 0) -> Batches:
        number = PARTS.index(name)
        rank, world_size = self._process()
        part = Part(self, number, self._counts[number])
        buffer = self._buffer_rows if shuffle else self.block_rows
        transform = self.transform(name)
        accumulate = self._accumulated() if shuffle else 1
        loader = BlockLoader(part, buffer, batch_size, shuffle, seed, rank, world_size, transform, accumulate)
        loader.device = self._device()
        return loader

    def _evaluation_loader(self, name: str) -> Batches:
        return self._loader(name, max(self.batch_size, 1024))


def _size(piece: tuple[int, Batch]) -> int:
    return len(piece[1]["row"])

"""Batches of the loaders of another package's LightningDataModule, and what is kept of them."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import polars
import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.errors import DataError
from datamodules.inspection.summary_columns import InspectionSample, array_features
from datamodules.loading.outside_loader import OutsideLoader, drawing_from, random_state
from datamodules.raw_data import digest
from datamodules.splitting.splits import PARTS, Split
from datamodules.types import Modality

MODALITIES: dict[int, Modality] = {2: "table", 3: "series", 4: "image"}
"""Modality by the number of axes of a batch."""

SAMPLE_ROWS = 1_000
"""Rows of each split that are inspected."""

SETUP_SEED = 0
"""Seed of ``prepare_data`` and each ``setup``, so that an unseeded split is the same in every stage and run."""

Columns = tuple[Tensor, Tensor]
"""Inputs (N, ...) and targets (N,) or (N, L) of the same rows."""


class EvaluationRows(NamedTuple):
    """Targets and SHA-256 of the rows of a validation or test loader."""

    y: Tensor
    digest: str


class LightningBatches:
    """Batches of a LightningDataModule, whose ``prepare_data`` and ``setup`` are called here, once.

    Raises:
        DataError: For loaders and batches that do not fit.
    """

    def __init__(self, datamodule: LightningDataModule) -> None:
        self.inner, self.name = datamodule, type(datamodule).__name__
        self.has_val = is_overridden("val_dataloader", datamodule)
        if missing := [name for name in PARTS if name != "val" and not is_overridden(f"{name}_dataloader", datamodule)]:
            raise DataError(
                f"{self.name} has no {missing[0]}_dataloader; a LightningDataModule needs train_dataloader and "
                "test_dataloader"
            )
        for call in (datamodule.prepare_data, lambda: datamodule.setup("fit"), lambda: datamodule.setup("test")):
            with drawing_from([random_state(SETUP_SEED)]):
                call()

    def loader(self, part: str) -> Any:
        """Returns a new loader of a split, as the data module makes it."""
        loader = getattr(self.inner, f"{part}_dataloader")()
        if not (hasattr(loader, "__len__") and hasattr(loader, "__iter__")) or isinstance(loader, Mapping | Sequence):
            raise DataError(
                f"{self.name}.{part}_dataloader returns a {type(loader).__name__}; return one loader with a length"
            )
        return loader

    def batches(self, part: str) -> Iterator[Columns]:
        """Yields the batches of a pass whose random numbers are used for nothing else."""
        return map(self.read, OutsideLoader(self.loader(part)))

    def first(self, part: str) -> Columns:
        """Returns the first batch of a split."""
        first = next(self.batches(part), None)
        if first is None or not len(first[0]):
            raise DataError(f"{self.name}.{part}_dataloader yields no batch; give it rows")
        return first

    def read(self, batch: Any) -> Columns:
        """Returns the inputs and targets of a batch on the CPU, the targets (N,) if each is one number."""
        named = batch if isinstance(batch, Mapping) else {}
        if isinstance(batch, Sequence) and len(batch) == 2:
            named = dict(zip("xy", batch, strict=True))
        x, y = named.get("x"), named.get("y")
        is_text = getattr(self.inner, "modality", "") == "text" or hasattr(self.inner, "vocab_size")
        if is_text or not (isinstance(x, Tensor) and isinstance(y, Tensor)) or x.dim() not in MODALITIES:
            raise DataError(
                f"a batch of {self.name} is {_described(batch)}; return (x, y), tensors with x (N, F) of a table, (N, "
                "C, T) of series or (N, C, H, W) of images; for texts derive a data set from InMemoryData"
            )
        return x.cpu(), (y.flatten() if y.dim() == 2 and y.shape[1] == 1 else y).cpu()

    @cached_property
    def train_targets(self) -> Tensor:
        """Targets of all train rows; a pass over the loader."""
        return torch.cat([y for _, y in self.batches("train")])

    def rows(self) -> dict[str, int]:
        """Returns the number of rows of each split."""
        loader = self.loader("train")
        is_usual = isinstance(loader, DataLoader) and loader.batch_size is not None
        train = len(loader.sampler) if is_usual else len(self.train_targets)
        return {"train": train, **{part: len(self.evaluation(part).y) for part in PARTS if part != "train"}}

    def evaluation(self, part: str) -> EvaluationRows:
        """Returns what is kept of validation or test rows; of none without a loader."""
        return self._evaluations.get(part, EvaluationRows(torch.empty(0), ""))

    def test_rows(self, index: Tensor) -> Tensor:
        """Returns the inputs of test rows, by their positions in a pass; reads up to the last one."""
        wanted, found, first = index.cpu(), dict[int, Tensor](), 0
        for x, _ in self.batches("test"):
            for row in wanted[(wanted >= first) & (wanted < first + len(x))].tolist():
                found[row] = x[row - first].clone()
            first += len(x)
            if first > int(wanted.max()):
                break
        return torch.stack([found[row] for row in wanted.tolist()])

    @cached_property
    def sample(self) -> InspectionSample:
        """First rows of each split, for an inspection."""
        rows = {part: self._first_rows(part) for part in PARTS if part != "val" or self.has_val}
        counts = [len(rows[part][1]) if part in rows else 0 for part in PARTS]
        x, y = (torch.cat(columns) for columns in zip(*rows.values(), strict=True))
        features = array_features(x.double())

        def raw(index: Tensor) -> Any:
            return features[index.numpy()] if x.dim() == 2 else list(x[index])

        split = Split(*torch.arange(len(y)).split(counts))
        ids = torch.cat([torch.arange(count) for count in counts])
        return InspectionSample(split, features, y, polars.DataFrame(), None, raw, ids)

    def _first_rows(self, part: str) -> Columns:
        found, count = list[Columns](), 0
        for batch in self.batches(part):
            found.append(batch)
            count += len(batch[1])
            if count >= SAMPLE_ROWS:
                break
        x, y = (torch.cat(columns)[:SAMPLE_ROWS] for columns in zip(*found, strict=True))
        return x, y

    @cached_property
    def _evaluations(self) -> dict[str, EvaluationRows]:
        found = {}
        for part in ("val", "test") if self.has_val else ("test",):
            first, targets, digests = self.first(part), list[Tensor](), list[Tensor]()
            for x, y in self.batches(part):
                if not targets and not (torch.equal(x, first[0]) and torch.equal(y, first[1])):
                    raise DataError(
                        f"{self.name}.{part}_dataloader yields other rows in a second pass; leave shuffle and random "
                        "transforms out of it"
                    )
                targets.append(y)
                digests += [as_bytes(digest(*row)) for row in zip(x.split(1), y.split(1), strict=True)]
            found[part] = EvaluationRows(torch.cat(targets), digest(*digests))
        return found


def as_bytes(text: str) -> Tensor:
    """Returns a text as uint8 (N,)."""
    return torch.tensor([*text.encode()], dtype=torch.uint8)


def _described(batch: Any) -> str:
    if isinstance(batch, Tensor):
        return f"{str(batch.dtype).removeprefix('torch.')} {tuple(batch.shape)}"
    if isinstance(batch, Mapping):
        return f"a dictionary of {', '.join(map(str, batch))}"
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        return f"a tuple of {', '.join(map(_described, batch[:4])) or 'nothing'}"
    return type(batch).__name__

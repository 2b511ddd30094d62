"""Any LightningDataModule as a data set: its loaders, and what a model needs to know read off their batches."""

from typing import Any

import polars
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from typing_extensions import override

from datamodules.base import DataModule
from datamodules.errors import DataError
from datamodules.inspection.summary_columns import InspectionSample, array_features
from datamodules.lightning_batches import MODALITIES, LightningBatches, as_bytes
from datamodules.loading.base_loader import Batch
from datamodules.loading.global_batch import accumulated_by, process_of
from datamodules.loading.outside_loader import OutsideLoader
from datamodules.preprocessing.normalization import Statistics, Unchanged, fit
from datamodules.raw_data import digest
from datamodules.types import TaskName


class LightningData(DataModule):
    """Rows of another package's LightningDataModule, in the batches ``(x, y)`` of its own loaders.

    Batches are (N, F) of a table, (N, C, T) of series or (N, C, H, W) of images. Integer targets are classes, several
    integers a row are labels, and other numbers are values. Attributes of these names win, where the data module has
    them: ``task``, ``modality``, ``num_classes``, ``class_names``, ``target_names``.

    Split, normalization, batch size and augmentation are those of its loaders, of which each pass has random numbers
    that are a function of the training seed and the epoch. Loaders of validation and test rows must yield the same rows
    in the same order each time.

    Args:
        datamodule: The LightningDataModule.

    Raises:
        DataError: For a data module whose loaders or batches do not fit.
    """

    def __init__(self, datamodule: LightningDataModule) -> None:
        super().__init__()
        self.hparams.clear()  # an object, and options that have no effect here
        self.inner, self.batches = datamodule, LightningBatches(datamodule)
        self.data_name = self.batches.name
        x, y = self.batches.first("train")
        self.batch_size, self.input_shape = len(x), tuple(x.shape[1:])
        self.modality = getattr(datamodule, "modality", MODALITIES[x.dim()])
        self.class_names = tuple(getattr(datamodule, "class_names", ()))
        self.target_names = tuple(getattr(datamodule, "target_names", ()))
        self.task = getattr(datamodule, "task", None) or self._task(y)
        self.num_outputs = self._outputs(y)
        self.notes = (
            f"rows, split and batches are those of {self.data_name}: its raw rows have no fingerprint, the validation "
            "and test rows of its loaders do, and a prediction takes rows as these give them",
        )

    @property
    @override
    def has_val(self) -> bool:
        return self.batches.has_val

    @override
    def part_rows(self) -> dict[str, int]:
        return self.batches.rows()

    @override
    def class_counts(self) -> Tensor | None:
        if self.task == "regression":
            return None
        y = self.batches.train_targets.long()
        if self.num_classes is not None:
            return torch.bincount(y, minlength=self.num_classes)
        return torch.stack([len(y) - y.sum(dim=0), y.sum(dim=0)], dim=1)

    @override
    def part(self, name: str) -> Batch:
        x, y = (torch.cat(columns) for columns in zip(*self.batches.batches(name), strict=True))
        return {"x": x.float(), "y": y, "row": torch.arange(len(y))}

    @override
    def raw(self, index: Tensor) -> polars.DataFrame | list[Tensor]:
        x = self.batches.test_rows(index)
        return array_features(x) if x.dim() == 2 else list(x)

    @override
    def unprepared(self, index: Tensor) -> dict[str, Tensor]:
        return {"x": Unchanged()(self.batches.test_rows(index))}

    @override
    def columns_at(self, index: Tensor) -> polars.DataFrame:
        return array_features(self.batches.test_rows(index).double())

    @override
    def fingerprints(self) -> dict[str, str]:
        val, test = (self.batches.evaluation(part).digest for part in ("val", "test"))
        rows = torch.tensor([*self.part_rows().values()])
        return {"data": digest(as_bytes(test)), "split": digest(rows, as_bytes(val), as_bytes(test))}

    @override
    def inspection_sample(self) -> InspectionSample:
        return self.batches.sample

    @override
    def setup(self, stage: str) -> None:
        if process_of(self.trainer)[1] > 1:
            raise DataError(
                f"{self.data_name} gives every device the same batches; leave --trainer.devices out, or derive a data "
                "set from InMemoryData"
            )
        self.inner.trainer = self.trainer
        self.batch_size = len(self.batches.first("train")[0]) * accumulated_by(self.trainer)
        if self.statistics is None:
            self._learn_statistics()

    def train_batches(self) -> int:
        """Returns the number of train batches."""
        return len(self.batches.loader("train"))

    @override
    def train_dataloader(self) -> Any:
        return OutsideLoader(self.batches.loader("train"), seed=torch.initial_seed())

    @override
    def val_dataloader(self) -> Any:
        return OutsideLoader(self.batches.loader("val")) if self.has_val else []

    @override
    def test_dataloader(self) -> Any:
        return OutsideLoader(self.batches.loader("test"))

    @override
    def predict_dataloader(self) -> Any:
        first = 0

        def numbered(batch: Any) -> Batch:
            nonlocal first
            x, _ = self.batches.read(batch)
            first += len(x)
            return {"x": x.float(), "row": torch.arange(first - len(x), first)}

        return OutsideLoader(self.batches.loader("test"), numbered)

    @override
    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return self.inner.on_before_batch_transfer(batch, dataloader_idx)

    @override
    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return self.inner.on_after_batch_transfer(batch, dataloader_idx)

    @override
    def _learn_statistics(self) -> None:
        features = self.input_shape[0]
        self.statistics = Statistics(torch.zeros(features).double(), torch.ones(features).double())
        if self.task == "regression":
            y = self.batches.train_targets.double()
            self.target_statistics = fit(y.view(len(y), -1), "standard")

    @override
    def _loader(self, split: str, batch_size: int, shuffle: bool = False) -> Any:
        return OutsideLoader(self.batches.loader(split))

    def _task(self, y: Tensor) -> TaskName:
        if y.is_floating_point():
            return "regression"
        if y.dim() > 1:
            return "multilabel"
        return "binary" if self._count_classes() == 2 else "multiclass"

    def _count_classes(self) -> int:
        given = getattr(self.inner, "num_classes", None) or len(self.class_names)
        return int(given or self.batches.train_targets.max() + 1)

    def _outputs(self, y: Tensor) -> int:
        if self.task == "binary":
            return 1
        return self._count_classes() if self.task == "multiclass" else y[0].numel()

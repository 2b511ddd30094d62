"""Callback that writes each evaluation of the test rows into the ledger of looks."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from typing_extensions import override

from datamodules import DataModule
from experiments.run.record.look_ledger import Look, append_look, root_of_run, write_look


class LookWriter(Callback):
    """Writes a look before any metric is shown or recorded, by the first process alone.

    Args:
        command: The verb.
        root: Folder of all runs, for a checkpoint that belongs to no run.
        run: Folder of the run; None for that of the checkpoint.
    """

    def __init__(self, command: str, root: Path, run: Path | None = None) -> None:
        self.command = command
        self.root = root
        self.run = run

    @override
    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Every process takes part: a strategy may have to gather the weights.
        weights = trainer.strategy.lightning_module_state_dict()
        if decisions := getattr(pl_module, "decision_rule", {}):
            weights = {**weights, "decisions": decisions}  # another look than that of the weights alone
        evaluation: Any = getattr(pl_module, "evaluation", None)
        if not trainer.is_global_zero or evaluation is None:
            return
        data: DataModule = trainer.datamodule  # type: ignore[attr-defined]  # set from another class
        path = Path(trainer.ckpt_path).absolute() if trainer.ckpt_path else None
        run = self.run if self.run is not None or path is None else run_of(path)
        root = self.root if run is None or run == self.run else root_of_run(run)
        inside = path.relative_to(run.absolute()) if path and run and path.is_relative_to(run.absolute()) else path
        look = Look(
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            command=self.command,
            experiment=run.parent.name if run else "",
            run=run.name if run else "",
            file=str(inside or ""),
            checkpoint=weights_digest(weights),
            **rows_tested(data, evaluation.row),
            metrics=finite(evaluation.metrics),
        )
        folders = [folder for folder in (run, root) if folder is not None]
        if self.run is not None:  # a fit on a full disk ends here, and tests again once it is resumed
            append_look(look, folders.pop(0))
        write_look(look, folders)


def run_of(checkpoint: Path) -> Path | None:
    """Returns the folder of the run that a checkpoint is in; None for one outside of a run."""
    return next((folder for folder in checkpoint.parents if (folder / "record.json").is_file()), None)


def rows_tested(data: DataModule, row: Tensor) -> dict[str, Any]:
    """Returns the fields of a look that identify test rows, by their ids (N,)."""
    ids = row.cpu().to(torch.int64).sort().values
    digest = hashlib.sha256(ids.numpy().tobytes()).hexdigest()
    fingerprints = data.fingerprints()
    return {"data": fingerprints["data"], "split": fingerprints["split"], "rows": digest, "count": len(ids)}


def weights_digest(weights: Mapping[str, Any]) -> str:
    """Returns SHA-256 of a model's weights: equal for copies of a checkpoint, and for that of a resumed run."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name]
        if isinstance(value, Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        else:
            digest.update(f"{name} {value!r}\n".encode())
    return digest.hexdigest()


def finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Returns metrics with None for those that are undefined, which JSON has no number for."""
    return {name: value if isfinite(value) else None for name, value in metrics.items()}

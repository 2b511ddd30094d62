"""What is learned of train rows that pass by once."""

import torch
from torch import Tensor

from datamodules.base import TaskName
from datamodules.dealing import sampled
from datamodules.errors import DataError
from datamodules.loaders import Batch
from datamodules.moments import Moments
from datamodules.normalization import Method, Normalizer, Statistics, learn


class Learner:
    """Moments of inputs and targets, the classes and categories that there are, and a sample of the rows.

    Args:
        features: Numbers of a row, all its positions.
        task: What is asked.
        num_outputs: Of the network.
        class_names: The classes' or labels'.
        sizes: How many codes each categorical column has.
        share: Of the rows that the sample takes.
    """

    def __init__(
        self,
        features: int,
        task: TaskName,
        num_outputs: int,
        class_names: tuple[str, ...],
        sizes: list[int],
        share: float,
    ) -> None:
        self.inputs = Moments(features)
        self.target = Moments(num_outputs) if task == "regression" else None
        self.seen = [torch.zeros(size, dtype=torch.bool) for size in sizes]
        self.rows = 0
        self.task = task
        self.class_names = class_names
        self.share = share
        self._labels = torch.zeros(max(2, num_outputs), dtype=torch.int64)
        self._drawn: list[Batch] = []

    def update(self, rows: Batch, start: int, stop: int) -> None:
        """Learn of the train rows among those from ``start`` to before ``stop``, as they are on disk."""
        if not len(rows["row"]):
            return
        self.rows += len(rows["row"])
        x, y = rows["x"], rows["y"]
        self.inputs.update(floating(x).view(len(x), -1))
        if self.target is not None:
            self.target.update(y.double().view(len(y), -1))
        elif self.task == "multilabel":
            self._labels[: y.shape[1]] += y.sum(dim=0)
        else:
            self._labels += torch.bincount(y, minlength=len(self._labels))
        for index, seen in enumerate(self.seen):
            codes = rows["codes"][:, index].long()
            seen[codes[codes >= 0]] = True
        mine = torch.from_numpy(sampled(start, stop, self.share))[rows["row"] - start]
        self._drawn.append({name: column[mine] for name, column in rows.items()})

    @property
    def sample(self) -> Batch:
        """Some of the rows."""
        return {name: torch.cat([one[name] for one in self._drawn]) for name in self._drawn[0]}

    def check(self) -> None:
        """Raise ``DataError`` where the rows cannot teach a class or label, since none has it."""
        if self.task == "regression":
            return
        counts = self._labels[: len(self.class_names)]
        lacking = (counts == 0) | (counts == self.rows if self.task == "multilabel" else counts < 0)
        names = [name for name, lacks in zip(self.class_names, lacking.tolist(), strict=True) if lacks]
        if names and self.task == "multilabel":
            raise DataError(f"label {names[0]} is the same in all {self.rows:,} train rows; choose another split or drop it")
        if names:
            raise DataError(
                f"the train rows have no row of class {', '.join(names[:5])}{' ...' * (len(names) > 5)}, so that "
                "nothing can be learned of it; choose another split or drop its rows"
            )


def floating(x: Tensor) -> Tensor:
    """Numbers as float32, or float64 where that is what holds them."""
    return x if x.dtype == torch.float64 else x.double() if x.dtype in (torch.int32, torch.int64) else x.float()


def normalizer(moments: Moments, sample: Tensor, method: Method) -> Normalizer:
    """What normalizes inputs by a method: of all rows by their moments, robust and quantile by a sample (n, F, ...).

    A feature that never varies gets scale 1, so that it becomes 0 and not NaN.
    """
    match method:
        case "standard":
            center, scale = moments.mean, moments.std
        case "minmax":
            center, scale = moments.low, moments.high - moments.low
        case _:
            return learn(sample, method)
    largest = torch.maximum(moments.low.abs(), moments.high.abs())
    constant = (moments.low == moments.high) | (scale <= 1e-12 * largest)
    return Statistics(center, torch.where(constant, torch.ones_like(scale), scale))

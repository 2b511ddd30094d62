"""MNIST-1D (Greydanus & Kobak 2020, "Scaling down deep learning with MNIST-1D")."""

from importlib.util import find_spec
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng

from datamodules.errors import DataError
from datamodules.in_memory import InMemoryData
from datamodules.raw_data import Rows


class MNIST1D(InMemoryData):
    """5,000 series of 40 steps in 10 classes, made by the ``mnist1d`` package with its published seed.

    Args:
        pooled: Split all rows by ``ratios``, instead of testing on the official 1,000 test rows.
        shuffle_seq: Permute the 40 steps, the same in all series, so that neighbours are unrelated.
    """

    task = "multiclass"
    modality = "series"
    input_shape = (1, 40)
    num_outputs = 10
    class_names = tuple("0123456789")

    def __init__(self, pooled: bool = False, shuffle_seq: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if find_spec("mnist1d") is None:
            raise DataError("MNIST1D is made by the package mnist1d, which is not installed; pip install mnist1d")
        self.pooled, self.shuffle_seq = pooled, shuffle_seq

    def load(self) -> Rows:
        """Returns the official train rows, then the official test rows."""
        # The package's own import pulls in matplotlib; its get_dataset() would go to the network.
        from mnist1d.data import get_dataset_args, make_dataset

        settings = get_dataset_args()
        settings.shuffle_seq = self.shuffle_seq
        with isolate_rng():  # the package seeds the global generators
            made = make_dataset(settings)
        x = torch.cat([torch.from_numpy(made["x"]), torch.from_numpy(made["x_test"])]).float().unsqueeze(1)
        y = torch.cat([torch.from_numpy(made["y"]), torch.from_numpy(made["y_test"])]).long()
        test = None if self.pooled else torch.arange(len(made["x"]), len(x))
        return Rows(x, y, test)

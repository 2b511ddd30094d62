"""An affine map that goes to oneDNN where that is the faster library."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lit_models.processor import leaves_mkl_behind

WORTH = 2**24
"""Multiplications from which on oneDNN repays the copies into its layout."""


class Affine(nn.Linear):
    """``nn.Linear``, by oneDNN in place of MKL on processors where its products are twice as fast.

    Which these are says ``leaves_mkl_behind``. torch hands oneDNN bfloat16 by itself, and float32 only where a tensor
    asks for it by its layout (``Tensor.to_mkldnn``). The values differ by rounding. Small products, other numbers,
    other devices, compiled and exported graphs go the usual way.

    Raises:
        RuntimeError: By torch, where a gradient that went through oneDNN is differentiated again, as gradient penalties
            do; ``nn.Linear`` has second derivatives.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        if not self._pays(x):
            return super().forward(x)
        outputs: Tensor = functional.linear(x.to_mkldnn(), self.weight, self.bias).to_dense()
        return outputs

    def _pays(self, x: Tensor) -> bool:
        return (
            not torch.compiler.is_compiling()
            and x.numel() * self.out_features >= WORTH  # ahead of the rest, which a small step would feel
            and x.device.type == "cpu"
            and x.dtype == self.weight.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and leaves_mkl_behind()
        )

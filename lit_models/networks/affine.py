"""An affine map that goes to oneDNN where that is the faster library."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lit_models.processor import amd_avx512_bits

WORTH = 2**24
"""Multiplications from which on oneDNN repays the way to it."""


class Affine(nn.Linear):
    """``nn.Linear``, by oneDNN in place of MKL where it multiplies float32 faster: see ``amd_avx512_bits``.

    torch hands oneDNN bfloat16 by itself, and dense float32 only by the operator that its compiler writes. The values
    differ by rounding. Small products, other numbers, other devices, compiled and exported graphs go the usual way.

    Raises:
        RuntimeError: Where a gradient that went through oneDNN is differentiated again, as gradient penalties do;
            ``nn.Linear`` has second derivatives.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        if not self._pays(x):
            return super().forward(x)
        outputs: Tensor = _Affine.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return outputs

    def _pays(self, x: Tensor) -> bool:
        return (
            not torch.compiler.is_compiling()
            and x.numel() * self.out_features >= WORTH  # ahead of the rest, which a small step would feel
            and x.device.type == "cpu"
            and x.dtype == self.weight.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and amd_avx512_bits() > 0
            and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        )


class _Affine(torch.autograd.Function):
    """The map and its gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        rows, of_rows = x.reshape(-1, x.shape[-1]), gradient.reshape(-1, gradient.shape[-1])
        return (
            _product(gradient, weight.t()) if of_x else None,
            _of_weight(of_rows, rows) if of_weight else None,
            of_rows.sum(dim=0) if of_bias else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(..., K), (M, K) and (M,) -> (..., M)."""
    outputs: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return outputs


def _of_weight(gradient: Tensor, x: Tensor) -> Tensor:
    """(N, M) and (N, K) -> (M, K); oneDNN turns both over first, which pays where it is twice as fast."""
    return _product(gradient.t(), x.t()) if amd_avx512_bits() == 512 else gradient.t() @ x

"""An affine map that goes to oneDNN where that is the faster library."""

from typing import Any

import torch
from torch import Tensor, nn

from lit_models.networks.cpu_features import amd_avx512_bits

WORTH = 2**24
"""Multiplications from which on oneDNN repays the way to it."""

HAS_OPERATOR = hasattr(torch.ops.mkldnn, "_linear_pointwise")
"""Whether this torch has what its compiler writes for a dense affine map; it is no public name."""


class Affine(nn.Linear):
    """``nn.Linear``, by oneDNN in place of MKL where it multiplies float32 faster: see ``amd_avx512_bits``.

    torch hands oneDNN bfloat16 by itself, and dense float32 only by the operator that its compiler writes. The values
    differ by rounding. Small products, other numbers, other devices, transforms of ``torch.func``, compiled and
    exported graphs go the usual way, and so do gradients that are differentiated again.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        if not self._pays(x):
            return super().forward(x)
        # Ahead of the function, since what it gives may not be a view where it is written into, as by a ReLU in place.
        rows = x.reshape(-1, self.in_features)
        outputs: Tensor = _Affine.apply(rows, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return outputs.view(*x.shape[:-1], self.out_features)

    def _pays(self, x: Tensor) -> bool:
        return (
            not torch.compiler.is_compiling()
            and x.numel() * self.out_features >= WORTH  # ahead of the rest, which a small step would feel
            and x.device.type == "cpu"
            and x.dtype == self.weight.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and amd_avx512_bits() > 0
            and HAS_OPERATOR
            and not torch._C._are_functorch_transforms_active()
        )


class _Affine(torch.autograd.Function):
    """The map of (N, K) by (M, K) and (M,) to (N, M), and its gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        x_needs, weight_needs, bias_needs = ctx.needs_input_grad
        plain = torch.is_grad_enabled()  # what is differentiated again has to be of operators that can be
        of_x = None
        if x_needs:
            of_x = gradient @ weight if plain else _product(gradient, weight.t())
        of_weight = _weight_gradient(gradient, x, plain) if weight_needs else None
        return of_x, of_weight, gradient.sum(dim=0) if bias_needs else None


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(N, K), (M, K) and (M,) -> (N, M); the operator takes the bias for one without gaps (torch 2.13)."""
    bias = None if bias is None else bias.contiguous()
    outputs: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return outputs


def _weight_gradient(gradient: Tensor, x: Tensor, plain: bool) -> Tensor:
    """(N, M) and (N, K) -> (M, K); oneDNN turns both over first, which pays where it is twice as fast."""
    return gradient.t() @ x if plain or amd_avx512_bits() < 512 else _product(gradient.t(), x.t())

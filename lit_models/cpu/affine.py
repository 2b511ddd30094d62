"""An affine map that runs in oneDNN where that is faster than MKL."""

from typing import Any

import torch
from torch import Tensor, nn

from lit_models.cpu.cpu_features import amd_avx512_bits
from lit_models.cpu.switch import plain
from lit_models.internals import torch_parts

MIN_PRODUCTS = 2**24  # multiplications from which on oneDNN repays its overhead


class Affine(nn.Linear):
    """``nn.Linear`` that multiplies float32 by oneDNN in place of MKL on the processors of ``amd_avx512_bits``.

    torch passes bfloat16 to oneDNN itself, and dense float32 only through the operator that its compiler emits. The
    outputs differ by rounding. Small products, other dtypes and devices, transforms of ``torch.func``, compiled and
    exported graphs, and second derivatives use torch's own operators.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        if not self._pays(x):
            return super().forward(x)
        # Reshaped outside of the function, whose output must not be a view if an in-place ReLU writes into it.
        rows = x.reshape(-1, self.in_features)
        outputs: Tensor = _Affine.apply(rows, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return outputs.view(*x.shape[:-1], self.out_features)

    def _pays(self, x: Tensor) -> bool:
        return (
            not torch.compiler.is_compiling()
            and x.numel() * self.out_features >= MIN_PRODUCTS  # first, since small layers would feel the other checks
            and x.device.type == "cpu"
            and x.dtype == self.weight.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and amd_avx512_bits() > 0
            and torch_parts.HAS_LINEAR
            and not torch_parts.in_transform()
            and not plain()
        )


class _Affine(torch.autograd.Function):
    """Maps (N, K) by (M, K) and (M,) to (N, M)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        return torch_parts.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        x_needs, weight_needs, bias_needs = ctx.needs_input_grad
        twice = torch.is_grad_enabled()  # a second derivative needs operators that have one
        of_x = of_weight = None
        if x_needs:
            of_x = gradient @ weight if twice else torch_parts.linear(gradient, weight.t())
        if weight_needs:  # oneDNN transposes both first, which pays only where it is twice as fast
            plain_product = twice or amd_avx512_bits() < 512
            of_weight = gradient.t() @ x if plain_product else torch_parts.linear(gradient.t(), x.t())
        return of_x, of_weight, gradient.sum(dim=0) if bias_needs else None

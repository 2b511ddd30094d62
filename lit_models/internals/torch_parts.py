"""Private parts of torch, as read in torch 2.13."""

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

BatchNorm = _BatchNorm

HAS_LINEAR = hasattr(torch.ops.mkldnn, "_linear_pointwise")
"""True if this torch has the operator that its compiler emits for a dense affine map in float32."""

FSDP_PREFIX = "_fsdp_wrapped_module."  # prefix that fully sharded training puts into parameters' names


class KeepPrecision(nn.Module):
    """Module whose tensors move to other devices, but never to fewer bits than ``min_dtype`` has.

    ``nn.Module._apply`` is the only method through which ``to``, ``half`` and ``double`` of a parent module pass.
    """

    min_dtype = torch.float32  # tensors of fewer bits keep the bits they have

    def __init_subclass__(cls) -> None:  # ends here: a loss's own one may need keywords, see ``keep_precision``
        pass

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = [tensor.data for tensor in self._all_tensors()]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for now, kept in zip(self._all_tensors(), before, strict=True):
            if kept.is_floating_point() and now.dtype.itemsize < min(kept.dtype.itemsize, self.min_dtype.itemsize):
                now.data = kept.to(now.device)
        return self

    def _all_tensors(self) -> list[Tensor]:
        named = (*self.named_parameters(remove_duplicate=False), *self.named_buffers(remove_duplicate=False))
        return [tensor for _, tensor in named]


class AnyBatchNorm(BatchNorm):
    """Batch norm over inputs of any number of dimensions."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass


class CompiledNetwork:
    """Compiles a network in place at its next call, which keeps the names in its state dict, and counts the graphs.

    A batch of another size, such as an epoch's last, compiles it again with a free number of rows.
    """

    def __init__(self, network: nn.Module) -> None:
        self.graphs = 0
        network.compile(backend=self._count)

    def _count(self, graph: Any, inputs: Any) -> Any:
        from torch._inductor.compile_fx import compile_fx  # takes a second to import

        self.graphs += 1
        return compile_fx(graph, inputs)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiplies (N, K) by (M, K) and adds (M,) in oneDNN: (N, M), all float32 on a CPU."""
    bias = None if bias is None else bias.contiguous()  # a bias with gaps is misread
    outputs: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return outputs


def in_transform() -> bool:
    """Returns True inside a transform of ``torch.func``, which custom autograd functions do not support."""
    return torch._C._are_functorch_transforms_active()


def mkldnn_has_bfloat16() -> bool:
    """Returns True if oneDNN computes bfloat16 on this processor, if need be by conversion."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def x86_has_bfloat16() -> bool:
    """Returns True if this x86 processor has AVX512_BF16."""
    return bool(torch.cpu._is_avx512_bf16_supported())


def unscales_gradients(optimizer: Optimizer) -> bool:
    """Returns True if an optimizer divides 16-bit gradients by the loss scale inside its step, as fused ones do."""
    return bool(getattr(optimizer, "_step_supports_amp_scaling", False))


def expect_unscaled_gradients(optimizer: Optimizer) -> None:
    """Marks an optimizer whose gradients are never scaled, so that Lightning clips them with bf16-mixed."""
    optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]

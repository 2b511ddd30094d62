"""Batch norm with the statistics of the global batch, over all processes."""

from typing import Any

import torch
from lightning.pytorch.plugins import TorchSyncBatchNorm
from torch import Tensor, distributed, nn

from lit_models.cpu.shared_memory_gather import exchange
from lit_models.internals.torch_parts import AnyBatchNorm, BatchNorm


class GlobalBatchNorm(AnyBatchNorm):
    """Batch norm over the rows of all processes, on any device; torch's ``SyncBatchNorm`` needs CUDA.

    Each process normalizes with the mean and the variance of all rows (Chan, Golub & LeVeque 1979), at the price of one
    small message in the forward and one in the backward pass.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...) -> the same shape; N may differ from process to process."""
        local = not self.training or self.momentum is None or not distributed.is_initialized()
        normed: Tensor = super().forward(input) if local else self._over_processes(input)
        return normed

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # it cannot trace shared memory
    def _over_processes(self, input: Tensor) -> Tensor:
        assert self.momentum is not None
        outputs, mean, variance, rows = _Normalize.apply(  # type: ignore[no-untyped-call]
            input, self.weight, self.bias, self.eps
        )
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            unbiased = variance * (rows / (rows - 1))
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        normed: Tensor = outputs
        return normed


class _Normalize(torch.autograd.Function):
    """Normalizes with the fused kernels of torch's batch norm and reduces over all processes.

    It reads the rows as often as torch's own, since memory is the bottleneck.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, ...]:
        channels = x.shape[1]
        exact = torch.float64 if x.dtype == torch.float64 else torch.float32
        unused = torch.zeros(2, channels, dtype=exact, device=x.device)  # gives the statistics their dtype
        local = torch.batch_norm_update_stats(x, unused[0], unused[1], 0.0)
        counted = torch.cat([*local, unused.new_tensor([float(x.numel() // channels)])])
        means, variances, counts = exchange().gather(counted).split([channels, channels, 1], dim=1)
        total = counts.sum()
        mean = (means * counts).sum(dim=0) / total
        variance = (counts * (variances + (means - mean) ** 2)).sum(dim=0) / total
        scale = None if weight is None else weight.to(exact)  # of 16 bits in bf16-true
        shift = None if bias is None else bias.to(exact)
        outputs = torch.native_batch_norm(x, scale, shift, mean, variance, False, 0.0, eps)[0]
        ctx.save_for_backward(x, weight, mean, variance, total)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance, total)
        return outputs, mean, variance, total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, total = ctx.saved_tensors
        gradient, ones = gradients[0], torch.ones_like(mean)
        _, for_weight, for_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, ones, mean, variance, None, None, False, ctx.eps, [False, True, True]
        )
        sums = exchange().gather(torch.stack([for_weight, for_bias])).sum(dim=0)
        scale = (variance + ctx.eps).rsqrt() * (ones if weight is None else weight)
        # scale * (gradient - mean of the gradients - normalized x * mean of the gradients times it)
        over_rows = sums * (-scale / total)
        for_x = torch.native_batch_norm(x, over_rows[0], over_rows[1], mean, variance, False, 0.0, ctx.eps)[0]
        for_x.addcmul_(gradient, scale.view(-1, *[1] * (x.dim() - 2)))
        if weight is None:
            return for_x, None, None, None
        return for_x, for_weight.to(weight.dtype), for_bias.to(weight.dtype), None


class GlobalBatchNorms(TorchSyncBatchNorm):
    """Lightning plugin that synchronizes batch norms: torch's own on CUDA, ``GlobalBatchNorm`` elsewhere."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Replaces every batch norm; parameters and names in the state dict stay."""
        trainer: Any = getattr(model, "trainer", None)
        if trainer is not None and trainer.strategy.root_device.type == "cuda":
            return super().apply(model)
        return _replaced(model, BatchNorm, GlobalBatchNorm)

    def revert(self, model: nn.Module) -> nn.Module:
        """Puts ordinary batch norms back."""
        return super().revert(_replaced(model, GlobalBatchNorm, nn.SyncBatchNorm))


def _replaced(module: nn.Module, old: type[nn.Module], new: type[BatchNorm]) -> nn.Module:
    if isinstance(module, old) and isinstance(module, BatchNorm) and type(module) is not new:
        norm = new(module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats)
        norm.__dict__.update(module.__dict__)
        return norm
    for name, child in module.named_children():
        setattr(module, name, _replaced(child, old, new))
    return module

"""Batch norm whose statistics are those of the whole batch, over all processes."""

from typing import Any

import torch
from lightning.pytorch.plugins import TorchSyncBatchNorm
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


class GlobalBatchNorm(_BatchNorm):
    """Any of torch's batch norms, which learns from the rows of all processes together.

    torch's own ``SyncBatchNorm`` does so on CUDA alone. Here each process normalizes with the mean and the variance of
    all rows (Chan, Golub & LeVeque 1979), at the price of one small message forward and one backward.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...) -> the same shape; N may differ from process to process."""
        if not self.training or self.momentum is None or not distributed.is_initialized():
            return super().forward(input)
        outputs, mean, variance, rows = _Normalize.apply(  # type: ignore[no-untyped-call]
            input, self.weight, self.bias, self.eps
        )
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (rows / (rows - 1)), self.momentum)
        normed: Tensor = outputs
        return normed

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions."""


class _Normalize(torch.autograd.Function):
    """The fused kernels of torch's batch norm, its two reductions made global."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, ...]:
        rows, channels = x.numel() // x.shape[1], x.shape[1]
        # With momentum 1 the running statistics become those of the batch.
        local = torch.zeros(2, channels, dtype=torch.float32, device=x.device)
        if rows > 1:
            torch.native_batch_norm(x, None, None, local[0], local[1], True, 1.0, eps)
        else:
            local[0] = x.reshape(channels)
        counted = torch.cat([local.flatten(), local.new_tensor([float(rows)])])
        gathered = [torch.empty_like(counted) for _ in range(distributed.get_world_size())]
        distributed.all_gather(gathered, counted)
        means, variances, counts = torch.stack(gathered).split([channels, channels, 1], dim=1)
        total = counts.sum()
        mean = (means * counts).sum(dim=0) / total
        squares = variances * (counts - 1).clamp_min(0) + counts * (means - mean) ** 2
        variance = squares.sum(dim=0) / total
        outputs = torch.native_batch_norm(x, weight, bias, mean, variance, False, 0.0, eps)[0]
        ctx.save_for_backward(x, weight, mean, variance, total)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance, total)
        return outputs, mean, variance, total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, total = ctx.saved_tensors
        # As if the statistics were constants; what they add follows from the two sums over all rows.
        for_x, for_weight, for_bias = torch.ops.aten.native_batch_norm_backward(
            gradients[0], x, torch.ones_like(mean) if weight is None else weight, mean, variance, None, None, False,
            ctx.eps, [True, True, True],
        )  # fmt: skip
        sums = torch.stack([for_weight, for_bias]).float()
        distributed.all_reduce(sums)
        scale = (variance + ctx.eps).rsqrt() * (1.0 if weight is None else weight) / total
        for_x -= torch.native_batch_norm(x, sums[0] * scale, sums[1] * scale, mean, variance, False, 0.0, ctx.eps)[0]
        return for_x, None if weight is None else for_weight, None if weight is None else for_bias, None


class GlobalBatchNorms(TorchSyncBatchNorm):
    """Lightning's plugin for several processes: torch's synchronized batch norm on CUDA, ours elsewhere."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Replace every batch norm, keeping its parameters and the names in the state dict."""
        trainer: Any = getattr(model, "trainer", None)
        if trainer is not None and trainer.strategy.root_device.type == "cuda":
            return super().apply(model)
        return _replaced(model, _BatchNorm, GlobalBatchNorm)

    def revert(self, model: nn.Module) -> nn.Module:
        """Put ordinary ones in their place."""
        return super().revert(_replaced(model, GlobalBatchNorm, nn.SyncBatchNorm))


def _replaced(module: nn.Module, old: type[nn.Module], new: type[_BatchNorm]) -> nn.Module:
    if isinstance(module, old) and isinstance(module, _BatchNorm) and type(module) is not new:
        made = new(module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats)
        made.__dict__.update(module.__dict__)
        return made
    for name, child in module.named_children():
        setattr(module, name, _replaced(child, old, new))
    return module

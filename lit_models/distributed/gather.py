"""Tensors of all processes, gathered by the process group."""

import torch
from torch import Tensor, distributed
from torchmetrics.utilities.distributed import gather_all_tensors


def gathered(local: Tensor, device: torch.device) -> Tensor:
    """Gathers a tensor of one shape from all processes, which compute on ``device``: (processes, *shape) on the CPU."""
    if not _initialized():
        return local[None].cpu()
    sent = local.to(device)
    received = [torch.empty_like(sent) for _ in range(distributed.get_world_size())]
    distributed.all_gather(received, sent)
    return torch.stack(received).cpu()


def gathered_rows(local: Tensor) -> Tensor:
    """Concatenates the rows (N, ...) of all processes, of which each may have another number."""
    return torch.cat(gather_all_tensors(local)) if _initialized() else local


def _initialized() -> bool:
    return distributed.is_available() and distributed.is_initialized()

"""The same tensor of every process."""

import torch
from torch import Tensor, distributed


def gathered(mine: Tensor, device: torch.device) -> Tensor:
    """What each process has (processes, *shape), on the CPU and in the order of their ranks.

    Args:
        mine: As large in every process.
        device: That a process computes on, from which its process group sends.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return mine[None].cpu()
    here = mine.to(device)
    everyone = [torch.empty_like(here) for _ in range(distributed.get_world_size())]
    distributed.all_gather(everyone, here)
    return torch.stack(everyone).cpu()

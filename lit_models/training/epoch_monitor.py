"""How much memory training takes."""

import sys

import torch


def peak_memory(device: torch.device) -> float:
    """The most memory in MiB so far: allocated on a CUDA device, else resident of this process; NaN where unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return torch.nan
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)

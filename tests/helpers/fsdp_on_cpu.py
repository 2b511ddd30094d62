"""``python fsdp_on_cpu.py fit ...``: Lightning's FSDP, which it refuses but on GPUs, on processes of a CPU."""

import sys
from contextlib import AbstractContextManager
from typing import Any

import torch
from lightning.pytorch.strategies import FSDPStrategy, fsdp
from torch.distributed.fsdp import (
    FullOptimStateDictConfig,
    FullStateDictConfig,
    FullyShardedDataParallel,
    StateDictType,
)

from experiments.__main__ import main


def of_whole_weights(
    module: FullyShardedDataParallel, world_size: int, rank0_only: bool = True
) -> AbstractContextManager[Any]:
    """Lightning's, less the copy to the CPU, which ends the process where the weights are there already."""
    settings: dict[str, Any] = {"offload_to_cpu": False, "rank0_only": False}
    states = FullStateDictConfig(**settings), FullOptimStateDictConfig(**settings)
    return FullyShardedDataParallel.state_dict_type(module, StateDictType.FULL_STATE_DICT, *states)


if __name__ == "__main__":
    lifted: Any = FSDPStrategy
    lifted.get_registered_strategies = list  # of which Lightning knows that they are for GPUs
    wrap = FullyShardedDataParallel.__init__
    on_cpu: Any = lambda self, *args, **kwargs: wrap(self, *args, **kwargs | {"device_id": torch.device("cpu")})  # noqa: E731
    FullyShardedDataParallel.__init__ = on_cpu  # type: ignore[method-assign]
    fsdp._get_full_state_dict_context = of_whole_weights
    sys.exit(main(sys.argv[1:]))

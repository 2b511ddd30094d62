"""A network compiled in place, with a count of how often."""

from typing import Any

from torch import nn


class Compiled:
    """Compiles a network where it stands, so that the names in its state dict stay as they are.

    The first batch of another size than the ones before, such as the last of an epoch, compiles the network once more
    with a free number of rows; every later size is served by that. Training and evaluation are compiled each.

    Args:
        network: What is compiled at its next call.
    """

    def __init__(self, network: nn.Module) -> None:
        self.graphs = 0
        network.compile(backend=self._count)

    def _count(self, graph: Any, inputs: Any) -> Any:
        from torch._inductor.compile_fx import compile_fx  # a second of imports

        self.graphs += 1
        return compile_fx(graph, inputs)

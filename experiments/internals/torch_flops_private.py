"""Counts floating-point operations as torch's operators are dispatched, by torch's formulas, read in torch 2.13.

``torch.utils.flop_counter.FlopCounterMode`` counts 0 for operators without a formula, and does not tell: on a CPU these
are attention, a dense map in oneDNN and recurrent layers.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry
from typing_extensions import override

RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")
"""Functions of recurrent layers, which end in one operator or in several for each step."""

WITHOUT_PRODUCTS = re.compile(r"norm|cat$|stack$|copy|index|scatter|where|prelu")
"""Operators of several tensors that neither multiply matrices nor are pointwise, by parts of their names."""

OF_ONE_TENSOR = re.compile(r"mm|fft|linalg(?!_vector_norm)|cholesky|svd|matrix|pdist|^_?weight_int")
"""Operators that multiply, of one tensor or of integers, by parts of their names."""


class FlopCount:
    """Counts the operations of matrix products, convolutions, attention and recurrent layers, two for a multiply-add.

    Elementwise operations, norms and sums are not counted. Recurrent layers are not run: they return zeros.
    """

    def __init__(self) -> None:
        self.total = 0
        self.uncounted = set[str]()  # operators that may multiply matrices, and for which there is no formula
        self._modes = ExitStack()

    def __enter__(self) -> Self:
        self._modes.enter_context(_Operators(self))
        self._modes.enter_context(_RecurrentLayers(self))
        return self

    def __exit__(self, *error: object) -> None:
        self._modes.close()


class _Operators(TorchDispatchMode):
    def __init__(self, count: FlopCount) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = count

    @override
    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        outputs = func(*args, **kwargs)
        name = func.name().partition(".")[0]
        if (formula := FORMULAS.get(name)) is not None:
            self.count.total += formula(*args, **kwargs, out_val=outputs)
        elif not _is_free(func, name, (args, kwargs)):
            self.count.uncounted.add(name)
        return outputs


class _RecurrentLayers(TorchFunctionMode):
    def __init__(self, count: FlopCount) -> None:
        super().__init__()
        self.count = count

    @override
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") not in RECURRENT:
            return func(*args, **(kwargs or {}))
        # (x, state, weights, has_biases, layers, dropout, training, bidirectional, batch_first), and of packed rows
        # (x, batch_sizes, state, weights, has_biases, layers, dropout, training, bidirectional).
        x, is_packed = args[0], isinstance(args[3], list)
        state, weights = args[1 + is_packed : 3 + is_packed]
        states = state if isinstance(state, tuple) else (state,)
        rows = x.numel() // x.shape[-1]  # each step of each row is multiplied by every matrix
        self.count.total += 2 * rows * sum(weight.numel() for weight in weights if weight.dim() == 2)
        width = states[0].shape[-1] * (2 if args[7 + is_packed] else 1)
        return x.new_zeros(*x.shape[:-1], width), *states


def _affine_flops(x: Tensor, weight: Tensor, *_: Any, out_val: Tensor) -> int:
    return 2 * x.numel() * weight.shape[0]


FORMULAS: dict[str, Callable[..., int]] = {
    **{str(packet).replace(".", "::"): formula for packet, formula in flop_registry.items()},
    "aten::_scaled_dot_product_flash_attention_for_cpu": (
        flop_registry[torch.ops.aten._scaled_dot_product_efficient_attention]
    ),
    "mkldnn::_linear_pointwise": _affine_flops,
}
"""Operations of an operator by its name, of its arguments and of what it returns."""


def _is_free(func: Any, name: str, arguments: Any) -> bool:
    """Returns True for an operator that multiplies no matrices."""
    package, _, short = name.partition("::")
    if package not in ("aten", "prim"):
        return False
    if func.is_view or {torch.Tag.pointwise, torch.Tag.reduction} & {*func.tags}:
        return True
    tensors = [leaf for leaf in tree_leaves(arguments) if isinstance(leaf, Tensor)]
    numbers = [tensor for tensor in tensors if tensor.is_floating_point() or tensor.is_complex()]
    return (len(numbers) < 2 or bool(WITHOUT_PRODUCTS.search(short))) and not OF_ONE_TENSOR.search(short)

"""Tries a network on one batch before anything is trained, and says which shapes do not fit."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lit_models.any_network.adapter import Adapter
from lit_models.any_network.network_factory import reason
from lit_models.any_network.network_output import FEATURES, LOGITS, described, read_output
from lit_models.errors import ConfigError

ROWS = 2

SIZES = {
    "in_channels": "(N, {}, ...)",
    "in_features": "(..., {})",
    "num_features": "(N, {}, ...)",
    "input_size": "(..., {})",
    "normalized_shape": "(..., {})",
    "num_embeddings": "ids below {}",
}
"""What a layer of torch takes, by its attribute."""


def example_rows(input_shape: Sequence[int], categories: int, vocab_size: int) -> dict[str, Tensor]:
    """Returns a batch of the largest rows: of zeros, and of a text the highest token id.

    Args:
        input_shape: Shape of a row.
        categories: Number of categorical columns of a table.
        vocab_size: Number of a text's token ids, 0 for other rows.
    """
    is_text = vocab_size > 0
    dtype, value = (torch.int64, vocab_size - 1) if is_text else (torch.float32, 0)
    batch = {"x": torch.full((ROWS, *input_shape), value, dtype=dtype)}
    if categories:
        batch["categories"] = torch.zeros(ROWS, categories, dtype=torch.int64)
    if is_text or len(input_shape) == 2:
        batch["lengths"] = torch.full((ROWS,), input_shape[-1], dtype=torch.int64)
    return batch


def try_network(adapter: Adapter, batch: dict[str, Tensor], num_outputs: int, has_head: bool, path: str) -> None:
    """Runs a network on a batch in evaluation mode, and makes its head if it gets one.

    Lazy layers get their shapes. The running statistics, the modes of modules, and torch's random numbers stay as they
    are.

    Args:
        adapter: The network; its head is made here.
        batch: ``x`` (N, *input_shape), and ``categories`` or ``lengths`` if the data have them.
        num_outputs: Outputs that the task needs.
        has_head: Whether the network's outputs are features for a linear head.
        path: Import path of the network, for messages.

    Raises:
        ConfigError: If the network does not take the rows, or does not return what the task needs, with both shapes.
    """
    with evaluating(adapter):
        outputs, got = _outputs(adapter, batch, has_head, path, "--model.network")
        shape, wanted = tuple(outputs.shape), (ROWS, num_outputs)
        if has_head:
            if len(shape) < 2 or shape[0] != ROWS:
                raise ConfigError(
                    f"{path} returns {shape} for a batch of {got}, and features for --model.head linear are (N, D), "
                    f"(N, T, D) or (N, D, ...); set the arguments below --model.network that say so"
                )
            adapter.is_sequence = len(shape) == 3 and _is_sequence(adapter, batch, shape, path)
            width = shape[2] if adapter.is_sequence else shape[1]
            adapter.head = nn.Linear(width, num_outputs)
        elif shape != wanted and not (num_outputs == 1 and shape == (ROWS,)):
            raise ConfigError(
                f"{path} returns {shape} for a batch of {got}, and the task needs {wanted}; set its number of outputs "
                f"below --model.network, or add --model.head linear if these are features"
            )


def try_logits(adapter: Adapter, batch: dict[str, Tensor], path: str, option: str) -> tuple[Tensor, tuple[int, ...]]:
    """Runs a network on a batch as ``try_network`` does; returns its logits as they are, and the shape that it got.

    ``option`` is that of the command line below which the arguments of the network are, for messages.
    """
    with evaluating(adapter):
        return _outputs(adapter, batch, False, path, option)


def _outputs(
    adapter: Adapter, batch: dict[str, Tensor], has_head: bool, path: str, option: str
) -> tuple[Tensor, tuple[int, ...]]:
    """Returns the logits or features of a batch, and the shape of what the network was given."""
    returned, got = _run(adapter, batch, path, option)
    outputs = read_output(returned, FEATURES if has_head else LOGITS)
    if outputs is None or not outputs.is_floating_point():
        kind = "features" if has_head else "logits"
        raise ConfigError(
            f"{path} returns {described(returned)} for a batch of {got}, and a network returns a tensor of "
            f"numbers, or one named {kind} in a dictionary, a tuple or a dataclass; wrap it in a module that does"
        )
    return outputs, got


def _is_sequence(adapter: Adapter, batch: dict[str, Tensor], shape: tuple[int, ...], path: str) -> bool:
    """Returns True if features of three axes are (N, T, D), as of rows without steps, and False for (N, D, T).

    A row with a step less shows which axis has the steps where both could.
    """
    steps = adapter.steps
    if not steps or steps not in shape[1:]:
        return not steps
    if shape[1] != shape[2]:
        return shape[1] == steps
    try:
        returned, _ = _run(
            adapter, {"x": batch["x"][..., :-1]}, path, ""
        )  # without lengths, to which it would be padded
    except ConfigError:  # rows of another number of steps are not taken
        return True
    outputs = read_output(returned, FEATURES)
    return outputs is None or outputs.shape[1] != steps


def _run(adapter: Adapter, batch: dict[str, Tensor], path: str, option: str) -> tuple[Any, tuple[int, ...]]:
    """Returns what the network returns for a batch, and the shape of what it was given."""
    running, handles, given = list[tuple[str, nn.Module, Any]](), [], list[tuple[int, ...]]()

    def begins(name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        running.append((name, module, tensors[0] if tensors else None))
        given.extend([tuple(tensors[0].shape)] * bool(tensors))

    for name, module in adapter.body.named_modules():
        handles += [
            module.register_forward_pre_hook(
                lambda inner, args, kwargs, name=name: begins(name, inner, args, kwargs), with_kwargs=True
            ),
            module.register_forward_hook(lambda *_: running.pop() and None),
        ]
    try:
        returned, _ = adapter.run(batch["x"], batch.get("categories"), batch.get("lengths"))
    except Exception as error:  # a network of others raises errors of every kind
        got = given[0] if given else tuple(batch["x"].shape)
        raise ConfigError(
            f"{path} does not take a batch of {got}: {_layer(running, error)}; {_advice(running, option)}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return returned, given[0] if given else tuple(batch["x"].shape)


def _layer(running: list[tuple[str, nn.Module, Any]], error: Exception) -> str:
    """Returns what the innermost layer takes and what it was given, or the error's own words."""
    if not running:
        return reason(error)
    name, module, tensor = running[-1]
    size = next((attribute for attribute in SIZES if hasattr(module, attribute)), None)
    if size is None or tensor is None:
        where = f"its {name} ({type(module).__name__}) says " if name else ""
        return where + reason(error)
    value = getattr(module, size)
    value = ", ".join(map(str, value)) if isinstance(value, tuple) else value
    ids = f" up to {int(tensor.max())}" if size == "num_embeddings" and tensor.numel() else ""
    layer = f"its {name} ({type(module).__name__})" if name else "it"
    return f"{layer} takes {SIZES[size].format(value)} and was given {tuple(tensor.shape)}{ids}"


def _advice(running: list[tuple[str, nn.Module, Any]], option: str) -> str:
    """Returns what to do about a row that a network does not take."""
    _, module, tensor = running[-1] if running else ("", None, None)
    is_grey = tensor is not None and tensor.dim() == 4 and tensor.shape[1] == 1
    if is_grey and getattr(module, "in_channels", 0) == 3 and option == "--model.network":
        return "add --model.repeat_channels true to repeat the channel of grey images, or choose another network"
    return f"set the arguments below {option} that say so, or choose another network"


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Sets all modules to evaluation, without gradients; restores their modes and the random numbers afterwards."""
    modes, state = {module: module.training for module in network.modules()}, torch.get_rng_state()
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        torch.set_rng_state(state)

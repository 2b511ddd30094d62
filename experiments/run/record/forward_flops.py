"""Floating-point operations of one forward pass of one row, for the record of a run."""

import warnings

import torch
from lightning.pytorch.utilities.seed import isolate_rng

from experiments.internals.torch_flops_private import FlopCount
from lit_models import LitModel
from lit_models.any_network.trial import evaluating, example_rows


def forward_flops(model: LitModel) -> int | None:
    """Counts the operations of a forward pass of one row of the largest size, in evaluation.

    The weights, buffers, modes and random numbers stay as they are.

    Returns:
        Their number, two for a multiply-add; None if something in it cannot be counted, or there is nothing to count.
    """
    rows = example_rows(model.input_shape, len(model.cardinalities), model.vocab_size)
    batch = {name: tensor[:1] for name, tensor in rows.items()}
    count = FlopCount()
    try:
        weight = next(model.parameters())
        if batch["x"].is_floating_point():
            batch["x"] = batch["x"].to(weight.dtype)
        batch = {name: tensor.to(weight.device) for name, tensor in batch.items()}
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        with isolate_rng(include_cuda=False), evaluating(model), warnings.catch_warnings(), count:
            warnings.simplefilter("ignore")
            torch.func.functional_call(model, buffers, (), batch)
    except Exception:  # a network of the user's own may raise anything here, and trains all the same
        return None
    return None if count.uncounted else count.total or None

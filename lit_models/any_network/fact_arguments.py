"""Usual names of a network's arguments, and the facts of the data that fill them."""

from collections.abc import Sequence
from math import prod
from typing import Any

Facts = dict[str, dict[str, Any]]
"""Values by the usual names of their arguments, best first, of each fact."""

USUAL_NAMES = {
    "channels": ("in_chans", "in_channels", "num_channels", "n_channels", "input_channels", "c_in", "enc_in"),
    "outputs": (
        *("num_classes", "num_labels", "out_features", "n_classes", "num_outputs", "n_outputs"),
        *("output_size", "output_dim", "out_dim", "c_out", "d_out"),
    ),
    "values": ("in_features", "n_features", "input_dim", "in_dim", "d_in", "n_inputs"),
    "last axis": ("input_size",),
    "side": ("img_size", "image_size"),
    "steps": ("seq_len", "sequence_length", "max_len", "max_length", "max_seq_len", "n_steps"),
    "tokens": ("vocab_size", "num_embeddings", "n_vocab", "num_tokens", "n_tokens", "ntoken"),
    "padding": ("padding_idx", "pad_token_id", "pad_idx"),
    "shape": ("input_shape", "in_shape"),
}
"""Names that packages have for the same fact, in the order in which they are offered to ``**kwargs``.

Of a row that the network gets: ``channels`` of (C, T) and (C, H, W); ``outputs`` that the task needs; ``values``, all
numbers of a row; its ``last axis``, as ``torch.nn.LSTM`` means it, of an image as ``side``; the ``side`` of an image, H
or (H, W); the most ``steps`` of a series or a text; the ``tokens`` of a text, and the id of its ``padding``, 0.
"""


OFFERED = ("channels", "outputs", "values", "side", "steps", "tokens", "padding")
"""Facts that ``**kwargs`` are offered, since most networks have an argument for them."""


def facts_of_row(shape: Sequence[int], num_outputs: int, vocab_size: int, has_head: bool) -> Facts:
    """Returns what is known about a row that the network gets, by usual names.

    Args:
        shape: Shape of the row.
        num_outputs: Outputs that the task needs.
        vocab_size: Number of a text's token ids, 0 for other rows.
        has_head: True if a head maps the network's features to the outputs, so that these are none of its arguments.
    """
    shape, is_text = tuple(shape), vocab_size > 0
    facts: dict[str, Any] = {} if has_head else {"outputs": num_outputs}
    if is_text:
        facts |= {"steps": shape[0], "tokens": vocab_size, "padding": 0}
    else:
        facts |= {"values": prod(shape), "last axis": shape[-1]}
    if len(shape) > 1:
        facts["channels"] = shape[0]
    if len(shape) == 2:
        facts["steps"] = shape[1]
    if len(shape) == 3:
        side = shape[1] if shape[1] == shape[2] else shape[1:]
        facts |= {"side": side, "last axis": side}
    facts["shape"] = shape
    return {fact: dict.fromkeys(names, facts[fact]) for fact, names in USUAL_NAMES.items() if fact in facts}

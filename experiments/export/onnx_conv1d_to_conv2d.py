"""Rewrites convolutions over series as convolutions over images, for which ONNX Runtime has faster kernels.

Measured on one core on the CNN of MNIST-1D: 1.6 times as fast at batch 1, 2.1 times at batch 1,024.
"""

from typing import Any

AXIS = "one_pixel_high"
"""Initializer with the number of the axis that is inserted and removed."""


def widen(model: Any) -> None:
    """Rewrites 1-D ``Conv``, ``MaxPool`` and elementwise nodes between them in a sorted ``onnx.ModelProto``, in place.

    Their inputs get an axis of one element, and their outputs lose it; between two of them the rows keep it.
    """
    from onnx import TensorProto, helper

    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer if len(tensor.dims) == 3}
    wide: dict[str, str] = {}  # name of the widened tensor, if there is one
    nodes = []
    for node in graph.node:
        first = node.input[0] if node.input else ""
        over_series = _is_over_series(node, weights)
        if not (over_series or (node.op_type == "Relu" and first in wide)):
            nodes.append(node)
            continue
        if first not in wide:
            wide[first] = f"{first}_wide"
            nodes.append(helper.make_node("Unsqueeze", [first, AXIS], [wide[first]]))
        if over_series:
            _over_images(node, weights)
        node.input[0] = wide[first]
        name = node.output[0]
        wide[name] = node.output[0] = f"{name}_wide"
        nodes += [node, helper.make_node("Squeeze", [wide[name], AXIS], [name])]
    if not wide:
        return
    graph.initializer.append(helper.make_tensor(AXIS, TensorProto.INT64, [1], [2]))
    used = {name for node in nodes for name in node.input} | {tensor.name for tensor in graph.output}
    del graph.node[:]
    graph.node.extend(node for node in nodes if node.op_type != "Squeeze" or node.output[0] in used)
    del graph.value_info[:]  # some shapes have changed


def _is_over_series(node: Any, weights: dict[str, Any]) -> bool:
    if node.op_type == "Conv":
        return node.input[1] in weights
    sizes = [attribute for attribute in node.attribute if attribute.name == "kernel_shape"]
    return node.op_type == "MaxPool" and len(node.output) == 1 and bool(sizes) and len(sizes[0].ints) == 1


def _over_images(node: Any, weights: dict[str, Any]) -> None:
    """Inserts a dimension of size 1 into a node's attributes and weights."""
    for attribute in node.attribute:
        if attribute.name in ("kernel_shape", "strides", "dilations"):
            attribute.ints.insert(0, 1)
        elif attribute.name == "pads":
            start, end = attribute.ints
            del attribute.ints[:]
            attribute.ints.extend([0, start, 0, end])
    if node.op_type == "Conv" and len(weights[node.input[1]].dims) == 3:  # two nodes may share it
        weights[node.input[1]].dims.insert(2, 1)

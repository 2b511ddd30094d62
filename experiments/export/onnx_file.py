"""A graph as an ONNX file, and ONNX Runtime to answer with it."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from datamodules.errors import DataError
from experiments.export.onnx_conv1d_to_conv2d import widen

EXTRA = "ONNX is an extra; install it with pip install 'evenhand[export]'"


def save(program: ExportedProgram, example: dict[str, Tensor], any_steps: bool, path: Path) -> None:
    """Write a traced graph, without the paths of its source.

    Args:
        program: The graph.
        example: What it was traced with.
        any_steps: Whether rows have any number of steps.
        path: The file.

    Raises:
        DataError: Where the extra is not installed, or an operation has no counterpart in ONNX.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401, torch.onnx needs it and says so late
    except ImportError as error:
        raise DataError(EXTRA) from error
    try:
        with _quiet():
            made = torch.onnx.export(
                program, (), kwargs=example, dynamo=True, verbose=False, output_names=["prediction"]
            )
    except Exception as error:  # torch.onnx fails in every way there is
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"the graph has no counterpart in ONNX: {reason}; take --format torch-export") from error
    assert made is not None
    model = made.model_proto
    for node in (*model.graph.node, *(one for function in model.functions for one in function.node)):
        del node.metadata_props[:]
    widen(model)
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
        if any_steps and value.name == "x":
            value.type.tensor_type.shape.dim[-1].dim_param = "time"
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save_model(model, path)


class OnnxGraph:
    """A graph in ONNX Runtime, on as many threads as torch has.

    Args:
        path: The file.

    Raises:
        DataError: Where the extra is not installed, or the file is none.
    """

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise DataError(EXTRA) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise DataError(
                f"{path} is no graph that ONNX Runtime takes: {str(error).splitlines()[0][:200]}"
            ) from error
        self.names = [one.name for one in self.session.get_inputs()]

    def __call__(self, raw: dict[str, Tensor]) -> Tensor:
        """Raw rows -> what the task predicts (N, ...), float64."""
        (prediction,) = self.session.run(None, {name: raw[name].numpy() for name in self.names})
        return torch.from_numpy(prediction)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of operators that nobody uses."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)

"""Export format onnx: a graph as an ONNX file, and predictions by ONNX Runtime."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from typing_extensions import override

from datamodules.errors import DataError
from experiments.export.formats import ExportFormat, Graph
from experiments.export.onnx_conv1d_to_conv2d import widen

if TYPE_CHECKING:
    from experiments.inference.predictor import Predictor

EXTRA = "ONNX is an extra; install it with pip install 'evenhand[export]'"


FILE = "model.onnx"


class Onnx(ExportFormat):
    """Graph for ONNX Runtime."""

    @override
    def save(self, predictor: "Predictor", raw: dict[str, Tensor], folder: Path) -> bool:
        from experiments.export.graph import trace  # needs the training code, and reading does not

        traced = trace(predictor, raw)
        _write(traced.program, traced.example, traced.any_steps, folder / FILE)
        return traced.any_steps

    @override
    def load(self, folder: Path, about: dict[str, Any], files: Mapping[str, str], packages: list[str]) -> Graph:
        return OnnxGraph(folder / FILE)


def _write(program: ExportedProgram, example: dict[str, Tensor], any_steps: bool, path: Path) -> None:
    """Writes a traced graph without the paths of its source."""
    try:
        import onnx
        import onnxscript  # noqa: F401, torch.onnx needs it and fails late without it
    except ImportError as error:
        raise DataError(EXTRA) from error
    try:
        with _quiet():
            made = torch.onnx.export(
                program, (), kwargs=example, dynamo=True, verbose=False, output_names=["prediction"]
            )
    except Exception as error:  # torch.onnx raises errors of every kind
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"the graph has no counterpart in ONNX: {reason}; take --format torch-export") from error
    assert made is not None
    model = made.model_proto
    for node in (*model.graph.node, *(node for function in model.functions for node in function.node)):
        del node.metadata_props[:]
    widen(model)
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
        if any_steps and value.name == "x":
            value.type.tensor_type.shape.dim[-1].dim_param = "time"
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save_model(model, path)


class OnnxGraph:
    """Graph in ONNX Runtime, on as many threads as torch has."""

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
        self.names = [tensor.name for tensor in self.session.get_inputs()]

    def __call__(self, raw: dict[str, Tensor]) -> Tensor:
        """Predicts raw rows (N, ...), float64."""
        (prediction,) = self.session.run(None, {name: raw[name].numpy() for name in self.names})
        return torch.from_numpy(prediction)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences the exporter's warnings of operators that the graph does not use."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)

"""Export format onnx: a graph as an ONNX file, and predictions by ONNX Runtime."""

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from typing_extensions import override

from datamodules.errors import DataError, raise_shortage
from datamodules.preprocessing.json_rows import reason_of
from experiments.export.formats import ExportFormat, Graph
from experiments.export.onnx_conv1d_to_conv2d import widen

if TYPE_CHECKING:
    from experiments.inference.predictor import Predictor

EXTRA = "ONNX artefacts need onnx, onnxscript and onnxruntime; pip install '.[export]' in the checkout"
FILE = "model.onnx"


class Onnx(ExportFormat):
    """Graph for ONNX Runtime, which computes on as many threads as torch has."""

    @override
    def save(self, predictor: "Predictor", raw: dict[str, Tensor], folder: Path) -> bool:
        from experiments.export.graph import trace  # needs the training code, and reading does not

        traced = trace(predictor, raw)
        try:
            import onnx
            import onnxscript  # noqa: F401, torch.onnx needs it and fails late without it
        except ImportError as error:
            raise DataError(EXTRA) from error
        logger = logging.getLogger("torch.onnx")
        level = logger.level
        try:
            logger.setLevel(logging.ERROR)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of operators that the graph does not use
                made = torch.onnx.export(
                    traced.program, (), kwargs=traced.example, dynamo=True, verbose=False, output_names=["prediction"]
                )
        except Exception as error:  # torch.onnx raises errors of every kind
            raise DataError(
                f"the graph has no counterpart in ONNX: {reason_of(error)}; take --format torch-export"
            ) from error
        finally:
            logger.setLevel(level)
        assert made is not None
        model = made.model_proto
        for node in (*model.graph.node, *(node for function in model.functions for node in function.node)):
            del node.metadata_props[:]  # paths of the source
        widen(model)
        for value in model.graph.input:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
            if traced.any_steps and value.name == "x":
                value.type.tensor_type.shape.dim[-1].dim_param = "time"
        model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
        onnx.save_model(model, folder / FILE)
        return traced.any_steps

    @override
    def load(self, folder: Path, about: dict[str, Any], files: Mapping[str, str], packages: list[str]) -> Graph:
        try:
            import onnxruntime
        except ImportError as error:
            raise DataError(EXTRA) from error
        options, path = onnxruntime.SessionOptions(), folder / FILE
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise_shortage(error)
            raise DataError(f"{path} is no graph that ONNX Runtime takes: {reason_of(error)}") from error
        names = [tensor.name for tensor in session.get_inputs()]
        return lambda raw: torch.from_numpy(session.run(None, {name: raw[name].numpy() for name in names})[0])

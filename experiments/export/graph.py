"""A trained model as one graph: raw numbers in, probabilities or values out."""

import warnings
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from datamodules.preprocessing.modules import preparation
from experiments.inference.predictor import Predictor
from lit_models import ConfigError, LitModel


class Graph(nn.Module):
    """Preparation, network and the task's prediction.

    Args:
        prepare: What is done to raw numbers.
        model: Trained.
    """

    def __init__(self, prepare: nn.Module, model: LitModel) -> None:
        super().__init__()
        self.prepare = prepare
        self.model = model

    def forward(self, x: Tensor, categories: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        """Raw rows, category indices (N, C) and lengths (N,) -> what the task predicts, float64."""
        outputs = self.model(self.prepare(x, lengths), categories, lengths)
        prediction: Tensor = self.model.task.predict(outputs.float())
        return prediction


class Traced(NamedTuple):
    """A graph without Python in it, and whether rows may have any number of steps."""

    program: ExportedProgram
    any_steps: bool


def graph_of(predictor: Predictor) -> Graph:
    """The graph of a trained model, on the CPU."""
    return Graph(preparation(predictor.inputs), predictor.model).cpu().eval()


def trace(graph: Graph, example: dict[str, Tensor]) -> Traced:
    """Trace a graph with a batch of any size; any number of steps where the network allows it.

    Args:
        graph: Of a trained model.
        example: Raw rows, at least two of them, padded to as many steps as a row has at most.

    Raises:
        ConfigError: For a network that cannot be traced.
    """
    padded = "lengths" in example
    shapes: dict[str, dict[int, object]] = {name: {0: Dim.DYNAMIC} for name in example}
    last = example["x"].dim() - 1
    if padded:
        shapes["x"][last] = Dim.AUTO  # an LSTM makes it a constant, and says nothing
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what an LSTM keeps beside its weights
            program = torch.export.export(graph, (), kwargs=example, dynamic_shapes=shapes)
    except Exception as error:  # a network of a person's own fails in every way there is
        reason = " ".join(str(error).split())[:200]
        name = type(graph.model).__name__
        raise ConfigError(
            f"{name} cannot be traced into a graph: {reason}; its forward may not depend on the values of its inputs, "
            "or take --format safetensors"
        ) from error
    x = next(node for node in program.graph.nodes if node.op == "placeholder" and node.name == "x")
    return Traced(program, padded and not str(x.meta["val"].shape[last]).isdecimal())

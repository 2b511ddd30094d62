"""Graph of a trained model: raw numbers in, probabilities or values out."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from datamodules.preprocessing.json_rows import reason_of
from experiments.inference.predictor import Predictor
from lit_models import ConfigError, LitModel


class Graph(nn.Module):
    """Preprocessing of raw numbers, trained network, and the task's prediction."""

    def __init__(self, prepare: nn.Module, model: LitModel) -> None:
        super().__init__()
        self.prepare = prepare
        self.model = model

    def forward(self, x: Tensor, categories: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        """Predicts raw rows with category indices (N, C) and lengths (N,), float64."""
        outputs = self.model(self.prepare(x, lengths), categories, lengths)
        prediction: Tensor = self.model.task.predict(outputs.float())
        return prediction


class MeanOfGraphs(nn.Module):
    """Mean of the predictions of several graphs."""

    def __init__(self, graphs: Sequence[Graph]) -> None:
        super().__init__()
        self.graphs = nn.ModuleList(graphs)

    def forward(self, x: Tensor, categories: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        """Predicts raw rows with category indices (N, C) and lengths (N,), float64."""
        return torch.stack([graph(x, categories, lengths) for graph in self.graphs]).mean(dim=0)


class Traced(NamedTuple):
    """Graph without Python in it."""

    program: ExportedProgram
    example: dict[str, Tensor]  # raw rows that it was traced with
    any_steps: bool  # True if rows may have any number of steps


def trace(predictor: Predictor, raw: dict[str, Tensor]) -> Traced:
    """Traces a trained model for batches of any size, and any number of steps if the network allows it.

    The raw rows are padded to the most steps. Raises ``ConfigError`` for a network that cannot be traced.
    """
    graphs = [Graph(member.inputs.preprocessor(), member.model) for member in predictor.members]
    graph = (graphs[0] if len(graphs) == 1 else MeanOfGraphs(graphs)).cpu().eval()
    # A batch of one would stay a batch of one.
    example = {name: tensor[torch.arange(2) % len(tensor)].clone() for name, tensor in raw.items()}
    padded = "lengths" in example
    shapes: dict[str, dict[int, object]] = {name: {0: Dim.DYNAMIC} for name in example}
    last = example["x"].dim() - 1
    if padded:
        shapes["x"][last] = Dim.AUTO  # an LSTM makes it a constant without a warning
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about buffers that an LSTM keeps beside its weights
            program = torch.export.export(graph, (), kwargs=example, dynamic_shapes=shapes)
    except Exception as error:  # a user's network raises errors of every kind
        names = " or ".join(sorted({type(each.model).__name__ for each in graphs}))
        raise ConfigError(
            f"{names} cannot be traced into a graph: {reason_of(error)}; its forward may not "
            "depend on the values of its inputs, or take --format safetensors"
        ) from error
    x = next(node for node in program.graph.nodes if node.op == "placeholder" and node.name == "x")
    return Traced(program, example, padded and not str(x.meta["val"].shape[last]).isdecimal())

"""Weights alone, as safetensors or as a state dict: the network is made again by the training code."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from datamodules.errors import DataError
from experiments import import_allowlist
from experiments.checked_zip import check
from experiments.export.artifact import FILES, LEARNED, Graph, inputs_of, learned
from experiments.export.check_rows import eager
from experiments.inference.predictor import Predictor, build_model, of_network
from experiments.run.record.export_samples import save_tensors
from lit_models import LitModel


def save(predictor: Predictor, as_state_dict: bool, folder: Path) -> None:
    """Write the model's state dict, and beside it what was learned of the train rows' numbers."""
    state = {name: tensor.cpu().contiguous() for name, tensor in predictor.model.state_dict().items()}
    if as_state_dict:
        torch.save(state, folder / FILES["state-dict"])
    else:
        save_tensors(folder / FILES["safetensors"], state)
    save_tensors(folder / LEARNED, learned(predictor.inputs))


def about_model(model: LitModel) -> dict[str, Any]:
    """What ``rebuilt`` makes the model of, as plain values."""
    made = type(model)
    return {"class_path": f"{made.__module__}.{made.__qualname__}", "hyper_parameters": of_network(model.hparams)}


def rebuilt(folder: Path, about: dict[str, Any], vocabulary: str | None, packages: list[str]) -> Graph:
    """The model with its weights, as a function of raw rows.

    Raises:
        DataError: For weights that do not fit.
        ConfigError: For a class that is no model.
    """
    import_allowlist.allow(packages)
    file = folder / FILES[about["format"]]
    try:
        if about["format"] == "state-dict":
            check(file)
            state = torch.load(file, weights_only=True, map_location="cpu")
        else:
            state = load_file(file)
        model = build_model(about["model"]["class_path"], about["model"]["hyper_parameters"], state)
        inputs = inputs_of(about["raw"], vocabulary, load_file(folder / LEARNED))
    except Exception as error:  # of two libraries' readers and of anybody's constructor
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"the model of {folder} cannot be made again: {reason}") from error
    predictor = Predictor(model, inputs)

    def graph(raw: dict[str, Tensor]) -> Tensor:
        return eager(predictor, raw)

    return graph

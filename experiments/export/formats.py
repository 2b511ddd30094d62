"""Registry of the export formats; free of torch, since the command's help reads it."""

from typing import NamedTuple


class Entry(NamedTuple):
    """Class path of an ``ExportFormat``, and its line in the help."""

    class_path: str
    help: str


FORMATS = {
    "onnx": Entry("experiments.export.onnx_file.Onnx", "a graph for ONNX Runtime: raw numbers in, probabilities out"),
    "torch-export": Entry("experiments.export.torch_export_file.TorchExport", "the same graph for torch.export.load"),
    "safetensors": Entry("experiments.export.weights_file.Safetensors", "the weights, for the training code's network"),
    "state-dict": Entry("experiments.export.weights_file.StateDict", "torch.save(model.state_dict())"),
}
"""Export formats by name; a new one is a file with a subclass of ``ExportFormat``, and a line here."""

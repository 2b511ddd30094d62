"""Untrained networks of torchvision, timm and transformers, where those packages import beside this torch."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from conftest import Fit

from experiments.__main__ import main
from experiments.export import load_export
from experiments.inference import load

NETWORKS = {
    "torchvision": "--model.network torchvision.models.shufflenet_v2_x0_5",
    "timm": "--model.network timm.create_model --model.network.model_name test_resnet",
    "timm features": "--model.network timm.create_model --model.network.model_name test_vit "
    "--model.network.num_classes 0 --model.head linear",
    "transformers": "--model.network transformers.BertForSequenceClassification "
    "--model.network.config transformers.BertConfig --model.network.config.num_hidden_layers 1 "
    "--model.network.config.hidden_size 16 --model.network.config.num_attention_heads 2",
    "transformers features": "--model.network transformers.DistilBertModel "
    "--model.network.config transformers.DistilBertConfig --model.network.config.n_layers 1 "
    "--model.network.config.dim 16 --model.network.config.n_heads 2 --model.head linear",
}
FILLED = {
    "torchvision": "num_classes 1",
    "timm": "in_chans 3, num_classes 1",
    "timm features": "in_chans 3, img_size 32",
    "transformers": "config.num_labels 1, config.vocab_size ",
    "transformers features": "config.vocab_size ",
}


def write(folder: Path, is_text: bool) -> tuple[str, Any]:
    """Writes 40 texts, or as many coloured images, of two classes; returns the words of the data, and the rows."""
    y = numpy.arange(40) % 2
    if is_text:
        texts = [f"row {'good fine' if one else 'bad poor'} {'so ' * (number % 5)}" for number, one in enumerate(y)]
        frame = polars.DataFrame({"text": texts, "label": y})
        frame.write_csv(folder / "texts.csv")
        return f"--data TextData --data.path {folder}/texts.csv --data.text text --data.target label", frame
    images = numpy.random.default_rng(0).integers(0, 200, (40, 32, 32, 3)) + 50 * y[:, None, None, None]
    numpy.savez(folder / "images.npz", images=images.astype(numpy.uint8), labels=y)
    return f"--data ImageData --data.path {folder}/images.npz", images.astype(numpy.uint8)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_a_package_is_trained_loaded_and_exported(fit: Fit, tmp_path: Path, name: str) -> None:
    package = name.split()[0]
    try:
        import_module(package)
    except Exception as error:  # its operators may be compiled for another torch
        pytest.skip(f"{package} does not import: {error}")
    data, rows = write(tmp_path, package == "transformers")
    record = fit(*f"--trust {package} {data} --model LitModule {NETWORKS[name]} --trainer.max_epochs 1".split())
    assert any(f"from the data: {FILLED[name]}" in note for note in record["notes"]), record["notes"]
    want, output = load(record["path"], trust=[package]).predict(rows), tmp_path / "out"
    command = ["export", "--trust", package, "--ckpt_path", str(record["path"]), "--format", "onnx"]
    assert main([*command, "--output", str(output)]) == 0
    got = load_export(output).predict(rows)
    columns = [column for column in want.columns if column.startswith("probability")]
    assert numpy.abs(got[columns].to_numpy() - want[columns].to_numpy()).max() <= 1e-5

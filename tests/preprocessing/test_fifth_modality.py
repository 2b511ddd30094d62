"""A fifth modality, toy audio, needs its folder, its stem and two lines: it trains, predicts, exports and serves."""

import io
import json
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy
import polars
import pytest

from datamodules import DataError
from datamodules.preprocessing.restore_inputs import INPUTS
from experiments.__main__ import main
from experiments.export import load_export
from experiments.inference import load
from experiments.serve.load_predictor import open_answers
from experiments.serve.server_settings import Body, Settings
from lit_models.stems import STEMS

TRUST = ("--trust", "toy_audio")
MODELS = {
    "LitMLP": ("--model.hidden", "[16]"),
    "LitCNN": ("--model.channels", "[8,8]", "--model.kernel_size", "3"),
    "LitTransformer": ("--model.width", "16", "--model.heads", "2", "--model.num_layers", "1"),
}


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """Registers the modality for this file's tests alone."""
    sys.modules.pop("toy_audio", None)
    import toy_audio  # noqa: F401

    yield
    del INPUTS["audio"], STEMS["audio"]
    sys.modules.pop("toy_audio")


def trained(root: Path, model: str, epochs: int) -> Path:
    options = ["--trainer.max_epochs", str(epochs), "--seed_everything", "0", "--figures", "false"]
    folder = ["--trainer.default_root_dir", str(root), "--experiment", "e", "--run", "a"]
    assert main(["fit", *TRUST, "--data", "ToneData", "--model", model, *MODELS[model], *options, *folder]) == 0
    return root / "runs" / "e" / "a"


def waveforms() -> numpy.ndarray:
    from toy_audio.tone_data import tones

    return tones()[0].squeeze(1).double().numpy()


@pytest.mark.parametrize("model", MODELS)
def test_audio_trains_on_every_kind_of_stem(model: str, tmp_path: Path) -> None:
    record = json.loads((trained(tmp_path, model, 2) / "record.json").read_text())
    assert 0 <= record["metrics"]["test/accuracy"] <= 1


def test_audio_predicts_exports_and_serves(tmp_path: Path) -> None:
    run = trained(tmp_path, "LitCNN", 25)
    recorded = polars.read_parquet(run / "predictions.parquet")
    x = waveforms()
    numpy.save(tmp_path / "x.npy", x)
    command = ["predict", *TRUST, "--ckpt_path", str(run), "--input", str(tmp_path / "x.npy")]
    assert main([*command, "--output", str(tmp_path / "p.parquet")]) == 0
    expected = polars.read_parquet(tmp_path / "p.parquet")
    test_rows = expected[recorded["row"].to_list()]
    gaps = test_rows.select("^probability.*$").to_numpy() - recorded.select("^prediction.*$").to_numpy()
    assert numpy.abs(gaps).max() < 1e-6
    assert json.loads((run / "record.json").read_text())["metrics"]["test/auroc_macro"] > 0.8

    graph, weights = tmp_path / "graph", tmp_path / "weights"
    for format, folder in (("torch-export", graph), ("safetensors", weights)):
        output = ["--format", format, "--output", str(folder)]
        assert main(["export", *TRUST, "--ckpt_path", str(run), *output]) == 0
        found = load_export(folder, ["toy_audio"]).predict(x)
        assert found["prediction"].equals(expected["prediction"])
        assert (found["probability_low"] - expected["probability_low"]).abs().max() < 1e-5
    signature = json.loads((graph / "signature.json").read_text())
    assert signature["inputs"] == [{"name": "x", "dtype": "float64", "shape": ["batch", 1, 64]}]
    assert main(["export", *TRUST, "--verify", str(graph)]) == 0

    wav = io.BytesIO()
    with wave.open(wav, "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000)
        file.writeframes((x[2] * 2**12).astype("<i2").tobytes())
    for path in (run, graph):
        answers, about = open_answers(Settings((str(path),), packages=("toy_audio",)))
        assert about["rows"]["content_types"] == ["application/json", "audio/*"]
        rows, sound, image, short = answers([
            Body("application/json", json.dumps({"rows": x[:2].tolist()}).encode()),
            Body("audio/wav", wav.getvalue()),
            Body("image/png", b"png"),
            Body("application/json", b'{"rows": [[1, 2]]}'),
        ])  # fmt: skip
        assert [row["prediction"] for row in rows.content["predictions"]] == expected["prediction"][:2].to_list()
        assert sound.content["predictions"][0]["prediction"] == expected["prediction"][2]
        assert (image.status, short.status) == (415, 422)
        assert "application/json or audio/*" in image.content["error"]
    line = INPUTS.pop("audio")
    with pytest.raises(DataError, match="does not say what its inputs look like"):
        load(run, "cpu", ["toy_audio"])
    INPUTS["audio"] = line

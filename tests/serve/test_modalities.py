"""Images, series, texts and plain numbers through a server: what it answers is what predict says."""

import base64
import io
import json
from pathlib import Path

import numpy
import pytest
import torch
from digit_images import digits, write_npz
from malformed_requests import malformed
from opinion_texts import opinions
from PIL import Image
from server_process import same, serving, trained
from wave_series import waves

from experiments.__main__ import main
from experiments.inference import load


def test_an_image(tmp_path: Path) -> None:
    x, y = digits()
    run = trained(tmp_path, "--data", "ImageData", "--data.path", write_npz(tmp_path / "my.npz", x, y))
    predictor = load(run, "cpu")
    want = predictor.predict(x[:5])
    files = []
    for pixels in x[:5]:
        Image.fromarray(pixels).save(buffer := io.BytesIO(), "PNG")
        files.append(buffer.getvalue())
    assert predictor.predict(files).equals(want)
    with serving(run, tmp_path) as server:
        same(server.rows(x[:5].tolist()), want)
        same(server.rows((x[:5] / 255).tolist()), want)
        same(server.rows([base64.b64encode(one).decode() for one in files]), want)
        same(server.rows([f"data:image/png;base64,{base64.b64encode(files[0]).decode()}"]), want[:1])
        status, response = server.ask(files[0], "image/png")
        assert status == 200
        same(json.loads(response), want[:1])
        assert server.refusal(files[0][:60], "image/png")[1].startswith(
            "row 0 cannot be predicted: it cannot be decoded"
        )
        assert "it is no image of a format" in server.refusal(b"what", "image/jpeg")[1]
        assert server.refusal("", "image/png")[0] == 400
        other = io.BytesIO()
        Image.fromarray(x[0]).resize((9, 9)).save(other, "PNG")
        assert "it is 9 x 9 (height x width)" in server.refusal(other.getvalue(), "image/png")[1]
        secret = tmp_path / "secret.png"
        secret.write_bytes(files[0])
        for row in (str(secret), {"path": str(secret)}, [str(secret)]):
            assert server.refusal(json.dumps({"rows": [row]}))[0] == 422
        for kind, body in malformed(150, x[0].tolist(), seed=3):
            assert server.ask(body, kind)[0] < 500, (kind, body)
        assert server.refusal(json.dumps({"rows": numpy.zeros((2, 3, 3)).tolist()}))[0] == 422


def test_series(tmp_path: Path) -> None:
    arrays = waves()
    numpy.savez(tmp_path / "my.npz", **arrays)
    run = trained(tmp_path, "--data", "SeriesData", "--data.path", str(tmp_path / "my.npz"))
    some = [x[:, :length] for x, length in zip(arrays["x"][:6], arrays["lengths"], strict=False)]
    want = load(run, "cpu").predict(some)
    with serving(run, tmp_path) as server:
        rows = [one.tolist() for one in some]
        same(server.rows(rows), want)
        same(server.rows(rows[:1]), want[:1])
        assert "has 1 channels" in server.refusal(json.dumps({"rows": [[1, 2, 3]]}))[1]
        assert server.refusal(json.dumps({"rows": [[[None], [None]]]}))[1].endswith("it has no value")
        assert server.refusal(json.dumps({"rows": [[["a"], [1]]]}))[0] == 422
        for kind, body in malformed(150, rows[0], seed=4):
            assert server.ask(body, kind)[0] < 500, (kind, body)


@pytest.mark.slow
def test_texts_from_an_exported_graph(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    frame = opinions()
    frame.write_csv(tmp_path / "my.csv")
    words = ("--data.path", str(tmp_path / "my.csv"), "--data.text", "text", "--data.target", "label")
    run, graph = trained(tmp_path, "--data", "TextData", *words), tmp_path / "graph"
    want = load(run, "cpu").predict(frame)
    assert main(["export", "--ckpt_path", str(run), "--format", "onnx", "--output", str(graph)]) == 0
    texts = frame["text"].to_list()
    for place in (run, graph):
        with serving(place, tmp_path) as server:
            same(server.rows(texts), want)
            same(server.rows([{"text": text} for text in texts]), want)
            assert server.refusal(json.dumps({"rows": ["good", 3]}))[1].startswith("row 1 is 3")
            for kind, body in malformed(150, texts[0], seed=6):
                assert server.ask(body, kind)[0] < 500, (kind, body)


def test_numbers_of_a_package_of_ones_own(tmp_path: Path) -> None:
    run = trained(tmp_path, "--trust", "tiny_package", "--data", "Tiny")
    x = (torch.linspace(-1, 1, 7).unsqueeze(1) * torch.tensor([[1.0, 2.0, -1.0, 0.5]])).numpy()
    want = load(run, "cpu", ["tiny_package"]).predict(x)
    with serving(run, tmp_path, "--trust", "tiny_package", "--threads", "1", "--precision", "bf16") as server:
        got = server.rows(x.tolist())["predictions"]
        values = numpy.array([[*one["probabilities"].values()] for one in got])
        gap = numpy.abs(values - want[:, 2:].to_numpy()).max()
        assert 0 < gap < 0.02  # two to three digits, and not those of float32
        assert "trained on rows of shape (N, 4)" in server.refusal(json.dumps({"rows": [[1, 2, 3]]}))[1]
        for kind, body in malformed(150, x[0].tolist(), seed=7):
            assert server.ask(body, kind)[0] < 500, (kind, body)

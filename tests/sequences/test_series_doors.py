"""One series through every door of prediction: a file, an array, a list of arrays and JSON give the same answer."""

import json
from pathlib import Path

import numpy
from conftest import Fit
from wave_series import waves

from experiments.inference import load

NAN = float("nan")


def test_missing_steps_at_the_end_are_padding_in_every_form(fit: Fit, tmp_path: Path) -> None:
    arrays = waves()
    for x, length in zip(arrays["x"], arrays.pop("lengths"), strict=True):
        x[:, length:] = NAN
    arrays["x"][3, 0, 2:5] = NAN
    numpy.savez(tmp_path / "a.npz", **arrays)
    words = ("--data", "SeriesData", "--data.path", str(tmp_path / "a.npz"), "--model", "LitCNN")
    predictor = load(fit(*words, "--model.channels", "[8]", "--trainer.max_epochs", "1")["path"])
    expected = predictor.predict(tmp_path / "a.npz")
    rows = json.loads(json.dumps(arrays["x"].tolist()).replace("NaN", "null"))
    lines = [":".join([*(",".join(map(str, channel)) for channel in x)]) for x in arrays["x"].tolist()]
    (tmp_path / "a.ts").write_text("\n".join(["@classLabel false", "@data", *lines]))
    for source in (arrays["x"], list(arrays["x"]), rows, tmp_path / "a.ts"):
        assert predictor.predict(source).equals(expected)

"""Forty steps of a new user, from the wheel to a server, each typed into a shell in an empty folder, and their time."""

import json
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy
import polars
import pytest
from PIL import Image
from shell_session import Shell
from test_wheel import newcomer as newcomer
from test_wheel import wheel as wheel

MINUTES = 12
"""Of all steps together, on two cores."""

CHURN = "--data TableData --data.path churn.csv --data.target churned --data.id customer"
PHOTOS = "--data ImageData --data.path photos --data.size [32,32]"
SENSORS = "--data SeriesData --data.path sensors.parquet --data.id device --data.step time --data.target state"
FINDER = "--trainer.callbacks+=LearningRateFinder"
TICKETS = "--data TextData --data.path tickets.csv --data.text ticket --data.target team"
PYTHON = """python -c 'import evenhand, polars
run = evenhand.load("runs/tabledata/first")
print(run.predict(polars.read_csv("churn.csv").head(3)))'"""
ARTIFACT = PYTHON.replace("load(", "load_export(").replace("runs/tabledata/first", "model")


@dataclass(frozen=True)
class Step:
    """Words that are typed, what their output has to have, and the exit code."""

    command: str
    shows: str = ""
    code: int = 0


STEPS = [
    Step("evenhand --version", "evenhand "),
    Step("evenhand --help", "compare"),
    Step("evenhand fit --help", "--data"),
    Step("evenhand fitt --data Digits", "fit", 2),
    Step("evenhand demo", "transformer"),
    Step("evenhand inspect --data churn.csv", "--data TableData --data.path churn.csv", 2),
    Step(f"evenhand inspect {CHURN}", "one column alone explains: calls"),
    Step(f"evenhand inspect {CHURN} --figures look", "columns.png"),
    Step(f"evenhand fit {CHURN} --seed_everything 0 --run first", "no --model was typed: LitLinear"),
    Step(f"evenhand fit {CHURN} --seed_everything 0 --run first", "is there already and finished", 2),
    Step(f"evenhand fit {CHURN} --lr 0.1", "model.optimizer.lr", 2),
    Step(f"evenhand fit {CHURN} --learning_rate 0.1", "model.optimizer.lr", 2),
    Step(f"evenhand fit {CHURN} --model torch.nn.Linear", "torch.nn.Linear", 2),
    Step(f"evenhand fit {CHURN} --model LitMLP --run mlp", "chosen: epoch"),
    Step(
        f"evenhand fit {CHURN} --model LitMLP --trainer.callbacks+=LearningRateFinder --run found",
        "found model.optimizer",
    ),
    Step(f"evenhand floor {CHURN}", "gradient boosting"),
    Step("evenhand compare runs/tabledata", "LitMLP"),
    Step("evenhand compare runs/tabledata --what-changed | head -5", "", 0),
    Step(
        f"evenhand sweep {CHURN} --grid model=auto,LitMLP --seeds 0..2 --experiment three", "6 of 6 runs are finished"
    ),
    Step("evenhand compare runs/three", "95 % interval"),
    Step("evenhand test --ckpt_path runs/tabledata/first", "accuracy"),
    Step("evenhand predict --ckpt_path runs/tabledata/first --input churn.csv --output churn-predictions.csv"),
    Step(PYTHON, "prediction"),
    Step(f"evenhand inspect {PHOTOS}", "train"),
    Step(f"evenhand fit {PHOTOS} --run photos", "LitCNN"),
    Step("evenhand predict --ckpt_path runs/imagedata/photos --input photos --output photos.csv"),
    Step(f"evenhand inspect {SENSORS}", "train"),
    Step(f"evenhand fit {SENSORS} --run sensors --save_every_n_steps 1  # killed"),
    Step(f"evenhand fit {SENSORS} --run sensors --save_every_n_steps 1", "LitCNN"),
    Step("evenhand predict --ckpt_path runs/seriesdata/sensors --input sensors.parquet --output sensors.csv"),
    Step(f"evenhand inspect {TICKETS}", "train"),
    Step(f"evenhand fit {TICKETS} --run tickets", "LitLinear"),
    Step("evenhand predict --ckpt_path runs/textdata/tickets --input tickets.csv --output teams.csv"),
    Step(f"evenhand fit {CHURN} --model LitMLP --print_config > recipe.yaml"),
    Step("evenhand fit -c recipe.yaml --trainer.max_epochs 5 --run recipe", "epoch 5"),
    Step("evenhand export --ckpt_path runs/tabledata/first --format onnx --output model", "largest difference"),
    Step("evenhand export --verify model", "largest difference"),
    Step(ARTIFACT, "prediction"),
    Step("evenhand serve --ckpt_path runs/tabledata/first --port 8137"),
]
"""Behind the first step, which installs the wheel; the last one is asked, and its page read."""


def write_data(folder: Path) -> None:
    """A messy table of customers, 300 photos, recordings in long form, and tickets."""
    draw = numpy.random.default_rng(0)
    rows = 600
    months, calls = draw.integers(1, 72, rows), draw.poisson(2, rows)
    income = numpy.where(draw.random(rows) < 0.1, None, draw.lognormal(8, 1, rows).round(2))
    columns = {
        "customer": [f"C-{index:05}" for index in range(rows)],
        "months": months,
        "calls": calls,
        "income": income.tolist(),
        "plan": draw.choice(["basic", "family", "business"], rows),
        "since": [f"20{year:02}-0{month}-11" for year, month in zip(24 - months // 12, 1 + months % 9, strict=True)],
        "churned": numpy.where(calls - months / 20 + draw.normal(size=rows) > 0, "yes", "no"),
    }
    polars.DataFrame(columns, strict=False).write_csv(folder / "churn.csv")
    for index in range(300):
        place = folder / "photos" / ("cats", "dogs", "birds")[index % 3]
        place.mkdir(parents=True, exist_ok=True)
        picture = draw.integers(0, 120, (32, 32, 3)) + numpy.array([100 * (index % 3 == color) for color in range(3)])
        Image.fromarray(picture.astype(numpy.uint8)).save(place / f"{index}.png")
    device = numpy.repeat(numpy.arange(120), 30)
    value = numpy.sin(numpy.tile(numpy.arange(30), 120) * (0.3 + 0.5 * (device % 2))) + draw.normal(0, 0.2, len(device))
    recordings = {"device": device, "time": numpy.tile(numpy.arange(30), 120), "value": value}
    state = numpy.array(["idle", "busy"])[device % 2]
    polars.DataFrame({**recordings, "state": state}).write_parquet(folder / "sensors.parquet")
    words = {"billing": "invoice refund charge", "support": "crash login screen", "sales": "price offer upgrade"}
    team = [*words] * 100
    tickets = [f"{' '.join(draw.permutation(words[one].split()))} please, case {draw.integers(999)}" for one in team]
    polars.DataFrame({"ticket": tickets, "team": team}).write_csv(folder / "tickets.csv")


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_first_hour_of_a_new_user(newcomer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_data(tmp_path)
    seconds = dict[str, float]()
    with Shell(newcomer, tmp_path) as shell:
        for step in STEPS:
            began = time.monotonic()
            printed = shell.type(step.command, code=step.code)
            seconds[step.command] = time.monotonic() - began
            assert step.shows in printed, (step.command, printed)
            assert "Traceback" not in printed, printed
        with urllib.request.urlopen("http://127.0.0.1:8137/info") as answer:
            assert "months" in answer.read().decode()
        row = json.dumps({"rows": polars.read_csv(tmp_path / "churn.csv").head(1).drop("churned").to_dicts()})
        request = urllib.request.Request(
            "http://127.0.0.1:8137/predict", row.encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200
    for name, rows in {"churn-predictions": 600, "photos": 300, "sensors": 120, "teams": 300}.items():
        assert polars.read_csv(tmp_path / f"{name}.csv").height == rows
    with capsys.disabled():
        print("", *(f"{took:6.1f} s  {command.splitlines()[0]}" for command, took in seconds.items()), sep="\n")
        print(f"{sum(seconds.values()):6.1f} s  together")
    assert sum(seconds.values()) < 60 * MINUTES

"""The commands of docs/any-network.md on networks of packages, each followed by all that a run can be asked."""

import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from doc_pages import blocks
from fork_server import Server, server
from paths import REPOSITORY
from PIL import Image
from resumed_runs import assert_equal, state
from server_process import same, serving

from experiments.__main__ import main
from experiments.export import load_export
from experiments.inference import load
from experiments.run.record.record_io import read_record

PACKAGES = ("torchvision", "timm", "transformers")
COMMANDS = {
    f"{command.split()[3]} {'features' if '--model.head' in command else 'logits'}": command
    for block in blocks(REPOSITORY / "docs" / "any-network.md")
    for command in block.commands
    if command.startswith(tuple(f"evenhand fit --trust {package} " for package in PACKAGES))
}
SHORTLY = "--data.batch_size 8 --trainer.max_epochs 2 --seed_everything 3 --figures false --experiment e --run one "
SHORTLY += "--save_every_n_steps 2 --trust faults --trainer.callbacks+ faults.Pause"


def write_data(folder: Path) -> None:
    """Writes 40 pictures of two classes into ``photos``, and as many texts into ``reviews.csv``."""
    generator, label = numpy.random.default_rng(0), numpy.arange(40) % 2
    for number, one in enumerate(label):
        pixels = generator.integers(0, 200, (32, 32, 3)) + 50 * one
        path = folder / "photos" / ("cat", "dog")[one] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(numpy.uint8)).save(path)
    texts = [f"row {'good fine' if one else 'bad poor'} {'so ' * (number % 5)}" for number, one in enumerate(label)]
    polars.DataFrame({"text": texts, "stars": label + 1}).write_csv(folder / "reviews.csv")


@pytest.fixture(scope="module")
def forks() -> Iterator[Server]:
    with server() as running:
        yield running


def test_the_page_has_a_command_of_each_package() -> None:
    assert {name.split()[0] for name in COMMANDS} == {*PACKAGES}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_network_of_a_package_does_what_any_other_does(
    forks: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    package = name.split()[0]
    try:
        import_module(package)
    except Exception as error:  # its operators may be compiled for another torch
        pytest.skip(f"{package} does not import: {error}")
    words = [*COMMANDS[name].split()[1:], *SHORTLY.split()]
    for folder in ("whole", "killed"):
        (tmp_path / folder).mkdir()
        write_data(tmp_path / folder)

    # Resumed after SIGKILL, to the bit.
    whole = forks.start(words, tmp_path / "whole")
    assert whole.wait() == 0, whole.output.read_text()
    killed = forks.start(words, tmp_path / "killed", PAUSE_AT="step 5")
    killed.wait_for(tmp_path / "killed" / "reached", seconds=240)
    killed.kill()
    resumed = forks.start(words, tmp_path / "killed")
    assert resumed.wait() == 0, resumed.output.read_text()
    run = Path("runs", "e", "one")
    assert_equal(state(tmp_path / "killed" / run), state(tmp_path / "whole" / run))

    # Tested, compared and used for predictions, from the checkpoint.
    monkeypatch.chdir(tmp_path / "killed")
    metrics = read_record(run)["metrics"]
    trust = ["--trust", package, "--trust", "faults", "--ckpt_path", str(run)]
    assert main(["test", *trust]) == 0
    assert read_record(run)["metrics"] == pytest.approx(metrics, abs=1e-6)
    capsys.readouterr()
    assert main(["compare", "runs/e"]) == 0
    assert f"{metrics['test/accuracy']:.4f}" in capsys.readouterr().out
    rows = "reviews.csv" if package == "transformers" else "photos"
    assert main(["predict", *trust, "--input", rows, "--output", "predictions.csv"]) == 0
    want = polars.read_csv("predictions.csv")
    probabilities = [column for column in want.columns if column.startswith("probability_")]
    assert len(want) == 40
    assert len(probabilities) == 2

    # Exported to ONNX within 1e-5, and served.
    assert main(["export", *trust, "--format", "onnx", "--output", "onnx"]) == 0
    inputs = inputs_of(rows)
    given = inputs if rows.endswith(".csv") else numpy.stack(inputs)
    got = load_export("onnx").predict(given)
    direct = load(run, trust=[package, "faults"]).predict(given)
    assert numpy.abs(got[probabilities].to_numpy() - direct[probabilities].to_numpy()).max() <= 1e-5
    shutil.rmtree(tmp_path / "whole")
    with serving(Path("onnx"), Path.cwd()) as served:
        same(served.rows(numpy.asarray(inputs[:2]).tolist()), got[:2])


def inputs_of(rows: str) -> list[Any]:
    """Returns the pictures of a folder, (32, 32, 3) each, in the order of their paths; or the texts of a table."""
    if rows.endswith(".csv"):
        return polars.read_csv(rows)["text"].to_list()
    return [numpy.asarray(Image.open(path)) for path in sorted(Path(rows).rglob("*.png"))]

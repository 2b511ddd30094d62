"""A real browser opens TensorBoard on a sweep: what people see there is what the records say."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import SCREENSHOTS, keep_screenshot, resize

from experiments.__main__ import main
from experiments.compare.seed_curves import aggregate
from experiments.run.record.custom_scalars import CURVES, MEANS
from experiments.run.record.hyperparameters import curated

SWEEP = "EVENHAND_SWEEP"
"""Names a folder runs/<experiment> of a sweep that is there already."""
ARCHITECTURES = {
    "linear": ["LitLinear"],
    "mlp": ["LitMLP"],
    "cnn": ["LitCNN", "--model.channels", "[4,4]", "--model.kernel_size", "3"],
    "gru": ["LitRNN", "--model.hidden", "4", "--model.cell", "gru"],
    "transformer": ["LitTransformer", "--model.width", "8", "--model.heads", "2", "--model.num_layers", "1"],
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five architectures, the one with the fewest settings first, of three seeds each."""
    if SWEEP in os.environ:
        return with_means(Path(os.environ[SWEEP]))
    root = tmp_path_factory.mktemp("sweep")
    words = ["fit", "--trust", "tiny_package", "--data", "Tiny", "--trainer.max_epochs", "2", "--experiment", "e"]
    for name, model in ARCHITECTURES.items():
        for seed in range(3):
            own = ["--run", f"{name}-seed{seed}", "--seed_everything", str(seed), "--figures", str(seed == 0)]
            assert main([*words, *own, "--model", *model, "--trainer.default_root_dir", str(root)]) == 0
    return with_means(root / "runs" / "e")


def with_means(experiment: Path) -> Path:
    groups = {name: [experiment / f"{name}-seed{seed}" for seed in range(3)] for name in ARCHITECTURES}
    assert aggregate(experiment, groups) == list(ARCHITECTURES)
    return experiment


@pytest.fixture(scope="module")
def address(sweep: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    words = ["-m", "tensorboard.main", "--logdir", str(sweep), "--port", str(port), "--samples_per_plugin", "images=1"]
    server = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(240):
            time.sleep(0.5)
            with socket.socket() as server_is_there:
                if server_is_there.connect_ex(("localhost", port)) == 0:
                    break
        yield f"http://localhost:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


TEXT = """
const texts = [];
function walk(node) {
  if (node.nodeType === 3) { texts.push(node.textContent); return; }
  if (node.tagName === 'STYLE' || node.tagName === 'SCRIPT') return;
  if (node.shadowRoot) walk(node.shadowRoot);
  node.childNodes.forEach(walk);
}
walk(document.body);
return texts.map(text => text.trim()).filter(text => text).join('\\n');
"""
"""Collects the text of the page, and of its web components."""
CLICK = """
function walk(node) {
  if (node.tagName === 'PAPER-CHECKBOX' && node.textContent.trim() === NAME) { node.click(); return true; }
  if (node.shadowRoot && walk(node.shadowRoot)) return true;
  return [...node.childNodes].some(walk);
}
const NAME = arguments[0];
return walk(document.body);
"""
"""Ticks the box beside a name; true where there is one."""

PICTURES = """
const found = [];
function walk(node) {
  if (node.tagName === 'IMG' && node.src.includes('blob_key=')) found.push([node.src, node.naturalWidth]);
  if (node.shadowRoot) walk(node.shadowRoot);
  node.childNodes.forEach(walk);
}
walk(document.body);
return found;
"""
"""Address and width of every picture; the address holds run and tag."""


@pytest.fixture
def opened(browser: Any, address: str) -> Callable[..., str]:
    """Opens a tab, and waits until something stands there; gives the page's text."""

    def open_tab(tab: str, wanted: Callable[[str], bool], filtered: str = "") -> str:
        browser.get("about:blank")
        browser.get(f"{address}/#{tab}{filtered}")
        text, end = "", time.monotonic() + 240
        while time.monotonic() < end:
            time.sleep(2)
            text = browser.execute_script(TEXT)
            if wanted(text):
                break
        keep_screenshots(browser, tab)
        return text

    return open_tab


def keep_screenshots(browser: Any, name: str) -> None:
    """Keeps screenshots at the widths of a computer and of a phone."""
    for width, height in {1280: 900, 390: 844}.items() if SCREENSHOTS in os.environ else ():
        resize(browser, width, height)
        time.sleep(5)
        keep_screenshot(browser, f"tensorboard-{name}-{width}")
    resize(browser, 1750, 1000)


def records(sweep: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(sweep.glob("*/record.json"))]


def test_the_hparams_table_has_every_runs_final_metrics_and_every_groups_parameters(
    sweep: Path, opened: Callable[..., str], browser: Any
) -> None:
    runs = records(sweep)
    assert len(runs) == 15
    names = [run["run"] for run in runs]
    text = opened("hparams", lambda text: {*names, "test/accuracy"} <= {*text.splitlines()})
    assert "Number of matching session groups: 15" in text
    assert {name for run in runs for name in curated(run["hyperparameters"])} <= {*text.splitlines()}
    rows = cells(text, names)
    for run in runs:
        for name in ("test/accuracy", "test/f1_macro", "test/loss"):
            assert f"{run['metrics'][name]:#.5g}" in rows[run["run"]], (run["run"], name)
    # A parameter that some groups lack is a column too, once it is ticked.
    sizes = [run["hyperparameters"]["model.kernel_size"] for run in runs if run["model"] == "LitCNN"]
    assert not any("model.kernel_size" in run["hyperparameters"] for run in runs if run["model"] != "LitCNN")
    assert browser.execute_script(CLICK, "model.kernel_size")
    time.sleep(5)
    added = Counter(browser.execute_script(TEXT).splitlines()) - Counter(text.splitlines())
    assert added["model.kernel_size"]
    assert all(added[cell] == count for cell, count in Counter(f"{size:#.5g}" for size in sizes).items())


def cells(text: str, names: list[str]) -> dict[str, list[str]]:
    """Returns the cells of each run's row of the table."""
    found: dict[str, list[str]] = {}
    row: list[str] = []
    for line in text.splitlines():
        if line in names:
            row = found[line] = []
        row.append(line)
    return found


def test_the_images_tab_has_the_confusion_matrix(opened: Callable[..., str], browser: Any) -> None:
    opened("images", lambda text: "visuals/1_confusion_rows" in text, "&tagFilter=confusion_rows")
    shown: dict[tuple[str, str], int] = {}
    end = time.monotonic() + 60
    while time.monotonic() < end and not any(shown.values()):
        time.sleep(2)
        for source, width in browser.execute_script(PICTURES):
            key = source.partition("blob_key=")[2].partition("&")[0]
            _, run, tag, *_ = json.loads(base64.urlsafe_b64decode(f"{key}=="))
            shown[run, tag] = width
    assert shown["cnn-seed0", "visuals/1_confusion_rows"] > 300


def test_the_curves_have_names_that_a_person_can_read(opened: Callable[..., str]) -> None:
    text = opened("timeseries", lambda text: "cnn mean" in text)
    for name in ("cnn-seed0", "cnn mean", "transformer mean"):
        assert name in text.splitlines()


@pytest.mark.parametrize("printed", [CURVES, MEANS], ids=["fit", "sweep"])
def test_the_address_that_is_printed_shows_curves_of_train_and_val(printed: str, browser: Any, address: str) -> None:
    browser.get("about:blank")
    browser.get(printed.replace("http://localhost:6006", address))
    text, end = "", time.monotonic() + 240
    while time.monotonic() < end and "train\n/loss" not in text:
        time.sleep(2)
        text = browser.execute_script(TEXT)
    keep_screenshots(browser, "means" if printed == MEANS else "first")
    filtered = text.partition("Tags matching filter")[2].partition("Pinned")[0]
    assert "train\n/loss" in filtered
    assert "test\n/" not in filtered
    assert "gradient_norm" not in filtered
    assert {"cnn mean", "transformer mean"} <= {*text.splitlines()}
    assert ("cnn-seed0" in text.splitlines()) == (printed == CURVES)


def test_custom_scalars_has_a_chart_of_each_metric_and_one_with_margins(opened: Callable[..., str]) -> None:
    text = opened("custom_scalars", lambda text: "mean ± sd over seeds" in text)
    assert {"train and val", "loss", "accuracy", "mean ± sd over seeds"} <= {*text.splitlines()}

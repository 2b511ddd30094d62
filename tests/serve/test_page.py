"""A real browser on the page of ``evenhand serve``, at the width of a computer and of a phone."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from browser import keep_screenshot, resize
from digit_images import digits, write_npz
from noisy_tables import noisy
from noisy_tables import words as decided_words
from opinion_texts import opinions
from paths import PYTHONPATH
from people_table import people
from PIL import Image
from server_process import QUICKLY, serving
from wave_series import waves

from experiments.__main__ import main
from experiments.inference import load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WIDTHS = {1280: 900, 390: 844}
"""Width and height of a computer's page and a phone's."""

HOSTILE = "<img src=x onerror=alert(1)>"


class Opened:
    """The page in a browser."""

    def __init__(self, chromium: Any, name: str) -> None:
        self.browser, self.name = chromium, name

    def find(self, css: str) -> Any:
        return self.browser.find_element("css selector", css)

    def texts(self, css: str) -> list[str]:
        return [element.text for element in self.browser.find_elements("css selector", css)]

    def script(self, code: str, *arguments: Any) -> Any:
        return self.browser.execute_script(code, *arguments)

    def write(self, css: str, text: str) -> None:
        """Replaces what a field holds, as a person does."""
        code = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"
        self.script(code, self.find(css), text)

    def facts(self) -> dict[str, str]:
        return dict(zip(self.texts("dt"), self.texts("dd"), strict=True))

    def answer(self, text: str | None = None) -> list[str]:
        """Asks for a prediction, perhaps of another text; returns the large lines of the answer, or the error."""
        if text is not None:
            self.write("#text", text)
        self.script("document.getElementById('answers').replaceChildren();"
                    "document.getElementById('error').hidden = true")  # fmt: skip
        self.find("#ask").click()
        self.wait(lambda: self.find("#ask").is_enabled() and (self.texts(".answer") or self.find("#error").text))
        return self.texts(".answer") or [self.find("#error").text]

    def wait(self, there: Callable[[], Any]) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.browser, 60).until(lambda _: there())

    def check_widths(self) -> None:
        """Nothing is cut at either width, every field has a name, and a screenshot is kept."""
        for width, height in WIDTHS.items():
            resize(self.browser, width, height)
            assert self.script("return document.documentElement.scrollWidth") <= width
            cut = "e => e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 1"
            assert not self.script(
                f"return [...document.querySelectorAll('main *')].filter({cut}).map(e => e.outerHTML)"
            )
            keep_screenshot(self.browser, f"serve-{self.name}-{width}", whole=True)
        unnamed = "e => e.getClientRects().length && !(e.labels.length && e.labels[0].textContent.trim())"
        fields = "document.querySelectorAll('input, select, textarea')"
        assert not self.script(f"return [...{fields}].filter({unnamed}).map(e => e.outerHTML)")


@contextmanager
def page(run: Path, chromium: Any, folder: Path, name: str, *words: str) -> Iterator[Opened]:
    with serving(run, folder, *words) as server:
        resize(chromium, 1280, WIDTHS[1280])
        chromium.get(server.address)
        opened = Opened(chromium, name)
        opened.wait(lambda: opened.find("#ask").is_enabled())
        yield opened
        wrong = [line for line in chromium.get_log("browser") if not {"422", "400"} & {*line["message"].split()}]
        assert not wrong, wrong
        assert not chromium.find_elements("css selector", "img[src=x]")
        chromium.get("about:blank")


def trained(root: Path, *words: str) -> Path:
    """A run, its folder whole."""
    own = ("--figures", "false", "--trainer.default_root_dir", str(root), "--experiment", "e", "--run", "a")
    assert main(["fit", *words, *QUICKLY, *own]) == 0
    return root / "runs" / "e" / "a"


def row_of(run: Path) -> dict[str, Any]:
    """The prediction of the run's example, as its test recorded it."""
    return polars.read_parquet(run / "predictions.parquet").row(0, named=True)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table whose columns, categories and classes are HTML, with a name too long for a line."""
    root = tmp_path_factory.mktemp("table")
    frame = people(200, seed=1)
    label = frame["label"].replace_strict({"yes": HOSTILE, "no": "no"})
    city = frame["city"].replace({"Rome": "<b>Rome</b>"})
    frame = frame.with_columns(street=polars.Series([f"street {row % 80}" for row in range(200)]))
    names = {"city": "<i>city</i> & 'more'", "member": "__proto__", "income": "a_name_that_is_too_long_for_a_line" * 3}
    frame.with_columns(label=label, city=city).rename(names).write_csv(root / "my.csv")
    words = (
        f"--data TableData --data.path {root}/my.csv --data.target label --data.drop id --data.types.street categorical"
    )
    return trained(root, *words.split())


def test_a_table_has_a_field_for_each_column_filled_from_a_test_row(
    browser: Any, hostile: Path, tmp_path: Path
) -> None:
    frame = polars.read_csv(hostile.parents[2] / "my.csv").drop("id", "label")
    with page(hostile, browser, tmp_path, "table") as opened:
        facts, recorded = opened.facts(), row_of(hostile)
        assert opened.find("h1").text == "e/a"
        metrics = json.loads((hostile / "record.json").read_text())["metrics"]
        assert facts == {"target": "label", "task": "binary, 2 classes", "data": "TableData my.csv",
                         "test accuracy": f"{metrics['test/accuracy']:.4f}"}  # fmt: skip
        assert opened.texts("#cells label") == [" ".join(name.split()) for name in frame.columns]
        split = polars.read_parquet(hostile / "split.parquet")
        train = frame[split.filter(polars.col("part") == "train")["row"]]
        low, high = train["age"].min(), train["age"].max()
        assert opened.texts("#cells small")[:3] == [f"number, {low} to {high}", "3 categories", "true or false"]
        values = opened.script("return [...document.querySelectorAll('#cells input, #cells select')].map(e => e.value)")
        row = list(frame.row(recorded["row"]))
        age, city, member, joined, income, street = (value.removeprefix("=") or None for value in values)
        assert [age and float(age), city, member == "true", joined, float(income), street] == row
        streets = opened.script("return [...document.querySelector('#field5').list.options].map(e => e.value)")
        assert streets == sorted({*train["street"]})
        assert f"row {recorded['row']} of the data, a test row" in opened.find("#source").text
        assert opened.answer() == ["no" if recorded["prediction"] > 0.5 else HOSTILE]  # classes are sorted
        chance = recorded["prediction"]
        bars = dict(zip(opened.texts(".bar span:first-child"), opened.texts(".bar span:last-child"), strict=True))
        assert bars == {"no": f"{100 * chance:.1f} %", HOSTILE: f"{100 * (1 - chance):.1f} %"}
        opened.check_widths()
        # Other values, a category that is missing, and the Enter key.
        opened.write("#field0", "71")
        opened.script("arguments[0].value = ''", opened.find("#field1"))
        other = dict(zip(frame.columns, [71, None, *row[2:]], strict=True))
        want = load(hostile, "cpu").predict({name: [value] for name, value in other.items()})
        opened.script("document.getElementById('answers').replaceChildren()")
        opened.find("#field0").send_keys("\n")
        opened.wait(lambda: opened.texts(".answer"))
        assert opened.texts(".answer") == want["prediction"].to_list()
        opened.write("#field0", "old")
        assert opened.answer() == ["row 0 cannot be predicted: column age is 'old', which is not a number"]


def test_columns_beyond_the_fields_keep_the_values_of_the_test_row(browser: Any, tmp_path: Path) -> None:
    draw = numpy.random.default_rng(0)
    columns = {f"column {index}": draw.normal(size=60) for index in range(230)}
    polars.DataFrame(columns).with_columns(y=polars.Series(["a", "b"] * 30)).write_csv(tmp_path / "my.csv")
    run = trained(tmp_path, "--data", "TableData", "--data.path", str(tmp_path / "my.csv"), "--data.target", "y")
    with page(run, browser, tmp_path, "wide") as opened:
        assert len(opened.texts("#cells label")) == 200
        assert opened.find("#hint").text == "The other 30 columns keep the values of the test row."
        assert opened.answer() == ["b" if row_of(run)["prediction"] > 0.5 else "a"]
        chance = row_of(run)["prediction"]
        assert f"{100 * chance:.1f} %" in opened.texts(".bar span:last-child")


def test_numbers_and_rows_of_packages_of_ones_own(browser: Any, tmp_path: Path) -> None:
    run = trained(tmp_path, "--trust", "tiny_package", "--data", "Tiny")
    with page(run, browser, tmp_path, "numbers", "--trust", "tiny_package") as opened:
        recorded = row_of(run)
        del recorded["row"], recorded["target"]
        assert opened.answer() == [max(recorded, key=recorded.__getitem__).removeprefix("prediction_")]
    words = ["fit", "--trust", "toy_audio", "--data", "ToneData", "--experiment", "e", "--run", "tones"]
    own = ["--figures", "false", "--trainer.default_root_dir", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    command = [sys.executable, "-m", "experiments", *words, *QUICKLY, *own]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run = tmp_path / "runs" / "e" / "tones"
    with page(run, browser, tmp_path, "audio", "--trust", "toy_audio") as opened:
        assert opened.find("#text").get_attribute("value") == ""
        assert len(opened.answer(json.dumps([[0.0] * 64, [0.5] * 64]))) == 2


def test_sets_intervals_and_the_threshold_are_shown(browser: Any, tmp_path: Path) -> None:
    for task, options in {"binary": ("--model.threshold", "f1_binary"), "regression": ()}.items():
        (tmp_path / task).mkdir()
        options = (*options, "--model.interval", "0.8")
        run = trained(tmp_path / task, *decided_words(task, tmp_path / task / "rows.csv", *options))
        rule = json.loads((run / "record.json").read_text())["decisions"]["rule"]
        row = noisy(task)[[json.loads((run / "example.json").read_text())["row"]]]
        want = load(run, "cpu").predict(row).row(0, named=True)
        with page(run, browser, tmp_path / task, f"decisions-{task}") as opened:
            answer, shown = opened.answer(), opened.texts("#answers .soft")[-1]
            if task == "binary":
                assert answer == [want["prediction"]]
                assert shown == f"80 % set: {', '.join(name for name in ('no', 'yes') if want[f'in_set_{name}'])}"
                above = opened.facts()["threshold"].removeprefix("yes above ")
                assert float(above) == pytest.approx(rule["threshold"], rel=1e-3)
            else:
                low, high = (float(bound) for bound in shown.removeprefix("80 % interval: ").split(" to "))
                assert (low, high) == pytest.approx((want["lower"], want["upper"]), rel=1e-2)
            opened.check_widths()


def test_rows_of_a_table_are_pasted(browser: Any, tmp_path: Path) -> None:
    people(200).write_csv(tmp_path / "my.csv")
    words = f"--data TableData --data.path {tmp_path}/my.csv --data.target label --data.drop id"
    run = trained(tmp_path, *words.split())
    good = {"age": 39, "city": "Rome", "member": True, "joined": "2020-05-05", "income": 30000.5}
    (answer,) = load(run, "cpu").predict({name: [value] for name, value in good.items()})["prediction"]
    with page(run, browser, tmp_path, "pasted") as opened:
        opened.find("#by_text").click()
        assert not opened.find("#cells").is_displayed()
        assert opened.find("#text").get_attribute("value").splitlines()[0] == ",".join(good)
        line = "39,Rome,true,2020-05-05,30000.5"
        for text in (line, ",".join(good) + "\n" + line, json.dumps(good), json.dumps([good])):
            assert opened.answer(text) == [answer]
        assert len(opened.answer(f"{line}\n{line}")) == 2
        opened.check_widths()
        message = opened.answer(line.replace("39", "old"))
        assert message == ["row 0 cannot be predicted: column age is 'old', which is not a number"]
        assert opened.answer("39,Atlantis,true,2020-05-05,1") == [opened.find(".answer").text]
        assert "categories of city that no train row has" in opened.find("#notes").text


def test_a_value_with_its_name_from_a_checkpoint_alone(browser: Any, tmp_path: Path) -> None:
    people(200).drop("label").write_csv(tmp_path / "my.csv")
    words = f"--data TableData --data.path {tmp_path}/my.csv --data.target income --data.task regression --data.drop id"
    run = trained(tmp_path, *words.split())
    for file in run.iterdir():
        if file.is_file():
            file.unlink()
    want = load(run, "cpu").predict({"age": [39], "city": [None], "member": [None], "joined": [None]})
    with page(run, browser, tmp_path, "value") as opened:
        assert opened.facts() == {"target": "income", "task": "regression"}
        opened.write("#field0", "39")
        (message,) = opened.answer()
        name, value = message.split(": ")
        assert name == "income"
        assert float(value) == pytest.approx(want["prediction"][0], rel=1e-5)


def test_a_picture(browser: Any, tmp_path: Path) -> None:
    x, y = digits()
    run = trained(tmp_path, "--data", "ImageData", "--data.path", write_npz(tmp_path / "my.npz", x, y))
    Image.fromarray(x[0]).save(tmp_path / "first.png")
    (tmp_path / "none.png").write_bytes(b"no image")
    with page(run, browser, tmp_path, "image") as opened:
        predictor, recorded = load(run, "cpu"), row_of(run)
        opened.wait(lambda: opened.script("return document.getElementById('picture').naturalWidth") == 8)
        assert opened.answer() == predictor.predict(x[recorded["row"]][None])["prediction"].to_list()
        opened.check_widths()
        opened.find("#file").send_keys(str(tmp_path / "first.png"))
        assert opened.answer() == predictor.predict(x[:1])["prediction"].to_list()
        assert len(opened.texts(".bar")) == 4
        opened.find("#file").send_keys(str(tmp_path / "none.png"))
        assert "it is no image of a format that is read" in opened.answer()[0]


def test_a_text(browser: Any, tmp_path: Path) -> None:
    frame = opinions()
    frame.write_csv(tmp_path / "my.csv")
    words = ("--data.path", str(tmp_path / "my.csv"), "--data.text", "text", "--data.target", "label")
    run = trained(tmp_path, "--data", "TextData", *words)
    with page(run, browser, tmp_path, "text") as opened:
        recorded, predictor = row_of(run), load(run, "cpu")
        assert opened.find("#text").get_attribute("value") == frame["text"][recorded["row"]]
        assert opened.answer() == [str(int(recorded["prediction"] > 0.5))]
        opened.check_widths()
        want = predictor.predict(frame["text"].to_list()[:2])["prediction"]
        assert opened.answer("\n".join(frame["text"].to_list()[:2])) == [str(label) for label in want]


def test_a_series_is_plotted(browser: Any, tmp_path: Path) -> None:
    arrays = waves()
    numpy.savez(tmp_path / "my.npz", **arrays)
    run = trained(tmp_path, "--data", "SeriesData", "--data.path", str(tmp_path / "my.npz"))
    with page(run, browser, tmp_path, "series") as opened:
        predictor, row = load(run, "cpu"), row_of(run)["row"]
        series = arrays["x"][row][:, : arrays["lengths"][row]]
        assert opened.find("#plot").is_displayed()
        assert len(opened.texts("#plot .curve")) == 2
        label = opened.find("#plot").get_attribute("aria-label")
        for index, channel in enumerate(series.astype("float32")):
            summary = f": {len(channel)} steps, {channel.min():.6g} to {channel.max():.6g}"
            assert f"{index}{summary}" in label
        assert opened.answer() == predictor.predict([series])["prediction"].to_list()
        opened.check_widths()
        other = arrays["x"][0][:, : arrays["lengths"][0]]
        want = predictor.predict([other])["prediction"].to_list()
        assert opened.answer("\n".join(", ".join(map(repr, map(float, channel))) for channel in other)) == want
        assert opened.answer(str(other.tolist())) == want
        opened.write("#text", "1, nan, 3, 4\n2, 2, 2, 2")
        gap, flat = opened.script("return [...document.querySelectorAll('#plot .curve')].map(e => e.getAttribute('d'))")
        assert gap.count("M") == 2
        assert "NaN" not in gap + flat
        assert opened.answer("1, 2, x\n3, 4, 5") == ["x is no number; separate numbers by commas"]
        assert not opened.find("#plot").is_displayed()

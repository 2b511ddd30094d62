"""A real browser on the page of ``evenhand serve``: a row, a picture, a text and a series are typed, and read off."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import pytest
from browser import SCREENSHOTS
from digit_images import digits, write_npz
from opinion_texts import opinions
from people_table import people
from PIL import Image
from server_process import serving, trained
from test_serve import GOOD
from wave_series import waves

from experiments.inference import load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Opened:
    """The page in a browser."""

    def __init__(self, chromium: Any, name: str) -> None:
        self.browser, self.name = chromium, name

    def find(self, css: str) -> Any:
        return self.browser.find_element("css selector", css)

    def texts(self, css: str) -> list[str]:
        return [one.text for one in self.browser.find_elements("css selector", css)]

    def ask(self, text: str | None = None) -> list[str]:
        """Type something, and give the large lines of the answer, or the error."""
        if text is not None:
            self.find("#text").clear()
            self.browser.execute_script("arguments[0].value = arguments[1]", self.find("#text"), text)
        self.browser.execute_script("document.getElementById('answers').replaceChildren();"
                                    "document.getElementById('error').hidden = true")  # fmt: skip
        self.find("#ask").click()
        self.wait(lambda: self.find("#ask").is_enabled() and (self.texts(".answer") or self.find("#error").text))
        if SCREENSHOTS in os.environ:
            self.browser.save_screenshot(str(Path(os.environ[SCREENSHOTS]) / f"serve-{self.name}.png"))
        return self.texts(".answer") or [self.find("#error").text]

    def wait(self, there: Any) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.browser, 60).until(lambda _: there())


@contextmanager
def page(run: Path, chromium: Any, folder: Path, name: str) -> Iterator[Opened]:
    with serving(run, folder) as server:
        chromium.set_window_size(900, 760)
        chromium.get(server.address)
        opened = Opened(chromium, name)
        opened.wait(lambda: opened.find("#ask").is_enabled())
        yield opened
        wrong = [one for one in chromium.get_log("browser") if not {"422", "400"} & {*one["message"].split()}]
        assert not wrong, wrong
        chromium.get("about:blank")


def test_a_row_of_a_table(browser: Any, tmp_path: Path) -> None:
    frame = people(200)
    names = {"yes": "<img src=x onerror=alert(1)>", "no": "no"}
    frame.with_columns(label=frame["label"].replace_strict(names)).write_csv(tmp_path / "my.csv")
    words = f"--data TableData --data.path {tmp_path}/my.csv --data.target label --data.drop id"
    run = trained(tmp_path, *words.split())
    want = load(run, "cpu").predict({name: [value] for name, value in GOOD.items()})
    answer = want["prediction"][0]
    with page(run, browser, tmp_path, "table") as opened:
        line = "39,Rome,true,2020-05-05,30000.5"
        for text in (line, "age,city,member,joined,income\n" + line, '{"age": 39, "city": "Rome", "member": true, '
                     '"joined": "2020-05-05", "income": 30000.5}'):  # fmt: skip
            assert opened.ask(text) == [answer]
            bars = dict(zip(opened.texts(".bar span:first-child"), opened.texts(".bar span:last-child"), strict=True))
            assert {*bars} == {*names.values()}
            assert bars[answer] == f"{100 * want[f'probability_{answer}'][0]:.1f} %"
        assert not browser.find_elements("css selector", "#answers img")
        assert len(opened.ask(f"{line}\n{line}")) == 2
        message = opened.ask(line.replace("39", "old"))
        assert message == ["row 0 cannot be predicted: column age is 'old', which is not a number"]
        assert opened.ask("39,Atlantis,true,2020-05-05,1") == [opened.find(".answer").text]
        assert "categories of city that no train row has" in opened.find("#notes").text


def test_a_value_with_its_name(browser: Any, tmp_path: Path) -> None:
    people(200).drop("label").write_csv(tmp_path / "my.csv")
    words = f"--data TableData --data.path {tmp_path}/my.csv --data.target income --data.task regression --data.drop id"
    run = trained(tmp_path, *words.split())
    want = load(run, "cpu").predict({name: [value] for name, value in GOOD.items() if name != "income"})
    with page(run, browser, tmp_path, "value") as opened:
        (message,) = opened.ask("39,Rome,true,2020-05-05")
        name, value = message.split(": ")
        assert name == "income"
        assert float(value) == pytest.approx(want["prediction"][0], rel=1e-5)


def test_a_picture(browser: Any, tmp_path: Path) -> None:
    x, y = digits()
    run = trained(tmp_path, "--data", "ImageData", "--data.path", write_npz(tmp_path / "my.npz", x, y))
    Image.fromarray(x[0]).save(tmp_path / "one.png")
    (tmp_path / "none.png").write_bytes(b"no image")
    with page(run, browser, tmp_path, "image") as opened:
        assert "no picture yet" in opened.ask()[0]
        opened.find("#file").send_keys(str(tmp_path / "one.png"))
        assert opened.ask() == load(run, "cpu").predict(x[:1])["prediction"].to_list()
        assert len(opened.texts(".bar")) == 4
        opened.find("#file").send_keys(str(tmp_path / "none.png"))
        assert "it is no image of a format that is read" in opened.ask()[0]


def test_a_text_and_a_series(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    frame = opinions()
    frame.write_csv(tmp_path / "text" / "my.csv")
    words = ("--data.path", str(tmp_path / "text" / "my.csv"), "--data.text", "text", "--data.target", "label")
    run = trained(tmp_path / "text", "--data", "TextData", *words)
    with page(run, browser, tmp_path, "text") as opened:
        want = load(run, "cpu").predict(frame["text"].to_list()[:2])["prediction"]
        assert opened.ask("\n".join(frame["text"].to_list()[:2])) == [str(one) for one in want]
    (tmp_path / "series").mkdir()
    arrays = waves()
    numpy.savez(tmp_path / "my.npz", **arrays)
    run = trained(tmp_path / "series", "--data", "SeriesData", "--data.path", str(tmp_path / "my.npz"))
    one = arrays["x"][0][:, : arrays["lengths"][0]]
    want = load(run, "cpu").predict([one])["prediction"]
    with page(run, browser, tmp_path, "series") as opened:
        assert opened.ask("\n".join(", ".join(map(repr, map(float, channel))) for channel in one)) == want.to_list()
        assert opened.ask(str(one.tolist())) == want.to_list()
        assert opened.ask("1, 2, x\n3, 4, 5") == ["x is no number; separate numbers by commas"]

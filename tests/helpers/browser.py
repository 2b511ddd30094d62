"""A headless Chromium, driven by selenium; a test that asks for it is skipped where either is missing."""

import base64
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SCREENSHOTS = "EVENHAND_SCREENSHOTS"
"""Names a folder that gets the screenshots."""

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1750,1000",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium or chromedriver is not installed: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("profile")
    for option in (*OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(option)
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield opened
    opened.quit()


def resize(browser: Any, width: int, height: int) -> None:
    """Sets the size of the page, which a window does not go below 500 pixels with."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def keep_screenshot(browser: Any, name: str, whole: bool = False) -> None:
    """Writes a screenshot of what is visible, or the whole page, into the folder of ``EVENHAND_SCREENSHOTS``."""
    if SCREENSHOTS in os.environ:
        picture = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": whole})
        (Path(os.environ[SCREENSHOTS]) / f"{name}.png").write_bytes(base64.b64decode(picture["data"]))

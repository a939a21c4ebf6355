"""Chromium without a window, for tests of pages: marked `browser`, and skipped where it is not installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

SECONDS = 30
INSTALLED = shutil.which("chromedriver") is not None and shutil.which("chromium") is not None
NEEDS_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not INSTALLED and os.environ.get("SCIU_REQUIRE_BROWSER") != "1", reason="no chromium with chromedriver"
    ),
]  # fmt: skip


class Browser:
    """Chromium without a window."""

    def __init__(self) -> None:
        options = webdriver.ChromeOptions()
        for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1280,900"):
            options.add_argument(f"--{argument}")
        options.binary_location = str(shutil.which("chromium"))
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(str(shutil.which("chromedriver")))
        self.driver = webdriver.Chrome(options=options, service=service)

    def open(self, address: str, drawn: str) -> None:
        """Open a page, and wait until something on it is in sight."""
        self.driver.get(address)
        self.wait(lambda: self.all(drawn))

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def wait(self, holds: Callable[[], object]) -> None:
        """Wait until something holds."""
        WebDriverWait(self.driver, SECONDS).until(lambda _: holds())

    def all(self, selector: str) -> list[WebElement]:
        """Return the elements in sight of a selector."""
        return [each for each in self.driver.find_elements(By.CSS_SELECTOR, selector) if each.is_displayed()]

    def one(self, selector: str) -> WebElement:
        """Return the only element in sight of a selector."""
        (element,) = self.all(selector)
        return element

    def texts(self, selector: str) -> list[str]:
        """Return the texts of the elements in sight of a selector."""
        return [each.text for each in self.all(selector)]

    def errors(self) -> list[str]:
        """Return what the console says."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

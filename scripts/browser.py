"""A headless Chromium as a person's browser, for the browser tests and the screenshots."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # as root, in a container
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=Translate,OptimizationHints",
    "--lang=zh-CN",
)

Found = TypeVar("Found")


def missing() -> str:
    """Say what is not installed; empty when a browser can be started."""
    lacking = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else ""


class Page:
    """One tab on the chat, in the words of somebody who uses it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def deep(self, selector: str) -> list[Any]:
        """Return elements inside the page's components (their shadow roots), in document order."""
        found: list[Any] = self.driver.execute_script(
            "return [...document.querySelectorAll('*')].filter(e => e.shadowRoot)"
            ".flatMap(e => [...e.shadowRoot.querySelectorAll(arguments[0])])",
            selector,
        )
        return found

    def texts(self, role: str) -> list[str]:
        """Return the texts of one side's bubbles."""
        return [element.get_property("textContent") for element in self.deep(f".row.{role}:not(.typing) .bubble")]

    def settle(self) -> None:
        """Wait until the last bubble has stayed where it is: the page is drawn and scrolled to its end."""
        seen: list[Any] = []

        def still() -> bool:
            seen.append(self.deep(".bubble")[-1].rect)
            return len(seen) > 10 and all(place == seen[-1] for place in seen[-10:])

        self.wait(still)

    def say(self, text: str) -> None:
        """Type a message and press Enter."""
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys

        self.driver.find_element(By.CSS_SELECTOR, "[data-testid=stChatInputTextArea]").send_keys(text, Keys.ENTER)

    def wait(self, look: Callable[[], Found], *, seconds: float = 30.0) -> Found:
        """Look until something is found.

        Raises:
            TimeoutError: Nothing was found in that time.
        """
        from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException

        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if found := look():
                    return found
            except (StaleElementReferenceException, NoSuchElementException):
                pass  # the page is being drawn
            time.sleep(0.05)
        raise TimeoutError(f"the page did not show it within {seconds:.0f} s")


@contextmanager
def open_page(url: str, *, width: int = 1180, height: int = 860, scale: float = 1.0) -> Iterator[Page]:
    """Open a tab with a profile of its own, and close both afterwards."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.add_argument(f"--force-device-scale-factor={scale}")
        environment = {**os.environ, "TZ": "Asia/Shanghai"}
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver"), env=environment))
        try:
            driver.get(url)
            yield Page(driver)
        finally:
            driver.quit()

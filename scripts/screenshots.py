"""Take the pictures of the documentation from a real memory in a real browser: ``python -m scripts.screenshots``."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from scripts.browser import Page, missing, open_page
from scripts.processes import cem_rag, serving
from ui.commands.serve import EXAMPLE, EXAMPLE_PERSONA

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SAID = ("在干嘛呢", "你对什么过敏来着", "我今天好累 被老板骂了", "晚安")
SETTLE_SECONDS = 2.0
"""Bubbles arrive one after another."""


def main() -> None:
    """Build the bundled example, talk to it, and write docs/images/chat.png."""
    if missing():
        raise SystemExit(f"Screenshots need a browser; {missing()}.")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        memory = Path(folder) / "memory"
        for arguments in (
            ("import", EXAMPLE, "--as", "chat-jsonl", "--persona", EXAMPLE_PERSONA, "--memory", memory),
            ("build", "--memory", memory),
        ):
            done = cem_rag(*arguments)
            if done.returncode:
                raise SystemExit(done.stderr)
        with serving("serve", "--memory", str(memory)) as url, open_page(url, height=920, scale=1.5) as page:
            page.wait(lambda: page.deep(".bubble"))
            page.settle()
            for text in SAID:
                say_and_wait(page, text)
            page.driver.save_screenshot(str(IMAGES / "chat.png"))
            print(IMAGES / "chat.png")


def say_and_wait(page: Page, text: str) -> None:
    """Say something and wait until the answer stands there."""
    before = len(page.texts("assistant"))
    page.say(text)
    page.wait(lambda: len(page.texts("assistant")) > before and not page.deep(".typing"), seconds=90)
    time.sleep(SETTLE_SECONDS)


if __name__ == "__main__":
    main()

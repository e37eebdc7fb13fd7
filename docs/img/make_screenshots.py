"""Takes the pictures of the server's page that the documentation shows.

    python docs/img/make_screenshots.py [OUT]

Needs the extras server and test, and Chromium, which runs without a display. The page shown
is the one that `make_sample.py` draws, read by the bundled model.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
DESKTOP = {"width": 1280, "height": 820}
PHONE = {"width": 390, "height": 844}
READ = "#copy:not([disabled])"


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    with server() as url, browser() as chromium:
        take(chromium, url, out / "server_welcome.png", DESKTOP, "light", read=False)
        take(chromium, url, out / "server_page.png", DESKTOP, "light")
        take(chromium, url, out / "server_dark.png", DESKTOP, "dark")
        take(chromium, url, out / "server_phone.png", PHONE, "light")


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Runs a server of the bundled model, and yields its address."""
    command = [sys.executable, "-m", "crispvl", "serve", "--port", "0", "--threads", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                found = re.search(r" at (http://\S+)", line)
                if found:
                    yield found[1]
                    return
            raise RuntimeError("the server did not start")
        finally:
            process.terminate()


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=path, args=arguments)
        yield chromium
        chromium.close()


def take(chromium: Any, url: str, out: Path, size: Any, scheme: Any, read: bool = True) -> None:
    """Takes one picture, of the page when it opens or when it has read the sample."""
    context = chromium.new_context(viewport=size, color_scheme=scheme)
    page = context.new_page()
    page.goto(url)
    if read:
        page.click("#sample")
        page.wait_for_selector(READ)
        page.hover(".row:nth-of-type(4)")
        page.wait_for_timeout(1200)  # the lines have faded
    page.screenshot(path=out)
    context.close()


if __name__ == "__main__":
    main()

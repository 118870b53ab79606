"""Where Chromium is, and how it is started: for the tests, the benchmarks, the scripts and `make`.

    python scripts/chromium.py

prints the path of the one that is installed, and fails where there is none. `make` asks before the
environment exists: only `launch` needs Playwright.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

# The first has no windows at all, and takes three quarters of the others' time.
NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)


def find() -> str | None:
    """Return the path of an installed Chromium or Chrome, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def launch(playwright: Playwright) -> Browser:
    """Start it without a window, or else the Chromium that Playwright has loaded.

    Raises:
        FileNotFoundError: there is neither.
    """
    path = find() or playwright.chromium.executable_path
    if not Path(path).exists():
        raise FileNotFoundError("no Chromium: run `make browser`, or `playwright install chromium`")
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    return playwright.chromium.launch(executable_path=path, args=options)


if __name__ == "__main__":
    if not (found := find()):
        sys.exit("no Chromium: run `make browser`")
    print(found)

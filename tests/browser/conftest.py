"""A TensorBoard server and a headless Chromium, for tests that look at what a person sees.

A test asks for `tensorboard`, a function that serves a log directory, and for `page`, a browser's
page of its own. `TBLOG_SCREENSHOTS=<folder>` keeps a picture of each page that a test names.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = Path(os.environ.get("TBLOG_CHROMIUM", "/usr/bin/chromium"))
# Headless, without a GPU, alone: no first-run pages, no traffic of its own.
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TIMEOUT_SECS = 60

expect.set_options(timeout=TIMEOUT_SECS * 1000)


@dataclass(frozen=True)
class Server:
    """A running TensorBoard: where it is, and what it has read so far."""

    url: str

    def get(self, path: str) -> object:
        """Fetch a JSON answer, such as that of "data/plugin/scalars/tags"."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=TIMEOUT_SECS) as answer:
            return json.load(answer)

    def wait_for_scalar(self, run: str, tag: str) -> None:
        """Wait until TensorBoard has read a tag; a run's file is read from its start to its end."""
        deadline = time.monotonic() + TIMEOUT_SECS
        while tag not in (tags := self.get("data/plugin/scalars/tags")).get(run, {}):
            assert time.monotonic() < deadline, f"no scalar {tag!r} in run {run!r}: {tags}"
            time.sleep(0.1)


@contextmanager
def serve(log_dir: Path) -> Iterator[Server]:
    """Start TensorBoard on a free port of the loopback interface, and end it."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(log_dir)]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", "0"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        said = ""
        for line in process.stderr:
            said += line
            if found := re.search(r"http://\S+/", line):
                break
        else:
            pytest.fail(f"TensorBoard did not start: {said}")
        yield Server(found.group())
    finally:
        process.terminate()
        process.wait(timeout=TIMEOUT_SECS)
        process.stderr.close()


@pytest.fixture(scope="module")
def tensorboard() -> Iterator[Callable[[Path], Server]]:
    """Return a function that serves a log directory until the module's tests are done."""
    with ExitStack() as servers:
        yield lambda log_dir: servers.enter_context(serve(log_dir))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a headless Chromium. Playwright's event loop runs as long, so a module is its bound."""
    if not CHROMIUM.exists():
        reason = (
            f"no Chromium at {CHROMIUM}: install it (apt-get install chromium) or name one by TBLOG_CHROMIUM"
        )
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else [*FLAGS]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Return an empty page with a profile of its own; an assertion on it waits up to a minute."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(TIMEOUT_SECS * 1000)
    yield context.new_page()
    context.close()


@pytest.fixture
def screenshot(page: Page) -> Callable[[str], None]:
    """Return a function that keeps a picture of the page, where TBLOG_SCREENSHOTS says."""

    def keep(name: str) -> None:
        if folder := os.environ.get("TBLOG_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{name}.png")

    return keep

"""A TensorBoard server and a headless Chromium, for tests of what a person sees.

A test asks for `tensorboard`, a function that serves a log directory, and for `page`, a browser
page of its own. `TBLOG_SCREENSHOTS=<folder>` keeps a picture of each page that a test names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.serving import CHROMIUM, CHROMIUM_FLAGS, TIMEOUT_SECS, Server, serve
from tests.needs import do_without

expect.set_options(timeout=TIMEOUT_SECS * 1000)


@pytest.fixture(scope="module")
def tensorboard() -> Iterator[Callable[[Path], Server]]:
    """Return a function that serves a log directory until the module's tests end."""
    with ExitStack() as servers:
        yield lambda log_dir: servers.enter_context(serve(log_dir))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a headless Chromium for one module, since Playwright's event loop runs for as long."""
    if not CHROMIUM.exists():
        do_without(
            f"no Chromium at {CHROMIUM}: install it (apt-get install chromium) or name one by TBLOG_CHROMIUM"
        )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Return an empty page with its own profile; its assertions wait up to a minute."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(TIMEOUT_SECS * 1000)
    yield context.new_page()
    context.close()


@pytest.fixture
def screenshot(page: Page) -> Callable[[str], None]:
    """Return a function that saves a picture of the page in TBLOG_SCREENSHOTS, if set."""

    def keep(name: str) -> None:
        if folder := os.environ.get("TBLOG_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{name}.png")

    return keep

"""A report in a browser without a network, for tests of what a person sees."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Dialog, Locator, Page, expect

from tests.browser.serving import TIMEOUT_SECS


@contextmanager
def opened(
    browser: Browser,
    report: Path,
    size: tuple[int, int] = (1400, 900),
    scheme: Literal["light", "dark"] = "light",
    has_touch: bool = False,
    before: str = "",
) -> Iterator[Page]:
    """Open a report, after a script `before`; at the end check that it made no other request, logged no error and opened no dialog."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, offline=True, has_touch=has_touch
    )
    context.set_default_timeout(TIMEOUT_SECS * 1000)
    page = context.new_page()
    page.add_init_script(before)
    asked: list[str] = []
    said: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        said.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("request", lambda request: asked.append(request.url[:100]))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", dismiss)
    page.goto(report.as_uri())
    expect(page.locator("#about")).not_to_be_empty()
    yield page
    others = [
        url for url in asked if url != report.as_uri() and not url.startswith(("data:image/", "data:audio/"))
    ]
    assert not others, others
    assert not said, said
    context.close()


def show(page: Page, tab: str) -> None:
    """Open one of the report's tabs."""
    page.get_by_role("tab", name=tab).click()
    expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")


def card(page: Page, tag: str) -> Locator:
    """Scroll to the first card of a tag, which draws it, and return it."""
    found = page.locator("section:not([hidden]) .card").filter(has=page.get_by_text(tag, exact=True)).first
    found.scroll_into_view_if_needed()
    return found


def ink(page: Page, tag: str) -> str:
    """Return the pixels of a card's chart."""
    picture: str = card(page, tag).locator("canvas").evaluate("canvas => canvas.toDataURL()")
    return picture


def pixels(page: Page, tag: str) -> NDArray[np.int16]:
    """Return the same as (height, width, 4): red, green, blue and opacity."""
    encoded = base64.b64decode(ink(page, tag).partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGBA")).astype(np.int16)

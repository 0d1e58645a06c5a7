"""Axes of a report: ticks that differ, and curves of numbers of any size, as Chromium draws them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

import tblog
from tblog import SummaryWriter
from tests.browser import reports
from tests.browser.reports import card

pytestmark = pytest.mark.browser

COUNT = 20
FIRST_STEPS = {
    "plain": 0,
    "ten million": 10_000_000,
    "wide": 2**53,
    "last": 2**63 - COUNT,
    "negative": -(2**60),
}
SIZES = {"1e-310": 1e-310, "1e-30": 1e-30, "1": 1.0, "1e20": 1e20, "1e299": 1e299}
LEVELS = {"near 1000": (1000.0, 0.001), "near 123456": (123456.0, 10.0)}
KEEP_TEXTS = """
    const { fillText, clearRect } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.clearRect = function (...given) {
        this.canvas.texts = [];
        clearRect.apply(this, given);
    };
    CanvasRenderingContext2D.prototype.fillText = function (text, ...given) {
        this.canvas.texts?.push([this.textAlign === "right" ? "y" : "x", text]);
        fillText.apply(this, [text, ...given]);
    };
"""
"""A canvas cannot be asked for its texts, so it keeps those that were drawn since it was cleared."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a report of one wave at many steps, and in many sizes."""
    folder = tmp_path_factory.mktemp("axes")
    wave = np.sin(np.arange(COUNT) / 3) + 1.2
    with SummaryWriter(folder / "runs" / "a") as writer:
        for number in range(COUNT):
            for name, first in FIRST_STEPS.items():
                writer.add_scalar(name, wave[number], first + number)
            values = {name: size * wave[number] for name, size in SIZES.items()}
            values |= {name: level + size * wave[number] for name, (level, size) in LEVELS.items()}
            for name, value in values.items():
                writer.add_scalar(name, value, number, new_style=True, double_precision=True)
    with SummaryWriter(folder / "runs" / "b") as writer:
        writer.add_scalar("wide", 1.0, 2**53 + COUNT)
    return Path(tblog.report(folder / "runs", folder / "report.html").path)


@pytest.fixture(params=[(1400, 900), (390, 844)], ids=["desk", "phone"])
def page(browser: Browser, report: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Return the report, open; it must log no error during the test."""
    with reports.opened(browser, report, request.param, before=KEEP_TEXTS) as page:
        yield page


def ticks(page: Page, tag: str, axis: str) -> list[str]:
    """Return the texts of one axis of a card's chart."""
    canvas = card(page, tag).locator("canvas")
    expect(canvas).to_be_visible()
    texts: list[list[str]] = canvas.evaluate("canvas => canvas.texts")
    return [text for where, text in texts if where == axis and text]


def test_no_two_ticks_look_alike_and_each_says_its_number(page: Page) -> None:
    """However large the steps are, and however near the values are to each other."""
    for tag, first in FIRST_STEPS.items():
        found = [float(text) if "e" in text else int(text) for text in ticks(page, tag, "x")]
        assert len(found) == len(set(found)) >= 1
        assert all(first <= step <= first + COUNT for step in found), (tag, found)
    for tag, (level, size) in LEVELS.items():
        values = [float(text) for text in ticks(page, tag, "y")]
        assert len(values) == len(set(values)) >= 3
        gaps = np.diff(values)
        np.testing.assert_allclose(gaps, gaps[0], rtol=1e-6)
        assert all(abs(value - level) < 4 * size for value in values)


def test_values_of_every_size_draw_the_same_curve(page: Page) -> None:
    """Also those that are denormal, or whose squares no browser has: only the numbers at the axis differ."""
    for tag, size in SIZES.items():
        texts = [text for text in ticks(page, tag, "y") if text != "0"]
        assert all(0.1 * size < float(text) < 3 * size for text in texts), (tag, texts)
        assert len(set(texts)) == len(ticks(page, "1", "y")) - ("0" in ticks(page, "1", "y"))
        assert inked_rows(page, tag) == pytest.approx(inked_rows(page, "1"), abs=3)


def inked_rows(page: Page, tag: str) -> int:
    """Return how many rows of pixels a card's curve crosses."""
    red, _, blue, opacity = np.moveaxis(reports.pixels(page, tag), 2, 0)
    return int(((blue - red > 80) & (opacity > 100)).any(axis=1).sum())


def test_the_pointer_tells_large_steps_and_small_values_as_they_are(page: Page) -> None:
    """The box at the pointer has the exact step, and the value with its power of ten."""
    for tag, told in (
        ("wide", rf"step {2**53 + COUNT}\b"),
        ("last", rf"step {2**63 - 1}\b"),
        ("1e-310", r"8\.915e-311"),
    ):
        over = card(page, tag).locator(".u-over")
        box = over.bounding_box()
        assert box
        page.mouse.move(box["x"] + box["width"] - 1, box["y"] + box["height"] / 2)
        expect(card(page, tag).locator(".told")).to_contain_text(re.compile(told))

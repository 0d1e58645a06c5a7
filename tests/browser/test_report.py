"""The report in a real browser: opened as a file, without a network, at a desk and on a phone."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import tblog
from tblog import SummaryWriter
from tests.browser.serving import TIMEOUT_SECS

pytestmark = pytest.mark.browser

HOSTILE = '<img src=x onerror="window.hacked=1"></script><script>window.hacked=1</script><!--'
SPIKE_STEP, SPIKE = 7_777, 1000.0
POINTS = 10_000
TABS = ("Scalars", "Images", "Histograms", "Texts", "HParams")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a report of every kind: three seeds, a long curve with a spike, names and texts that are scripts."""
    folder = tmp_path_factory.mktemp("shared")
    generator = np.random.default_rng(seed=0)
    for seed in range(3):
        with SummaryWriter(folder / "runs" / f"small_seed{seed}") as writer:
            writer.log_hparams({"lr": 0.1 / (seed + 1), "optimizer": "sgd"})
            for step in range(50):
                writer.add_scalar("loss/train", 1 / (step + 1) + 0.1 * seed, step)
                writer.add_scalar("accuracy", step / 50, step)
            for step in (0, 10, 20):
                writer.add_image("sample", generator.integers(0, 255, (3, 8, 8)).astype(np.uint8), step)
                writer.add_histogram("weights", generator.normal(size=100), step)
                writer.add_text("remark", f"at {step}", step)
    with SummaryWriter(folder / "runs" / "long") as writer:
        values = generator.normal(size=POINTS)
        values[SPIKE_STEP] = SPIKE
        for step, value in enumerate(values.tolist()):
            writer.add_scalar("loss/long", value, step)
    with SummaryWriter(folder / "runs" / "hostile") as writer:
        writer.add_scalar(HOSTILE, 1.0, 0)
        writer.add_text(HOSTILE, HOSTILE, 0)
        writer.add_image(HOSTILE, np.zeros((3, 4, 4), np.uint8), 0)
        writer.add_histogram(HOSTILE, np.arange(5.0), 0)
        writer.log_hparams({HOSTILE: HOSTILE})
    return Path(tblog.report(folder / "runs", folder / "report.html", title=HOSTILE))


@pytest.fixture(params=[(1400, 900, "light"), (390, 844, "dark")], ids=["desk", "phone"])
def opened(browser: Browser, report: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Return the report, open in an offline browser; asks for nothing else and no complaint, till the test's end."""
    width, height, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
    )
    context.set_default_timeout(TIMEOUT_SECS * 1000)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url[:100]))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(report.as_uri())
    expect(page.locator(".card canvas").first).to_be_visible()
    yield page
    assert [url for url in asked if not url.startswith("data:image/")] == [report.as_uri()]
    assert said == []
    context.close()


def show(page: Page, tab: str) -> None:
    """Open one of the report's tabs."""
    page.get_by_role("tab", name=tab).click()
    expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")


def card(page: Page, tag: str) -> Locator:
    """Return the first card of a tag, scrolled to, which draws it."""
    found = page.locator("section:not([hidden]) .card").filter(has=page.get_by_text(tag, exact=True)).first
    found.scroll_into_view_if_needed()
    return found


def ink(page: Page, tag: str) -> str:
    """Return the picture that a card's chart shows."""
    return card(page, tag).locator("canvas").evaluate("canvas => canvas.toDataURL()")


def test_every_tab_shows_what_was_logged(opened: Page) -> None:
    """Curves, pictures, histograms, texts and the table of hyperparameters are there, drawn."""
    expect(card(opened, "loss/train").locator("canvas")).to_have_count(1)
    show(opened, "Images")
    picture = card(opened, "sample").locator("img")
    picture.scroll_into_view_if_needed()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 8
    show(opened, "Histograms")
    expect(card(opened, "weights").locator("canvas")).to_have_count(2)
    show(opened, "Texts")
    expect(card(opened, "remark/text_summary").locator("pre")).to_have_text("at 20")
    show(opened, "HParams")
    expect(opened.locator("tbody tr")).to_have_count(4)
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_slider_goes_through_the_steps(opened: Page) -> None:
    """Moved to its start, the slider shows the first step."""
    show(opened, "Texts")
    first = card(opened, "remark/text_summary")
    first.get_by_label("Step").fill("0")
    expect(first.locator("pre")).to_have_text("at 0")
    expect(first.locator("output")).to_have_text("step 0")


def test_what_was_logged_is_text_and_runs_nowhere(opened: Page) -> None:
    """Tags, texts, hyperparameters and a title that are HTML are shown as they are, and do nothing."""
    for tab in TABS:
        show(opened, tab)
        expect(opened.locator("main")).to_contain_text(HOSTILE[:30])
    assert opened.title() == HOSTILE
    assert opened.evaluate("window.hacked") is None


def test_search_leaves_the_tags_that_fit(opened: Page) -> None:
    """A regular expression hides the cards and groups whose tags it is not found in."""
    opened.get_by_label("Search tags").fill("loss/(tr|x)")
    cards = opened.locator("section:not([hidden]) .card:visible h3 span")
    expect(cards).to_have_text(["loss/train"])
    opened.get_by_label("Search tags").fill("(")
    expect(cards).to_have_count(0)


def test_settings_change_the_curves(opened: Page) -> None:
    """Smoothing, the axes and bands over seeds are drawn otherwise than plain curves."""
    panel = opened.locator("#panel")
    if panel.get_attribute("open") is None:
        panel.locator("summary").click()
    pictures = {ink(opened, "loss/train")}
    changes: list[Callable[[], None]] = [
        lambda: opened.locator("#smoothing").fill("0"),
        lambda: opened.get_by_label("log y").check(),
        lambda: opened.get_by_label("Horizontal axis").select_option("relative"),
        lambda: opened.get_by_label("Horizontal axis").select_option("wall"),
        lambda: opened.get_by_label("Show").select_option("range"),
        lambda: opened.get_by_label("Show").select_option("std"),
    ]
    for change in changes:
        change()
        opened.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
        picture = ink(opened, "loss/train")
        assert picture not in pictures
        pictures.add(picture)


def test_a_spike_is_drawn_and_told_with_its_value(opened: Page) -> None:
    """The largest of many points is kept exactly, at its step, and found under the pointer."""
    long = card(opened, "loss/long")
    long.scroll_into_view_if_needed()
    expect(long.locator(".note")).to_contain_text(re.compile(r"[\d,.]+ of 10.000 points"))
    if opened.locator("#panel").get_attribute("open") is None:
        opened.locator("#panel summary").click()
    opened.locator("#smoothing").fill("0")
    long.scroll_into_view_if_needed()
    over = long.locator(".u-over")
    box = over.bounding_box()
    told = long.locator(".told")
    at = int(box["width"] * SPIKE_STEP / (POINTS - 1))
    for x in range(at - 3, at + 4):
        over.hover(position={"x": x, "y": 12})
        if "1000" in told.inner_text() and f"step {SPIKE_STEP}" in told.inner_text():
            return
    pytest.fail(f"nothing near {at} tells of the spike: {told.inner_text()!r}")


def test_dragging_zooms_and_a_double_click_goes_back(opened: Page) -> None:
    """A part of a chart that is chosen by dragging fills it, until a double click."""
    whole = ink(opened, "loss/train")
    over = card(opened, "loss/train").locator(".u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    opened.mouse.move(box["x"] + 40, box["y"] + 80)
    opened.mouse.down()
    opened.mouse.move(box["x"] + 140, box["y"] + 90, steps=4)
    opened.mouse.up()
    deadline = time.monotonic() + TIMEOUT_SECS
    while ink(opened, "loss/train") == whole:
        assert time.monotonic() < deadline
    over.dblclick()
    while ink(opened, "loss/train") != whole:
        assert time.monotonic() < deadline


def test_printing_draws_what_was_not_in_view(opened: Page) -> None:
    """The printed page has a chart in each card of the open tab."""
    expect(opened.locator("html")).to_have_attribute("data-unpacked", "yes")
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    cards = opened.locator("section:not([hidden]) .card")
    expect(cards.locator("canvas")).to_have_count(cards.count())
    opened.evaluate("dispatchEvent(new Event('afterprint'))")


def test_the_page_opens_at_once(
    opened: Page, report: Path, record_property: Callable[[str, object], None]
) -> None:
    """How large the file is, and when its first chart stood, is told beside the test; the file is small."""
    record_property("bytes", report.stat().st_size)
    record_property("first_paint_ms", opened.evaluate("performance.getEntriesByType('paint')[0].startTime"))
    assert report.stat().st_size < 400_000

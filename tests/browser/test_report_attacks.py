"""A report of hostile runs: names that are code, values that are not finite, and far too much of everything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

import tblog
from tblog import SummaryWriter
from tests.browser import reports
from tests.browser.reports import card, show
from tests.slow import slow_but

pytestmark = pytest.mark.browser

CODE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "</style><style>*{display:none}</style><!--",
    '" onmouseover="alert(1)" x=\'',
    "javascript:alert(1)",
    "{{constructor.constructor('alert(1)')()}} ${alert(1)} %3Cscript%3E",
    "![x](http://127.0.0.1:9/x.png) <http://127.0.0.1:9>",
    "__proto__",
    "constructor/toString",
    "\u202etxt.exe \u2066hidden\u200f \u05e9\u05dc\u05d5\u05dd",
    "\x00\x1b[31m\x07\u2028\u2029\ufeff",
    "\U0001f600" * 40,
    "x" * 10_000,
)
WIDE_STEP = 2**53 + 3
MANY_TAGS = 10_000


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a report in which all names, texts and hyperparameters are code or odd."""
    folder = tmp_path_factory.mktemp("hostile")
    for number, code in enumerate(CODE):
        name = code.replace("/", "|").replace("\0", "")[:200]
        with SummaryWriter(folder / "runs" / f"{number}{name[:40]}") as writer:
            writer.log_hparams({code: code, "lr": 0.1 * number, "same": code})
            for step in (0, 1):
                writer.add_scalar(code, step, step)
                writer.add_scalar("loss", number + step, step)
                writer.add_text(code, code, step)
                writer.add_histogram(code, np.arange(4.0), step)
                writer.add_image(code, np.zeros((3, 2, 2), np.uint8), step)
                writer.add_audio(code, np.zeros((1, 100), np.float32), step)
                writer.add_pr_curve(code, np.array([0, 1]), np.array([0.3, 0.7]), step)
    source = {"".join(CODE)[:10_000]: str(folder / "runs")}
    return Path(tblog.report(source, folder / "report.html", title="".join(CODE)).path)


@pytest.mark.parametrize("size", slow_but([(1400, 900)], [(1400, 900), (390, 844)]), ids=["desk", "phone"])
def test_nothing_that_was_logged_does_anything(
    browser: Browser, hostile: Path, size: tuple[int, int]
) -> None:
    """Opening, hovering, searching and printing every tab causes no dialog, request, error or overflow in width."""
    with reports.opened(browser, hostile, size) as page:
        for tab in page.get_by_role("tab").all():
            tab.click()
            page.mouse.move(size[0] * 0.6, size[1] * 0.5)
            for section in page.locator("section:not([hidden]) .card").all():
                section.scroll_into_view_if_needed()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        show(page, "Scalars")
        for code in CODE:
            page.get_by_label("Search tags").fill(code[:100])
        page.evaluate("dispatchEvent(new Event('beforeprint')); dispatchEvent(new Event('afterprint'))")
        assert page.evaluate("document.querySelectorAll('script').length") == page.evaluate(
            "document.querySelectorAll('script[id]').length + 2"
        )
        assert page.locator("main a").count() == 0


def test_a_report_in_a_notebook_draws_and_stays_in_its_frame(browser: Browser, tmp_path: Path) -> None:
    """The frame shows the page, and the page's scripts cannot reach the notebook around it."""
    with SummaryWriter(tmp_path / "runs") as writer:
        writer.add_scalar("loss", 1.0, 0)
        writer.add_scalar("loss", 0.5, 1)
    notebook = tmp_path / "notebook.html"
    notebook.write_text(
        f"<!DOCTYPE html><title>Notebook</title>{tblog.report(tmp_path / 'runs')._repr_html_()}"
    )
    page = browser.new_page()
    page.goto(notebook.as_uri())
    frame = page.frame_locator("iframe")
    expect(frame.locator(".card canvas")).to_be_visible()
    inside = page.frames[1].evaluate("() => { try { return parent.document.title } catch { return null } }")
    assert inside is None
    page.close()


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a report of numbers that are hard to chart, and of empty runs."""
    folder = tmp_path_factory.mktemp("odd")
    with SummaryWriter(folder / "runs" / "odd") as writer:
        writer.add_scalar("one", 5.0, 7)
        for step, value in enumerate([1.0, np.nan, np.inf, -np.inf, 2.0]):
            writer.add_scalar("not all numbers", value, step)
            writer.add_scalar("no numbers", np.nan, step)
            writer.add_scalar("wide", value if step else 1e308, WIDE_STEP + step)
            writer.add_scalar("back", float(step), -step)
            writer.add_scalar("one step", float(step), 3)
            writer.add_scalar("at no time", float(step), step, walltime=0.0)
            writer.add_scalar("huge", (-1.0) ** step * 1e299, step, new_style=True, double_precision=True)
            writer.add_scalar(
                "too large", (-1.0) ** step * 1.7e308, step, new_style=True, double_precision=True
            )
        writer.add_text("wide", "text", WIDE_STEP)
        writer.add_text("empty", "", 0)
        writer.add_histogram("all the same", np.zeros(5), 0)
        writer.add_histogram("wide", np.array([-1e308, 1e308]), 0)
        for back in (2, 1, 0):
            writer.add_histogram("widest", np.arange(4.0), 2**63 - 1 - back)
        writer.log_hparams({"rate": float("nan"), "size": float("inf"), "name": ""})
    with SummaryWriter(folder / "runs" / "large") as writer:
        writer.log_hparams({"rate": 1.7e308, "size": -1.7e308, "name": "large"})
        writer.add_scalar("one", 6.0, 8)
    SummaryWriter(folder / "runs" / "nothing").close()
    return Path(tblog.report(folder / "runs", folder / "report.html").path)


def inked(page: Page, tag: str) -> int:
    """Return how many pixels of a card's chart have the last run's colour."""
    shown = reports.pixels(page, tag)
    near = np.abs(shown[..., :3] - [44, 160, 44]) < 30
    return int((near.all(axis=2) & (shown[..., 3] > 100)).sum())


@pytest.fixture
def page(browser: Browser, odd: Path) -> Iterator[Page]:
    """Return the report of odd numbers, open; it must log no error during the test."""
    with reports.opened(browser, odd) as page:
        yield page


def test_numbers_that_are_none_leave_the_others(page: Page) -> None:
    """Each tag has a card, which draws what each axis scale allows and says what it leaves out."""
    expect(card(page, "not all numbers").locator(".warning")).to_have_text(
        "3 points are NaN, infinite or too large to draw"
    )
    expect(card(page, "no numbers").locator(".warning")).to_have_text(
        "5 points are NaN, infinite or too large to draw"
    )
    assert inked(page, "not all numbers") > inked(page, "no numbers")
    expect(card(page, "too large").locator(".warning")).to_contain_text(
        "5 points are NaN, infinite or too large"
    )
    assert inked(page, "huge") > inked(page, "no numbers")
    for change in (
        lambda: page.get_by_label("log y").check(),
        lambda: page.get_by_label("log x").check(),
        lambda: page.get_by_label("Horizontal axis").select_option("relative"),
        lambda: page.get_by_label("Show").select_option("std"),
        lambda: page.get_by_label("Horizontal axis").select_option("wall"),
    ):
        change()
        for one in page.locator("section:not([hidden]) .card").all():
            one.scroll_into_view_if_needed()
            expect(one.locator("canvas, .nothing").first).to_be_visible()
    for tab in page.get_by_role("tab").all():
        tab.click()


def test_points_of_one_step_stand_above_each_other(page: Page) -> None:
    """As those of a loop that gives no step: the curve goes straight up, and the axis has numbers around the step."""
    xs = (
        card(page, "one step")
        .locator("canvas")
        .evaluate(
            """canvas => {
            const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
            copy.drawImage(canvas, 0, 0);
            const { data, width } = copy.getImageData(0, 0, canvas.width, canvas.height);
            const found = [];
            for (let at = 0; at < data.length; at += 4) {
                const [red, green, blue, alpha] = data.slice(at, at + 4);
                if (Math.max(red, green, blue) - Math.min(red, green, blue) > 60 && alpha > 100) found.push((at / 4) % width);
            }
            return found;
        }"""
        )
    )
    assert len(xs) > 50
    assert max(xs) - min(xs) < 10


def test_printing_says_what_has_not_been_read_yet(browser: Browser, odd: Path) -> None:
    """A page that is printed as soon as it opens has no empty cards."""
    page = browser.new_page()
    page.add_init_script(
        "DecompressionStream = class { constructor() { return new TransformStream({ transform: () => new Promise(() => {}) }); } };"
    )
    page.goto(odd.as_uri())
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    texts = page.locator("section:not([hidden]) .card .content").all_inner_texts()
    assert texts
    assert all("print again" in text for text in texts)
    page.close()


def test_a_step_that_no_browser_can_count_is_told_exactly(page: Page) -> None:
    """Steps above 2^53 are counted from a base that a browser has as an integer."""
    show(page, "Texts")
    expect(card(page, "wide/text_summary").locator("output")).to_have_text(f"step {WIDE_STEP}")
    show(page, "Histograms")
    expect(card(page, "widest").locator("output")).to_have_text(f"step {2**63 - 1}")
    expect(card(page, "widest").locator("canvas").first).to_be_visible()


def test_a_report_of_nothing_says_so(browser: Browser, tmp_path: Path) -> None:
    """Runs without values make a page with one sentence."""
    SummaryWriter(tmp_path / "runs").close()
    report = Path(tblog.report(tmp_path / "runs", tmp_path / "report.html").path)
    with reports.opened(browser, report) as page:
        expect(page.locator("main")).to_have_text("There is nothing in these runs.")


@pytest.mark.slow
def test_ten_thousand_tags_are_found_at_once(browser: Browser, tmp_path: Path) -> None:
    """The page opens, and the search finds one tag, within seconds."""
    with SummaryWriter(tmp_path / "runs") as writer:
        writer.add_scalar_dict({f"group{tag % 7}/tag{tag}": float(tag) for tag in range(MANY_TAGS)}, 0)
        writer.add_scalar_dict({f"group{tag % 7}/tag{tag}": 0.0 for tag in range(MANY_TAGS)}, 1)
    report = Path(tblog.report(tmp_path / "runs", tmp_path / "report.html").path)
    assert report.stat().st_size < 4_000_000
    start = time.monotonic()
    with reports.opened(browser, report) as page:
        expect(page.locator(".card canvas").first).to_be_visible()
        page.get_by_label("Search tags").fill("tag9999$")
        expect(page.locator(".card:visible")).to_have_count(1)
        expect(page.locator(".card:visible canvas")).to_be_visible()
    assert time.monotonic() - start < 30

"""The report in a real browser: opened as a file, without a network, on a desktop and on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

import tblog
from tblog import SummaryWriter
from tests.browser import reports
from tests.browser.reports import card, ink, show
from tests.waiting import wait_until

pytestmark = pytest.mark.browser

HOSTILE = '<img src=x onerror="window.hacked=1"></script><script>window.hacked=1</script><!--'
SPIKE_STEP, SPIKE = 7_777, 1000.0
POINTS = 10_000
TABS = ("Scalars", "Images", "Histograms", "Audio", "PR curves", "Texts", "HParams")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a report of every kind: three seeds, a long curve with a spike, and names and texts that are scripts."""
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
                writer.add_audio("beep", np.zeros((1, 4000), np.float32), step, sample_rate=8000)
                writer.add_pr_curve("pr/one", np.arange(90) % 2, generator.random(90), step)
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
        writer.add_audio(HOSTILE, np.zeros((1, 10), np.float32), 0)
        writer.add_pr_curve(HOSTILE, np.array([0, 1]), np.array([0.2, 0.8]), 0)
        writer.log_hparams({HOSTILE: HOSTILE})
    return Path(tblog.report(folder / "runs", folder / "report.html", title=HOSTILE).path)


@pytest.fixture(params=[(1400, 900, "light"), (390, 844, "dark")], ids=["desk", "phone"])
def opened(browser: Browser, report: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Return the report in an offline browser; it must make no other request and log no error during the test."""
    width, height, scheme = request.param
    with reports.opened(browser, report, (width, height), scheme, has_touch=width < 500) as page:
        expect(page.locator(".card canvas").first).to_be_visible()
        yield page


def test_every_tab_shows_what_was_logged(opened: Page) -> None:
    """Curves, pictures, histograms, texts and the hyperparameter table are drawn."""
    expect(card(opened, "loss/train").locator("canvas")).to_have_count(1)
    show(opened, "Images")
    picture = card(opened, "sample").locator("img")
    picture.scroll_into_view_if_needed()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 8
    show(opened, "Histograms")
    expect(card(opened, "weights").locator("canvas")).to_have_count(2)
    show(opened, "Audio")
    sound = card(opened, "beep").locator("audio")
    expect(sound).to_have_js_property("duration", 0.5)
    show(opened, "PR curves")
    expect(card(opened, "pr/one").locator("canvas")).to_have_count(1)
    show(opened, "Texts")
    expect(card(opened, "remark/text_summary").locator("pre")).to_have_text("at 20")
    show(opened, "HParams")
    expect(opened.locator("tbody tr")).to_have_count(4)
    expect(opened.locator("path.run")).to_have_count(4)
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_slider_goes_through_the_steps(opened: Page) -> None:
    """At its start, the slider shows the first step."""
    show(opened, "Texts")
    first = card(opened, "remark/text_summary")
    first.get_by_label("Step").fill("0")
    expect(first.locator("pre")).to_have_text("at 0")
    expect(first.locator("output")).to_have_text("step 0")


def test_a_step_that_was_chosen_stays(opened: Page) -> None:
    """A card redrawn in other colours keeps its step, and so do PR curves."""
    show(opened, "PR curves")
    curves = card(opened, "pr/one")
    last = ink(opened, "pr/one")
    curves.get_by_label("Step").fill("0")
    expect(curves.locator("output")).to_have_text("step 0")
    assert ink(opened, "pr/one") != last
    opened.get_by_role("button", name="Dark or light").click()
    expect(curves.locator("output")).to_have_text("step 0")


def test_dragging_along_an_axis_keeps_the_lines_that_pass_there(opened: Page) -> None:
    """In the parallel coordinates, lines outside the dragged range are faint until a tap on the axis."""
    show(opened, "HParams")
    coordinates = card(opened, "Parallel coordinates")
    axis = coordinates.locator(".axis").filter(has_text="loss/train").locator(".handle")
    axis.scroll_into_view_if_needed()
    box = axis.bounding_box()
    x, top = box["x"] + box["width"] / 2, box["y"]
    opened.mouse.move(x, top)
    opened.mouse.down()
    opened.mouse.move(x, top + box["height"] * 0.4, steps=3)
    opened.mouse.up()
    expect(coordinates.locator("output")).to_have_text("1 of 4 runs")
    expect(coordinates.locator("path.faded")).to_have_count(3)
    opened.mouse.click(x, top + 5)
    expect(coordinates.locator("path.faded")).to_have_count(0)


def test_axes_are_chosen_and_coloured(opened: Page) -> None:
    """A checkbox adds or removes an axis, and lines take the colour of a column."""
    show(opened, "HParams")
    coordinates = card(opened, "Parallel coordinates")
    before = coordinates.locator(".axis").count()
    coordinates.locator("summary").click()
    coordinates.get_by_label("lr", exact=True).uncheck()
    expect(coordinates.locator(".axis")).to_have_count(before - 1)
    coordinates.get_by_label("color by").select_option("loss/train")
    expect(coordinates.locator("path.run").first).to_have_css("stroke", re.compile(r"rgb"))
    strokes = coordinates.locator("path.run").evaluate_all("paths => paths.map((path) => path.style.stroke)")
    assert any("var(--dim)" in stroke for stroke in strokes)
    assert sum(stroke.startswith("rgb") for stroke in strokes) == 3


def test_what_was_logged_is_text_and_runs_nowhere(opened: Page) -> None:
    """HTML in tags, texts, hyperparameters and a title is shown as text and never runs."""
    for tab in TABS:
        show(opened, tab)
        expect(opened.locator("main")).to_contain_text(HOSTILE[:30])
    assert opened.title() == HOSTILE
    assert opened.evaluate("window.hacked") is None


def test_search_leaves_the_tags_that_fit(opened: Page) -> None:
    """A regular expression hides the cards and groups whose tags do not match."""
    opened.get_by_label("Search tags").fill("loss/(tr|x)")
    cards = opened.locator("section:not([hidden]) .card:visible h3 span")
    expect(cards).to_have_text(["loss/train"])
    opened.get_by_label("Search tags").fill("(")
    expect(cards).to_have_count(0)


def settled(page: Page, tag: str, unlike: set[str]) -> str:
    """Return a chart's picture once it is none of these, and two frames show the same."""
    seen = [""]

    def stays() -> bool:
        page.evaluate("() => new Promise(requestAnimationFrame)")
        seen.append(ink(page, tag))
        return seen[-1] == seen[-2] and seen[-1] not in unlike

    wait_until(stays)
    return seen[-1]


def test_settings_change_the_curves(opened: Page) -> None:
    """Smoothing, axis scales and bands over seeds change the drawing."""
    panel = opened.locator("#panel")
    if panel.get_attribute("open") is None:
        panel.locator("summary").click()
    pictures = {settled(opened, "loss/train", set())}
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
        pictures.add(settled(opened, "loss/train", pictures))


def test_a_spike_is_drawn_and_told_with_its_value(opened: Page) -> None:
    """The largest of many points keeps its exact value and step, and the tooltip shows it."""
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
    """Dragging zooms into a part of a chart; a double click resets it."""
    whole = ink(opened, "loss/train")
    over = card(opened, "loss/train").locator(".u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    opened.mouse.move(box["x"] + 40, box["y"] + 80)
    opened.mouse.down()
    opened.mouse.move(box["x"] + 140, box["y"] + 90, steps=4)
    opened.mouse.up()
    wait_until(lambda: ink(opened, "loss/train") != whole)
    over.dblclick()
    wait_until(lambda: ink(opened, "loss/train") == whole)


def test_two_fingers_zoom_and_pan(opened: Page) -> None:
    """Points under two fingers stay under them during a pinch; a double click resets the chart."""
    whole = ink(opened, "loss/train")
    over = card(opened, "loss/train").locator(".u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    touch = opened.context.new_cdp_session(opened)

    def fingers(kind: str, *places: tuple[float, float]) -> None:
        points = [
            {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"], "id": number}
            for number, (x, y) in enumerate(places)
        ]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", (0.4, 0.5), (0.6, 0.5))
    for part in (0.1, 0.2, 0.3):
        fingers("touchMove", (0.4 - part, 0.5), (0.6 + part, 0.5))
    fingers("touchEnd")
    wait_until(lambda: ink(opened, "loss/train") != whole)
    assert opened.evaluate("visualViewport.scale") == 1
    over.dblclick()
    wait_until(lambda: ink(opened, "loss/train") == whole)


def test_keys_reach_everything(opened: Page) -> None:
    """Arrows move through tabs and along a curve; plus zooms in, 0 resets; each control has a name."""
    whole = ink(opened, "loss/train")
    chart = card(opened, "loss/train").get_by_role("group")
    chart.focus()
    opened.keyboard.press("ArrowRight")
    expect(chart.locator(".told")).to_contain_text("step")
    opened.keyboard.press("+")
    wait_until(lambda: ink(opened, "loss/train") != whole)
    opened.keyboard.press("0")
    wait_until(lambda: ink(opened, "loss/train") == whole)
    opened.get_by_role("tab", name="Scalars").focus()
    for tab in [*TABS[1:], TABS[0]]:
        opened.keyboard.press("ArrowRight")
        expect(opened.get_by_role("tab", name=tab)).to_be_focused()
        expect(opened.get_by_role("tabpanel", name=tab)).to_be_visible()
        nameless = opened.evaluate(
            """() => [...document.querySelectorAll("button, input, select, audio, [tabindex], img, svg")]
                .filter((one) => !one.labels?.length && !one.ariaLabel && !one.textContent.trim() && !one.alt)
                .map((one) => one.outerHTML)"""
        )
        assert nameless == []


def test_printing_draws_what_was_not_in_view(opened: Page) -> None:
    """The printed page has a drawn chart in each card of the open tab."""
    expect(opened.locator("html")).to_have_attribute("data-unpacked", "yes")
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    cards = opened.locator("section:not([hidden]) .card")
    expect(cards.locator("canvas")).to_have_count(cards.count())
    opened.evaluate("dispatchEvent(new Event('afterprint'))")


@pytest.mark.slow
def test_the_page_opens_at_once(
    opened: Page, report: Path, record_property: Callable[[str, object], None]
) -> None:
    """The file is small and its first chart appears at once; the test records both figures."""
    record_property("bytes", report.stat().st_size)
    record_property("first_paint_ms", opened.evaluate("performance.getEntriesByType('paint')[0].startTime"))
    assert report.stat().st_size < 400_000

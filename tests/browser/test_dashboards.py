"""What a person sees: each TensorBoard page shows what the demo and a small extra run logged."""

from __future__ import annotations

import io
import itertools
import math
import re
import runpy
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tblog import SummaryWriter
from tests.browser.serving import TIMEOUT_SECS, Server
from tests.reading import points

pytestmark = pytest.mark.browser

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"
EPOCHS = 3
LAST_STEP = 23 * EPOCHS - 1


@pytest.fixture(scope="module")
def log_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the runs demo, demo/train, demo/validation and extra."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DEMO.parent)
        main = runpy.run_path(str(DEMO))["main"]
        main(["--logdir", str(folder / "demo"), "--epochs", str(EPOCHS)])
    log_extra(folder / "extra")
    return folder


def log_extra(run: Path) -> None:
    """Log the kinds that the demo does not use: a point cloud, a sound and a moving picture."""
    generator = np.random.default_rng(seed=0)
    points = generator.normal(size=(1, 2000, 3))
    points /= np.linalg.norm(points, axis=2, keepdims=True)
    seconds = np.arange(8000) / 8000
    frames = np.zeros((1, 8, 3, 32, 32), dtype=np.uint8)
    for frame in range(8):
        frames[0, frame, :, :, 4 * frame : 4 * frame + 4] = 255
    with SummaryWriter(run) as writer:
        writer.add_mesh("sphere", points, colors=((points + 1) * 127).astype(np.uint8), global_step=0)
        writer.add_audio("a4", np.sin(2 * math.pi * 440 * seconds), 0, sample_rate=8000)
        writer.add_video("moving_bar", frames, 0, fps=4)
        writer.add_scalar("ready", 1, 0)


@pytest.fixture(scope="module")
def server(tensorboard: Callable[[Path], Server], log_dir: Path) -> Server:
    """Return a TensorBoard that has read all of `log_dir`."""
    served = tensorboard(log_dir)
    served.wait_for_scalar("demo", "final/accuracy")
    served.wait_for_scalar("demo/validation", "accuracy")
    served.wait_for_scalar("demo/train", "accuracy")
    served.wait_for_scalar("extra", "ready")
    return served


@pytest.fixture
def show(page: Page, server: Server) -> Callable[[str], Page]:
    """Return a function that opens a dashboard by its name in TensorBoard's address."""

    def open_dashboard(name: str) -> Page:
        page.goto(f"{server.url}#{name}")
        return page

    return open_dashboard


def logged(run: Path, tag: str) -> dict[int, float]:
    """Return the values of a scalar by step, as TensorBoard's reader gives them."""
    return dict(points(run)[tag])


def open_category(page: Page, name: str) -> Locator:
    """Unfold a group of cards; TensorBoard opens only a page's first two groups."""
    title = page.locator(".category-name", has_text=re.compile(rf"^\s*{name}\s*$"))
    category = page.locator("tf-category-paginated-view").filter(has=title)
    if "iron-collapse-opened" not in category.locator("iron-collapse").first.get_attribute("class"):
        category.locator("button.heading").click()
    return category


def card(page: Page, element: str, title: str, category: str | None = None) -> Locator:
    """Return the card with that title; its group defaults to the first part of the title."""
    group = open_category(page, category or title.partition("/")[0])
    return group.locator(element).filter(has=page.get_by_text(title, exact=True)).first


def tooltip(page: Page, chart: Locator) -> list[list[str]]:
    """Move the mouse over a chart until a tooltip appears, and return the rows of its table."""
    rows = page.locator("vz-line-chart-tooltip tbody tr")
    deadline = time.monotonic() + TIMEOUT_SECS
    for move in itertools.count():
        # The chart reacts only to mouse moves, and only once its data are loaded.
        chart.hover(position={"x": 100 + 5 * (move % 2), "y": 50})
        if rows.count():
            break
        assert time.monotonic() < deadline, "the chart told no values"
    return [row.locator("td").all_inner_texts() for row in rows.all()]


def wait_for_colours(canvas: Locator, number: int = 100) -> None:
    """Wait until a canvas, which has no elements to query, shows at least this many colours."""
    expect(canvas).to_be_visible()
    deadline = time.monotonic() + TIMEOUT_SECS
    while len(colours := Image.open(io.BytesIO(canvas.screenshot())).getcolors(1 << 24)) < number:
        assert time.monotonic() < deadline, f"only {len(colours)} colours were drawn"


@pytest.mark.slow
def test_timeseries_shows_train_and_validation_in_one_chart(
    show: Callable[[str], Page], log_dir: Path, screenshot: Callable[[str], None]
) -> None:
    """The table under the chart names both runs, with their last steps and values."""
    page = show("timeseries")
    chart = page.locator("scalar-card").filter(has_text="accuracy").first
    for run in ("demo/train", "demo/validation"):
        row = chart.locator("tb-data-table-content-row").filter(has_text=run)
        last = logged(log_dir / run, "accuracy")[LAST_STEP]
        expect(row).to_contain_text(f"{LAST_STEP}")
        expect(row).to_contain_text(f"{last:.4g}")
    expect(page.locator("image-card img").first).to_be_visible()
    screenshot("timeseries")


def test_scalars_shows_the_logged_values(
    show: Callable[[str], Page], log_dir: Path, screenshot: Callable[[str], None]
) -> None:
    """The tooltip shows each run's value at that step as it was logged."""
    page = show("scalars")
    chart = card(page, "tf-scalar-card", "accuracy").locator(".main")
    rows = tooltip(page, chart)
    assert {row[1] for row in rows} == {"demo/train", "demo/validation"}
    for _, run, _, value, step, *_ in rows:
        assert float(value) == pytest.approx(logged(log_dir / run, "accuracy")[int(step)], rel=1e-3)
    screenshot("scalars")


def test_images_shows_the_pictures_with_their_steps(
    show: Callable[[str], Page], screenshot: Callable[[str], None]
) -> None:
    """The input grid, both figures and the moving picture are shown at their last steps."""
    page = show("images")
    steps = {"inputs": 0, "confusion": LAST_STEP, "mistakes": LAST_STEP, "moving_bar": 0}
    for title, step in steps.items():
        loader = card(page, "tf-image-loader", title)
        expect(loader.locator(".datetime")).to_be_visible()
        expect(loader).to_contain_text(re.compile(rf"step\s*{step}\b"))
        image = loader.locator("img").first
        expect(image).to_have_js_property("complete", value=True)
        assert image.evaluate("image => image.naturalWidth") > 0, title
    card(page, "tf-image-loader", "confusion").scroll_into_view_if_needed()
    screenshot("images")


def test_histograms_draws_one_for_each_epoch(
    show: Callable[[str], Page], screenshot: Callable[[str], None]
) -> None:
    """The weights' chart has one outline for each epoch."""
    page = show("histograms")
    outlines = card(page, "tf-histogram-loader", "parameters/conv1.weight").locator("svg .histogram")
    expect(outlines).to_have_count(EPOCHS)
    outlines.first.scroll_into_view_if_needed()
    screenshot("histograms")


def test_distributions_draws_bands(show: Callable[[str], Page], screenshot: Callable[[str], None]) -> None:
    """The weights' chart has bands, an axis of values and an axis of steps."""
    page = show("distributions")
    chart = card(page, "tf-distribution-loader", "parameters/conv1.weight")
    expect(chart.locator("path.area").first).to_be_visible()
    chart.scroll_into_view_if_needed()
    screenshot("distributions")


def test_graphs_shows_the_network_and_opens_it(
    show: Callable[[str], Page], screenshot: Callable[[str], None]
) -> None:
    """The model is one box; a double click shows its layers."""
    page = show("graphs")
    box = page.locator("g.node.meta").filter(has_text="DigitNet").first
    expect(box).to_be_visible()
    box.locator(".nodecolortarget").first.dblclick()
    for layer in ("conv1", "conv2", "hidden", "classifier"):
        expect(page.locator("g.node").filter(has_text=layer).first).to_be_visible()
    screenshot("graphs")


def test_hparams_tells_parameters_and_metrics(
    show: Callable[[str], Page], log_dir: Path, screenshot: Callable[[str], None]
) -> None:
    """The table contains the run's learning rate and final accuracy."""
    page = show("hparams")
    table = page.locator("tf-hparams-table-view")
    expect(table).to_contain_text("learning_rate")
    expect(table).to_contain_text("0.010000")
    accuracy = logged(log_dir / "demo", "final/accuracy")[LAST_STEP]
    expect(table).to_contain_text(f"{accuracy:.5g}")
    screenshot("hparams")


def test_text_renders_the_configuration_as_a_table(
    show: Callable[[str], Page], screenshot: Callable[[str], None]
) -> None:
    """The Markdown becomes a table with one row for each name."""
    page = show("text")
    rows = card(page, "tf-text-loader", "configuration/text_summary").locator("tbody tr")
    expect(rows.filter(has_text="learning_rate").last).to_contain_text("0.01")
    screenshot("text")


def test_pr_curves_shows_one_for_each_digit(
    show: Callable[[str], Page], screenshot: Callable[[str], None]
) -> None:
    """There are ten charts at the last step; a tooltip shows precision and recall."""
    page = show("pr_curves")
    expect(page.locator("tf-category-paginated-view").filter(has_text="digit")).to_contain_text("10")
    chart = card(page, "tf-pr-curve-card", "digit/0")
    expect(chart).to_contain_text(f"step {LAST_STEP}")
    (row,) = tooltip(page, chart.locator(".main"))
    assert row[1] == "demo"
    assert all(0 <= float(value) <= 1 for value in row[2:5])
    screenshot("pr_curves")


def test_projector_shows_the_digits(show: Callable[[str], Page], screenshot: Callable[[str], None]) -> None:
    """All validation digits are drawn in 64 dimensions, with labels and pictures."""
    projector = show("projector").frame_locator("iframe").frame_locator("iframe").locator("vz-projector")
    expect(projector).to_contain_text(re.compile(r"Points:\s*360"))
    expect(projector).to_contain_text(re.compile(r"Dimension:\s*64"))
    expect(projector.locator("vz-projector-data-panel")).to_contain_text("penultimate_layer")
    expect(projector.locator("vz-projector-data-panel")).to_contain_text("predicted")
    wait_for_colours(projector.locator("#scatter canvas").first)
    screenshot("projector")


def test_mesh_draws_the_points(show: Callable[[str], Page], screenshot: Callable[[str], None]) -> None:
    """The canvas shows points of many colours."""
    page = show("mesh")
    wait_for_colours(page.locator("tf-mesh-loader canvas").first)
    screenshot("mesh")


def test_audio_can_be_played(show: Callable[[str], Page], screenshot: Callable[[str], None]) -> None:
    """The browser decodes the sound, which lasts one second."""
    page = show("audio")
    audio = card(page, "tf-audio-loader", "a4").locator("audio")
    expect(audio).to_have_js_property("duration", 1)
    screenshot("audio")


@pytest.mark.slow
def test_custom_scalars_follows_the_layout(
    show: Callable[[str], Page], screenshot: Callable[[str], None]
) -> None:
    """All categories and charts are present, each with its tags."""
    page = show("custom_scalars")
    lines, margin = "tf-custom-scalar-multi-line-chart-card", "tf-custom-scalar-margin-chart-card"
    for category, element, title, matches in (
        ("Training", lines, "loss", 2),
        ("Training", lines, "accuracy", 2),
        ("Digits", lines, "accuracy of each digit", 10),
        ("Gradients", lines, "share that a step changes", 4),
        ("Gradients", margin, "gradient norm in an epoch", 1),
    ):
        expect(card(page, element, title, category)).to_contain_text(f"Matches ({matches})")
    screenshot("custom_scalars")

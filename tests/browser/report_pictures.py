"""Draw the report's pictures in the documentation: `python -m tests.browser.report_pictures runs/digits-...`, after `make demo`."""

from __future__ import annotations

import io
import math
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import tblog
from tblog import SummaryWriter
from tests.browser.serving import CHROMIUM, CHROMIUM_FLAGS

PICTURES = Path(__file__).parents[2] / "docs" / "report"
STEPS = 300
DESK, PHONE = (1400, 900), (390, 844)

Size: TypeAlias = "tuple[int, int]"
Scheme: TypeAlias = Literal["dark", "light"]


def log_seeds(folder: Path) -> None:
    """Log made-up curves of three seeds at two learning rates."""
    for rate in (0.03, 0.1):
        for seed in range(3):
            generator = np.random.default_rng(seed)
            noise = generator.normal(size=(2, STEPS)).cumsum(axis=1) * 0.006
            with SummaryWriter(folder / f"lr{rate}" / f"seed{seed}") as writer:
                writer.log_hparams({"lr": rate, "seed": seed})
                for step in range(STEPS):
                    left = math.exp(-step * rate / 9)
                    writer.add_scalar("loss/train", abs(left + float(noise[0, step])) + 0.02, step)
                    writer.add_scalar("loss/validation", abs(left + float(noise[1, step])) + 0.1, step)


@contextmanager
def report_page(browser: Browser, runs: Path, size: Size, scheme: Scheme) -> Iterator[Page]:
    """Make a report and open its file in a window of the given size."""
    report = runs.with_suffix(".html")
    tblog.report(runs, report)
    width, height = size
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(report.as_uri())
    page.locator(".card canvas").first.wait_for()
    yield page
    page.close()


def keep(page: Page, name: str) -> None:
    """Save a picture of the page with a reduced palette."""
    # A chart is drawn when it scrolls into view; a person looks at the picture anyway.
    page.wait_for_timeout(1000)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(PICTURES / f"{name}.png", optimize=True)


def open_tab(page: Page, name: str) -> None:
    """Open a tab."""
    page.get_by_role("tab", name=name).click()


def draw_demo(browser: Browser, runs: Path) -> None:
    """Draw the demo's curves and pictures, on a desktop and on a phone, in light and dark colours."""
    with report_page(browser, runs, DESK, "light") as page:
        keep(page, "demo")
        open_tab(page, "Images")
        keep(page, "demo_images")
        open_tab(page, "PR curves")
        keep(page, "demo_pr_curves")
    with report_page(browser, runs, DESK, "dark") as page:
        open_tab(page, "Histograms")
        keep(page, "demo_histograms")
    with report_page(browser, runs, PHONE, "dark") as page:
        page.get_by_label("Search tags").fill("^(loss|accuracy|watch)")
        keep(page, "demo_phone")


def draw_seeds(browser: Browser, runs: Path) -> None:
    """Draw bands over seeds and the parallel coordinates of their hyperparameters."""
    with report_page(browser, runs, (DESK[0], 520), "dark") as page:
        page.get_by_label("Show").select_option("range")
        keep(page, "seeds")
    with report_page(browser, runs, (DESK[0], 720), "light") as page:
        open_tab(page, "HParams")
        page.get_by_label("color by").select_option("loss/validation")
        keep(page, "seeds_hparams")
    with report_page(browser, runs, PHONE, "light") as page:
        page.locator("#panel summary").click()
        page.get_by_label("Show").select_option("range")
        page.locator("#panel summary").click()
        keep(page, "seeds_phone")


def main(demo: Path) -> None:
    """Draw all pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        runs = Path(folder) / "digits"
        runs.symlink_to(demo.resolve())
        draw_demo(browser, runs)
        log_seeds(Path(folder) / "seeds")
        draw_seeds(browser, Path(folder) / "seeds")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Draw the report's pictures in the documentation: `python -m tests.browser.report_pictures runs/digits-...`, after `make demo`."""

from __future__ import annotations

import io
import math
import sys
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import tblog
from tblog import SummaryWriter
from tests.browser.serving import CHROMIUM, CHROMIUM_FLAGS

PICTURES = Path(__file__).parents[2] / "docs" / "report"
STEPS = 300


def log_seeds(folder: Path) -> None:
    """Log what three trainings with other seeds would look like, at two learning rates."""
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


def open_report(
    browser: Browser, runs: Path, page_size: tuple[int, int], scheme: Literal["dark", "light"]
) -> Page:
    """Make a report and open it, as a file."""
    report = runs.with_suffix(".html")
    tblog.report(runs, report)
    width, height = page_size
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(report.as_uri())
    page.locator(".card canvas").first.wait_for()
    return page


def keep(page: Page, name: str) -> None:
    """Keep a picture of the page."""
    page.wait_for_timeout(
        1000
    )  # charts come as they are scrolled to; the picture is looked at by a person anyway
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(PICTURES / f"{name}.png", optimize=True)


def main(demo: Path) -> None:
    """Draw the demo's curves and pictures, and bands over seeds."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        runs = Path(folder) / "digits"
        runs.symlink_to(demo.resolve())
        page = open_report(browser, runs, (1400, 900), "light")
        keep(page, "demo")
        page.get_by_role("tab", name="Images").click()
        keep(page, "demo_images")
        seeds = Path(folder) / "seeds"
        log_seeds(seeds)
        page = open_report(browser, seeds, (1400, 520), "dark")
        page.get_by_label("Show").select_option("range")
        keep(page, "seeds")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

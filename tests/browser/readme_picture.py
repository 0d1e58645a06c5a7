"""Draw the README's picture: `python -m tests.browser.readme_picture runs/digits-...`, after `make demo`."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import BrowserType, Page, sync_playwright

from tests.browser.serving import CHROMIUM, CHROMIUM_FLAGS, serve

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "demo.png"
GAP = 10


def time_series(page: Page) -> None:
    """Show the charts and pictures of chosen tags, without the settings panel."""
    page.locator("image-card img").first.wait_for()
    page.get_by_role("button", name="Settings").last.click()
    chosen = "^(accuracy|loss|confusion|mistakes|parameters/conv2.weight|watch/layers)$"
    page.get_by_role("combobox", name="Filter tags").fill(chosen)
    page.keyboard.press("Escape")
    page.locator("scalar-card line-chart").first.wait_for()


def images(page: Page) -> None:
    """Show what the adapters drew."""
    page.locator("tf-tag-filterer input").fill("cam|kernels|saliency|feature_maps")
    page.locator("tf-image-loader img").first.wait_for()


def shoot(chromium: BrowserType, address: str, name: str) -> Image.Image:
    """Take a screenshot of one page of TensorBoard."""
    flags = [*CHROMIUM_FLAGS, "--disable-3d-apis"]  # without WebGL, line charts are drawn as SVG
    page = chromium.launch(executable_path=CHROMIUM, args=flags).new_page(
        viewport={"width": 1180, "height": 760}
    )
    page.goto(f"{address}#{name}")
    {"timeseries": time_series, "images": images}[name](page)
    page.wait_for_timeout(3000)  # animations; a person looks at the picture anyway
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def main(run: Path) -> None:
    """Put two pages side by side."""
    with serve(run) as server, sync_playwright() as playwright:
        server.wait_for_scalar(".", "final/accuracy")
        shots = [shoot(playwright.chromium, server.url, name) for name in ("timeseries", "images")]
    width, height = shots[0].size
    sheet = Image.new("RGB", (2 * width + GAP, height), "#888888")
    for place, shot in enumerate(shots):
        sheet.paste(shot, (place * (width + GAP), 0))
    small = sheet.resize((1600, round(1600 * sheet.height / sheet.width)), Image.Resampling.LANCZOS)
    small.quantize(256, dither=Image.Dither.NONE).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

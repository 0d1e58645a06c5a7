"""Draw the adapters' pictures in the documentation: `python -m tests.browser.adapter_pictures [names]`."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.serving import CHROMIUM, CHROMIUM_FLAGS, serve

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Picture:
    """One page of TensorBoard after one example: the tags shown, and the size in pixels."""

    example: str
    page: str
    tags: str
    width: int
    height: int


PICTURES = {
    "feature_maps": Picture("feature_maps", "images", "digits|resnet18/(conv1|layer[124])", 1540, 1090),
    "conv_kernels": Picture("conv_kernels", "images", "digits|resnet18|vgg11", 1540, 1540),
    "activation_maximization": Picture("activation_maximization", "images", "digits|vgg11", 1540, 760),
    "cam": Picture("cam", "images", "s/GradCAM/|layer4", 1540, 700),
    "saliency": Picture("saliency", "images", "digits/(guided|integrated)|vgg11_grey", 1540, 700),
    "parameters": Picture("parameters", "timeseries", "", 1480, 1120),
    "parameters_table": Picture("parameters", "text", "watch", 1480, 1120),
    "parameters_layout": Picture("parameters", "custom_scalars", "", 1480, 740),
    "system": Picture(
        "system",
        "timeseries",
        "process/cpu|memory_mib|network/received|disk/write|steps_per|time_left",
        1480,
        1000,
    ),
}


def images(page: Page, tags: str) -> None:
    """Show the images of chosen tags at full size."""
    page.locator("tf-tag-filterer input").fill(tags)
    page.locator("tf-image-loader img").first.wait_for()


def time_series(page: Page, tags: str) -> None:
    """Show unsmoothed curves, outliers included, without the settings panel."""
    page.locator("scalar-card line-chart").first.wait_for()
    page.locator(".scalars-smoothing input.slider-input").fill("0")
    page.get_by_text("Ignore outliers in chart scaling").click()
    page.get_by_role("button", name="Settings").last.click()
    if tags:
        page.get_by_role("combobox", name="Filter tags").fill(tags)
        page.keyboard.press("Escape")
    page.locator("scalar-card line-chart").first.wait_for()


def texts(page: Page, tags: str) -> None:
    """Show texts of chosen tags."""
    page.locator("tf-tag-filterer input").fill(tags)
    page.locator("tf-text-loader table").first.wait_for()


def custom_scalars(page: Page, _tags: str) -> None:
    """Show the charts of the layout."""
    page.locator("tf-custom-scalar-multi-line-chart-card").first.wait_for()


_SHOWS = {"images": images, "timeseries": time_series, "text": texts, "custom_scalars": custom_scalars}


def shoot(browser: Browser, address: str, picture: Picture) -> Image.Image:
    """Take a screenshot of one page, without the list of runs."""
    page = browser.new_page(viewport={"width": picture.width, "height": picture.height})
    page.goto(f"{address}#{picture.page}")
    _SHOWS[picture.page](page, picture.tags)
    page.wait_for_timeout(3000)  # animations; a person looks at the picture anyway
    main = page.locator("metrics-main-view" if picture.page == "timeseries" else ".center").last
    return Image.open(io.BytesIO(main.screenshot())).convert("RGB")


def main(names: list[str]) -> None:
    """Run the examples, and take a picture of each."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        # Chromium emulates WebGL without a GPU; with WebGL off, line charts are drawn as SVG.
        arguments = [*CHROMIUM_FLAGS, "--disable-3d-apis"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        for name in names or PICTURES:
            picture = PICTURES[name]
            run = Path(folder) / "runs" / picture.example
            if not run.exists():
                example = ROOT / "examples" / "adapters" / f"{picture.example}.py"
                subprocess.run([sys.executable, example], cwd=folder, check=True)
            with serve(run) as server:
                shot = shoot(browser, server.url, picture)
            if picture.page != "images":  # those have more colours
                shot = shot.quantize(256, dither=Image.Dither.NONE)
            shot.save(ROOT / "docs" / "adapters" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])

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
    """One page of TensorBoard after one example: which tags are shown, on how many pixels."""

    page: str
    tags: str
    width: int
    height: int


PICTURES = {
    "cam": Picture("images", "resnet|s/GradCAM/", 1500, 1375),
    "saliency": Picture("images", "digits/(guided|integrated)|vgg11_(grey)", 1500, 1375),
    "parameters": Picture(
        "timeseries",
        "gradient_norm/all|update_ratio/(conv2|hidden).weight|activation_dead/pool|activations/hidden|gradients/conv2.weight",
        1480,
        1500,
    ),
    "system": Picture(
        "timeseries", "process/cpu|memory_mib|network/received|disk/write|steps_per|time_left", 1480, 1000
    ),
}


def images(page: Page, tags: str) -> None:
    """Show pictures of chosen tags, each pixel as it was logged."""
    page.locator("tf-tag-filterer input").fill(tags)
    page.get_by_text("Show actual image size").click()
    page.locator("tf-image-loader img").first.wait_for()


def time_series(page: Page, tags: str) -> None:
    """Show curves as they were logged, whole, without the settings beside them."""
    page.locator("scalar-card line-chart canvas").first.wait_for()
    page.locator(".scalars-smoothing input.slider-input").fill("0")
    page.get_by_text("Ignore outliers in chart scaling").click()
    page.get_by_role("button", name="Settings").last.click()
    page.get_by_role("combobox", name="Filter tags").fill(tags)
    page.keyboard.press("Escape")
    page.locator("scalar-card line-chart canvas").first.wait_for()


def shoot(browser: Browser, address: str, picture: Picture) -> Image.Image:
    """Take one page, without the list of runs."""
    page = browser.new_page(viewport={"width": picture.width, "height": picture.height})
    page.goto(f"{address}#{picture.page}")
    {"images": images, "timeseries": time_series}[picture.page](page, picture.tags)
    page.wait_for_timeout(3000)  # animations; the picture is looked at by a person anyway
    main = page.locator({"images": ".center", "timeseries": "metrics-main-view"}[picture.page]).last
    return Image.open(io.BytesIO(main.screenshot())).convert("RGB")


def main(names: list[str]) -> None:
    """Run examples, and take a picture of each."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*CHROMIUM_FLAGS])
        for name in names or PICTURES:
            example = ROOT / "examples" / "adapters" / f"{name}.py"
            subprocess.run([sys.executable, example], cwd=folder, check=True)
            with serve(Path(folder) / "runs" / name) as server:
                shot = shoot(browser, server.url, PICTURES[name])
            if PICTURES[name].page == "timeseries":  # a photograph has more colours
                shot = shot.quantize(256, dither=Image.Dither.NONE)
            shot.save(ROOT / "docs" / "adapters" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])

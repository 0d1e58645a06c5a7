"""TensorBoard's Graphs dashboard in a headless browser, for tests and for the gallery of the documentation."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_CHROMIUM = "/usr/bin/chromium"
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_PATIENCE_MS = 60_000


class Viewer:
    """One page of a browser, which shows the graphs of the runs of one log directory."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        self.errors: list[str] = []
        self._address = address
        page.set_default_timeout(_PATIENCE_MS)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, run: str) -> None:
        """Show the graph of a run."""
        self.page.goto(f"{self._address}/#graphs")
        self.page.locator("tf-graph-scene g.node").first.wait_for(state="attached")
        drawn = self.page.locator("tf-graph-scene g.node")
        menu = self.page.locator("tf-graph-controls paper-dropdown-menu.run-dropdown").first
        if menu.locator("input").first.input_value() == run:
            return
        drawn.evaluate_all("nodes => nodes.forEach(node => { node.dataset.of = 'another run' })")
        menu.click()
        menu.locator("paper-item").get_by_text(run, exact=True).click()
        self.page.locator("g.node[data-of]").first.wait_for(state="detached")
        drawn.first.wait_for(state="attached")

    def expand(self, name: str) -> None:
        """Open a scope, as a double click does, and wait until what is in it is drawn."""
        self.node(name).locator(".nodeshape").first.dispatch_event("dblclick")
        self.page.locator(f'g.node.expanded[data-name="{name}"] g.node').first.wait_for(state="attached")

    def node(self, name: str) -> Any:
        """Return the drawing of a node or scope, once it is there."""
        node = self.page.locator(f'g.node[data-name="{name}"]').first
        node.wait_for(state="attached")
        return node

    def nodes(self) -> set[str]:
        """Return the names of all nodes and scopes that are drawn."""
        drawn = self.page.locator("g.node[data-name]")
        return set(drawn.evaluate_all("nodes => nodes.map(node => node.dataset.name)"))

    def edge_labels(self) -> set[str]:
        """Return the texts beside the edges: the shapes that flow along them."""
        return set(self.page.locator("tf-graph-scene g.edge text").all_text_contents())

    def details(self, name: str) -> str:
        """Click on a node, and return the text of its card."""
        self.node(name).locator(".nodeshape").first.dispatch_event("click")
        card = self.page.locator("tf-node-info")
        card.get_by_text(name.rpartition("/")[2]).first.wait_for()
        return str(card.inner_text())

    def screenshot(self, path: Path) -> None:
        """Write a picture of the graph, fit to the page."""
        self.page.get_by_text("Fit to screen").click()
        self.page.wait_for_timeout(1000)  # the animation, for the picture alone
        self.page.locator("tf-graph-scene").screenshot(path=path)


@contextmanager
def viewer(logdir: Path, *, width: int = 1400, height: int = 1000) -> Iterator[Viewer]:
    """Start TensorBoard on a log directory, and a browser on TensorBoard."""
    from playwright.sync_api import sync_playwright

    with (
        _tensorboard(logdir) as address,
        sync_playwright() as playwright,
        tempfile.TemporaryDirectory() as profile,
    ):
        browser = playwright.chromium.launch_persistent_context(
            profile, executable_path=_CHROMIUM, args=_FLAGS, viewport={"width": width, "height": height}
        )
        try:
            yield Viewer(browser.new_page(), address)
        finally:
            browser.close()


@contextmanager
def _tensorboard(logdir: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "tensorboard.main",
        f"--logdir={logdir}",
        f"--port={port}",
        "--host=127.0.0.1",
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        runs = len({path.parent for path in logdir.rglob("*tfevents*")})
        while len(_runs_with_graphs(address)) < runs:
            assert server.poll() is None, "TensorBoard ended before it served the graphs"
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait()


def _runs_with_graphs(address: str) -> list[str]:
    try:
        with urllib.request.urlopen(f"{address}/data/plugin/graphs/info", timeout=10) as answer:
            return list(json.load(answer))
    except (OSError, urllib.error.URLError):
        return []

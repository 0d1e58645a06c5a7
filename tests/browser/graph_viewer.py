"""Drives TensorBoard's Graphs dashboard as a person does."""

from __future__ import annotations

import contextlib
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.serving import Server


class GraphViewer:
    """One page, which shows the graph of one run at a time."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(f"{server.url}#graphs")
        self._drawn.first.wait_for(state="attached")

    @property
    def _drawn(self) -> Locator:
        return self.page.locator("tf-graph-scene g.node")

    def open(self, run: str) -> None:
        """Show the graph of a run, and wait until the graph of any other run is gone."""
        menu = self.page.locator("tf-graph-controls paper-dropdown-menu.run-dropdown").first
        if menu.locator("input").first.input_value() == run:
            return
        self._drawn.evaluate_all("nodes => nodes.forEach(node => { node.dataset.of = 'another run' })")
        menu.click()
        menu.locator("paper-item").get_by_text(run, exact=True).click()
        self.page.locator("g.node[data-of]").first.wait_for(state="detached")
        self._drawn.first.wait_for(state="attached")

    def expand(self, name: str) -> None:
        """Double-click a scope, and wait until its contents are drawn."""
        self.node(name).locator(".nodeshape").first.dispatch_event("dblclick")
        self.page.locator(f'g.node.expanded[data-name="{name}"] g.node').first.wait_for(state="attached")

    def node(self, name: str) -> Locator:
        """Return the drawing of a node or scope, once it exists."""
        node = self.page.locator(f'g.node[data-name="{name}"]').first
        node.wait_for(state="attached")
        return node

    def names(self) -> set[str]:
        """Return the names of all nodes and scopes on the page."""
        return set(self._drawn.evaluate_all("nodes => nodes.map(node => node.dataset.name)"))

    def labels(self, scope: str) -> dict[str, str]:
        """Return the labels of the closed scopes directly inside an open one, by name."""
        found = self._drawn.evaluate_all(
            "nodes => nodes.map(node => [node.dataset.name, node.querySelector(':scope > text')?.textContent])"
        )
        return {
            name: label
            for name, label in found
            if label and "~~" not in name and name.rpartition("/")[0] == scope
        }

    def edge_labels(self) -> set[str]:
        """Return the edge labels, which are tensor shapes."""
        return set(self.page.locator("tf-graph-scene g.edge text").all_text_contents())

    def expect_details(self, name: str, *texts: str) -> None:
        """Click on a node, and wait until its card contains all these texts."""
        card = self.page.locator("tf-node-info")
        title = card.locator(".node-name").filter(has_text=name.rpartition("/")[2])
        first = card.locator(".subtitle, .attr-right").filter(has_text=texts[0]).first if texts else title
        for _ in range(10):  # a click is lost while the scene is still moving
            self.node(name).locator(".nodeshape").first.dispatch_event("click")
            with contextlib.suppress(AssertionError):
                expect(first).to_be_attached(timeout=5_000)
                break
        expect(title).to_be_attached()
        for text in texts:
            expect(card.locator(".subtitle, .attr-right").filter(has_text=text).first).to_be_attached()

    def picture(self, path: Path, *, card: bool = False) -> None:
        """Save a picture of the whole graph, with the chosen node's card if asked."""
        hidden = ["tf-graph-minimap", ".titleContainer", *([] if card else ["tf-graph-info"])]
        for name in hidden:
            self.page.locator(name).evaluate_all("all => all.forEach(one => { one.style.display = 'none' })")
        self.page.get_by_text("Fit to screen").click()
        self.page.wait_for_timeout(1000)  # the animation; a picture taken too early is blurred, not wrong
        self.page.locator("tf-graph-scene").screenshot(path=path)

"""The documentation points at what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    """Every relative link and picture of a page exists in the checkout."""
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_each_example_is_listed() -> None:
    """The page of the examples has a line for every program."""
    listed = (ROOT / "examples" / "README.md").read_text()
    programs = [*(ROOT / "examples").glob("*.py"), *(ROOT / "examples").glob("*.ipynb")]
    assert [program.name for program in programs if f"({program.name})" not in listed] == []


def test_plan_of_the_house_names_every_file() -> None:
    """CONTRIBUTING.md says where each file of the core lives and why."""
    plan = (ROOT / "CONTRIBUTING.md").read_text()
    files = [path.name for path in (ROOT / "tblog").glob("*.py")]
    assert [name for name in files if name not in plan] == []

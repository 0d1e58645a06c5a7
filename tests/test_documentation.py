"""The documentation refers only to what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.slow import quick_tests

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    """Every relative link and picture of a page exists in the checkout."""
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_each_example_is_listed() -> None:
    """The page of examples has a line for every program."""
    listed = (ROOT / "examples" / "README.md").read_text()
    programs = [*(ROOT / "examples").glob("*.py"), *(ROOT / "examples").glob("*.ipynb")]
    assert [program.name for program in programs if f"({program.name})" not in listed] == []


def test_plan_of_the_house_names_every_file() -> None:
    """CONTRIBUTING.md says where each file of the core lives and why."""
    plan = (ROOT / "CONTRIBUTING.md").read_text()
    rooms = [
        folder for folder in (ROOT / "tblog").iterdir() if folder.name.startswith("_") and folder.is_dir()
    ]
    files = [path.name for room in (ROOT / "tblog", *rooms) for path in room.glob("*.py")]
    assert [name for name in files if not re.search(rf"(?<!\w){re.escape(name)}", plan)] == []
    assert [room.name for room in rooms if room.name != "__pycache__" and f"{room.name}/" not in plan] == []


def test_every_promise_is_held_by_tests_that_exist() -> None:
    """Each test named on the page of promises is in the linked file, and each promise has one that `make test` runs."""
    page = ROOT / "docs" / "promises.md"
    text = page.read_text()
    named = re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", text)
    assert [name for name, file in named if f"def {name}(" not in (page.parent / file).read_text()] == []
    promises = re.split(r"^(?=\*\*|## )", text, flags=re.MULTILINE)[1:]
    assert [promise[:40] for promise in promises if "](../tests/" not in promise] == []
    tests = [re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", promise) for promise in promises]
    quick = [any(name in quick_tests(page.parent / file) for name, file in each) for each in tests]
    assert [promise[:40] for promise, is_quick in zip(promises, quick, strict=True) if not is_quick] == []


def test_the_contract_stands_in_the_promises_under_its_headings() -> None:
    """Every promise that names a test in tests/test_contract.py has a paragraph."""
    contract = (ROOT / "tests" / "test_contract.py").read_text()
    promises = (ROOT / "docs" / "promises.md").read_text()
    names = re.findall(r"^def (test_\w+)", contract, flags=re.MULTILINE)
    headings = {heading.lower() for heading in re.findall(r"^\*\*(\w+)\.\*\*", promises, flags=re.MULTILINE)}
    assert {name.split("_")[1] for name in names} - {"a"} <= headings


def test_the_page_of_faults_tells_of_every_fault() -> None:
    """Each fault of the command has a row in the table, and the table is between its marks."""
    from tests.faults.page import BEGIN, END
    from tests.faults.trials import FAULTS

    table = (ROOT / "docs" / "faults.md").read_text().partition(BEGIN)[2].partition(END)[0]
    assert [name for name in FAULTS if f"| {name} | tblog |" not in table] == []

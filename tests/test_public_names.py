"""The names in `tblog` are the same for a type checker, for `import *` and for attribute access."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import tblog
from tests.processes import run_program

ROOT = Path(__file__).parents[1]
EARLY = {"__version__", "patch", "unpatch"}


def seen_by_a_type_checker() -> dict[str, str]:
    """Return the imports in the block for type checkers: {name: module}."""
    tree = ast.parse((ROOT / "tblog" / "__init__.py").read_text())
    (block,) = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]
    found = {}
    for line in block.body:
        assert isinstance(line, ast.ImportFrom)
        for name in line.names:
            found[name.name] = f"tblog.{name.name}" if line.module == "tblog" else str(line.module)
    return found


def test_type_checkers_and_the_interpreter_are_given_the_same_names() -> None:
    """The list, the import block and the table of lazy names have the same names in the same places."""
    assert seen_by_a_type_checker() == tblog._HOMES
    assert set(tblog.__all__) == {*tblog._HOMES, *EARLY}
    assert len(tblog.__all__) == len(set(tblog.__all__))


@pytest.mark.parametrize("name", sorted({*tblog._HOMES} - {"errors", "records"}))
def test_a_name_is_that_of_its_home(name: str) -> None:
    """Taken from `tblog`, it is the same object."""
    assert getattr(tblog, name) is getattr(importlib.import_module(tblog._HOMES[name]), name)


def test_modules_are_offered_by_name() -> None:
    """`tblog.errors` and `tblog.records` need no import of their own."""
    code = "import tblog; print(tblog.errors.__name__, tblog.records.__name__, sorted(set(tblog.__all__) - set(dir(tblog))))"
    assert run_program(code) == "tblog.errors tblog.records []\n"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """As in any module."""
    with pytest.raises(AttributeError, match="module 'tblog' has no attribute 'Writer'"):
        _ = tblog.Writer


def test_every_public_name_is_in_the_reference() -> None:
    """The reference pages document each name or its module."""
    pages = "".join(page.read_text() for page in (ROOT / "docs" / "api").glob("*.md"))
    homes = {**tblog._HOMES, "patch": "tblog.patch", "unpatch": "tblog.patch"}
    missing = [
        name
        for name, home in homes.items()
        if f" tblog.{name}\n" not in pages and f" {home}\n" not in pages and f" {home}.{name}\n" not in pages
    ]
    assert missing == []


def test_every_integration_is_in_the_reference() -> None:
    """The page of integrations documents each public module."""
    page = (ROOT / "docs" / "api" / "integrations.md").read_text()
    modules = sorted(path.stem for path in (ROOT / "tblog" / "integrations").glob("[a-z]*.py"))
    assert [name for name in modules if f" tblog.integrations.{name}\n" not in page] == []


def test_importing_the_writer_leaves_out_what_only_a_constructor_or_a_rare_call_needs() -> None:
    """crc32c imports email and argparse; the others serve stores, ranks, resumed runs, models, notebooks and first records."""
    late = {
        "crc32c",
        "email",
        "argparse",
        "numpy.ma",
        "shutil",
        "socket",
        "html",
        "json",
        "difflib",
        *("tblog._files.file_systems", "tblog._files.store_errors", "tblog._files.stored_runs"),
        *("tblog._files.resume", "tblog._files.rewrite", "tblog._files.completing", "tblog._ranks"),
        "tblog.summaries._kinds",
        *("tblog.reading", "tblog.reporting", "tblog.graph", "tblog.integrations", "tblog.adapters"),
        *("tblog._patching", "tblog._global_series", "tblog._cli"),
        *("asyncio", "multiprocessing", "subprocess", "tempfile", "uuid", "wave"),
    }
    program = f"""
import sys, numpy
before = set(sys.modules)
from tblog import SummaryWriter
print(sorted({late!r} & set(sys.modules) - before))
"""
    assert run_program(program) == "[]\n"

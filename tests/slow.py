"""What `make test` leaves to `make test-all`: tests and parameters that are marked slow."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest


def slow_but(quick: Iterable[object], values: Iterable[Any]) -> list[Any]:
    """Return the parameters of a test, all of them marked slow except the quick ones."""
    kept = [*quick]
    given = [*values]
    assert all(value in given for value in kept), f"not among the parameters: {kept}"
    return [value if value in kept else pytest.param(value, marks=pytest.mark.slow) for value in given]


def quick_tests(path: Path) -> list[str]:
    """Return the tests of a file of which `make test` runs at least a part."""
    tree = ast.parse(path.read_text())
    if any(isinstance(node, ast.Assign) and "pytest.mark.slow" in ast.unparse(node) for node in tree.body):
        return []
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and "pytest.mark.slow" not in map(ast.unparse, node.decorator_list)
    ]

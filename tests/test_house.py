"""The layout of the tests, and the files that the tools check."""

from __future__ import annotations

import ast
import re
import tomllib

from tests.processes import ROOT

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_nothing_imports_a_test_module() -> None:
    """Shared helpers are in modules of their own, including those that test programs import."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in ("tests", "benchmarks", "examples")
        for path in (ROOT / folder).rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.match(r"\s*(from tests(\.\w+)*\.test_\w+ import|import tests(\.\w+)*\.test_)", line)
    ]
    assert found == []


def test_mypy_reads_every_file_but_tests() -> None:
    """Helpers, benchmarks and examples are checked as strictly as the package."""
    settings = SETTINGS["tool"]["mypy"]
    assert settings["strict"]
    left_out = re.compile("|".join(settings["exclude"]))
    roots = {
        path.relative_to(ROOT).parts[0]
        for path in ROOT.rglob("*.py")
        if not hidden(path.relative_to(ROOT).parts)
    }
    assert roots - {"adapters", "docs"} == set(
        settings["files"]
    )  # tblog/adapters is adapters; docs has a tool's settings
    helpers = [path for path in (ROOT / "tests").rglob("*.py") if not path.name.startswith("test_")]
    assert [path for path in helpers if left_out.search(path.relative_to(ROOT).as_posix())] == []


def hidden(parts: tuple[str, ...]) -> bool:
    """Return whether a path is not part of the project."""
    return parts[0].startswith(".") or parts[0] in {"build", "dist"}


def test_one_helper_of_each_name() -> None:
    """No two files of the tests define the same helper with the same body."""
    bodies: dict[str, list[str]] = {}
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if (
                isinstance(node, ast.FunctionDef)
                and not node.name.startswith("test_")
                and not node.decorator_list
            ):
                code = ast.dump(ast.Module(node.body[1:], []))
                if len(code) > 100:
                    bodies.setdefault(f"{node.name}: {code}", []).append(f"{path.relative_to(ROOT)}")
    assert [(body.partition(":")[0], files) for body, files in bodies.items() if len(files) > 1] == []

"""The layout of the tests, and the files that the tools check."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import tomllib

import pytest

from tests.needs import do_without
from tests.processes import ROOT
from tests.slow import quick_tests

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


def runs_of_pytest(target: str) -> list[tuple[list[str], bool]]:
    """Return the arguments of each run of pytest that a target of make starts, and whether it runs Python alone."""
    if shutil.which("make") is None:
        do_without("make is not installed")
    # Without the variables of a make that runs this test.
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", target],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.partition(" -m pytest ") for line in done.stdout.splitlines() if " -m pytest " in line]
    return [
        (
            shlex.split(re.sub(r"^-n \d --dist worksteal ", "", arguments)),
            command.startswith("TBLOG_PURE=1 "),
        )
        for command, _, arguments in lines
    ]


def test_make_test_and_make_test_all_leave_no_test_out() -> None:
    """The one runs what is not slow and the other adds what is slow, and CI calls both and selects nothing."""
    quick, quick_pure = runs_of_pytest("test")
    *first, slow, pure = runs_of_pytest("test-all")
    assert first == [quick, quick_pure]
    assert (quick, slow) == ((["-m", "not slow"], False), (["-m", "slow"], False))
    assert (quick_pure[1], pure[1]) == (True, True)
    assert {*quick_pure[0]} < {*pure[0]}
    assert [path for path in pure[0] if not (ROOT / path).exists()] == []

    script = (ROOT / ".ci/run").read_text()
    assert re.findall(r"^make test.*", script, flags=re.MULTILINE) == [
        "make test test-all TEST_EXTRAS=test,frameworks  # `test` runs once, then what it left"
    ]
    assert "PYTEST" not in script
    assert SETTINGS["tool"]["pytest"]["ini_options"]["testpaths"] == ["tests"]
    assert SETTINGS["tool"]["pytest"]["ini_options"]["addopts"] == [
        "--import-mode=importlib",
        "--strict-markers",
        "--strict-config",
        "-ra",
    ]
    hooks = re.compile(
        r"collect_ignore|pytest_ignore_collect|pytest_collection_modifyitems|pytest_deselected"
    )
    assert [path for path in ROOT.glob("tests/**/conftest.py") if hooks.search(path.read_text())] == []


@pytest.mark.parametrize(
    "room", ["tests", "tests/browser", "tests/faults", "tests/frameworks", "tests/integrations"]
)
def test_most_files_of_each_room_have_quick_tests(room) -> None:
    """`make test` enters every room; only the trainings of frameworks and the soak are slow as a whole."""
    files = [*(ROOT / room).glob("test_*.py")]
    slow = {path.stem for path in files if not quick_tests(path)}
    assert slow < {path.stem for path in files}
    if room not in {"tests/frameworks", "tests/integrations"}:
        assert slow <= {"test_soak", "test_notebooks", "test_graph_speed"}

"""What a user installs: the built wheel, used outside the checkout."""

from __future__ import annotations

import ast
import configparser
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGED = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "tblog", "adapters")


def copy_sources(target: Path) -> None:
    """Copy what a wheel is built from, so that the build leaves nothing in the checkout."""
    for name in PACKAGED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source,
                target / name,
                symlinks=True,
                ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
            )
        else:
            shutil.copy(source, target / name)


def build_wheel(source: Path, out: Path) -> Path:
    """Build the wheel of `source` with this environment's setuptools."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built once."""
    source = tmp_path_factory.mktemp("source")
    copy_sources(source)
    return build_wheel(source, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds the installed wheel, and nothing else of this project."""
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return site


def run_outside(installed: Path, tmp_path: Path, code: str) -> str:
    """Run `code` in a fresh interpreter that finds the installed wheel before any checkout."""
    setup = f"import sys; sys.path.insert(0, {str(installed)!r})\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", setup + code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def python_files(folder: Path) -> set[str]:
    """Return the paths of a folder's Python files, below that folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.py")}


def test_wheel_holds_every_module_once_and_nothing_beside(wheel: Path) -> None:
    """Each module of tblog/ and adapters/ is in the wheel, at its place, with the type marker."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    core = {f"tblog/{name}" for name in python_files(ROOT / "tblog") if not name.startswith("adapters/")}
    adapters = {f"tblog/adapters/{name}" for name in python_files(ROOT / "adapters")}
    assert names == core | adapters | {"tblog/py.typed"}


def test_wheel_installs_no_top_level_adapters(installed: Path, tmp_path: Path) -> None:
    """The name `adapters` stays free for the project that owns it."""
    code = """
try:
    import adapters
except ModuleNotFoundError as error:
    print(error.name)
"""
    assert run_outside(installed, tmp_path, code) == "adapters"
    assert {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")} == {"tblog"}


def test_wheel_brings_the_adapters_as_tblog_adapters(installed: Path, tmp_path: Path) -> None:
    """Outside the checkout `tblog.adapters` is imported from the wheel."""
    where = run_outside(installed, tmp_path, "import tblog.adapters; print(tblog.adapters.__file__)")
    assert Path(where) == installed / "tblog" / "adapters" / "__init__.py"


def test_import_loads_neither_torch_nor_tensorboardx(installed: Path, tmp_path: Path) -> None:
    """`import tblog` costs no import of a package that takes a second to load."""
    heavy = ("torch", "tensorboardX", "tensorboard", "google.protobuf", "PIL", "matplotlib", "numpy")
    code = f"import tblog, sys; print([name for name in {heavy!r} if name in sys.modules])"
    assert run_outside(installed, tmp_path, code) == "[]"


def extras() -> dict[str, set[str]]:
    """Return what each extra of setup.cfg brings, the extras within it included."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    given = {
        name: set(filter(None, text.splitlines())) for name, text in config["options.extras_require"].items()
    }

    def brought(name: str) -> set[str]:
        found = set()
        for requirement in given[name]:
            if inner := re.fullmatch(r"tblog\[(.+)\]", requirement):
                found |= {package for extra in inner[1].split(",") for package in brought(extra)}
            else:
                found.add(requirement)
        return found

    return {name: brought(name) for name in given}


def test_extras_that_errors_name_bring_the_package() -> None:
    """Whoever follows the advice of a MissingDependencyError gets what was missing."""
    named = [
        (call.args[0].value, call.args[1].value)
        for path in [*ROOT.glob("tblog/**/*.py"), *ROOT.glob("adapters/*.py")]
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "MissingDependencyError"
    ]
    assert named
    brought = extras()
    assert [(package, extra) for package, extra in named if package not in brought.get(extra, ())] == []


CORE_ONLY = """
import sys

class CoreOnly:
    # What a plain `pip install tblog` brings, and what those packages bring themselves.
    allowed = {"tblog", "numpy", "google", "tensorboardX", "crc32c", "PIL", "packaging"}

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in self.allowed and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, CoreOnly())

import numpy as np
from tblog import SummaryWriter

with SummaryWriter("run") as writer:
    writer.add_scalar("loss", 0.5, 0)
    writer.add_histogram("weights", np.arange(10.0), 0)
    writer.add_image("picture", np.zeros((3, 4, 4), np.uint8), 0)
    writer.add_text("remark", "hello", 0)
    writer.add_pr_curve("curve", np.array([0, 1]), np.array([0.2, 0.8]), 0)
    writer.log_hparams({"lr": 0.1})
print(writer.stats.queued, writer.stats.written, writer.stats.failed)
"""


def test_core_logs_with_its_own_dependencies_alone(installed: Path, tmp_path: Path) -> None:
    """Where torch and all other packages are missing, numpy arrays of every kind are logged."""
    assert run_outside(installed, tmp_path, CORE_ONLY) == "6 6 0"


def test_a_checkout_without_symbolic_links_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """Where git writes the link as a text file, the wheel holds the same files."""
    source = tmp_path / "source"
    source.mkdir()
    copy_sources(source)
    link = source / "tblog" / "adapters"
    link.unlink()
    link.write_text("../adapters")

    other = build_wheel(source, tmp_path / "dist")
    assert set(zipfile.ZipFile(other).namelist()) == set(zipfile.ZipFile(wheel).namelist())


def test_every_page_and_tool_names_the_same_oldest_python() -> None:
    """What the package needs is what the Makefile asks for, the README tells, and the tools check by."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    oldest = config["options"]["python_requires"].removeprefix(">=")
    versions = re.findall(r":: (3\.\d+)$", config["metadata"]["classifiers"], flags=re.MULTILINE)
    assert versions[0] == oldest
    pages = {name: (ROOT / name).read_text() for name in ("Makefile", "README.md", "pyproject.toml")}
    assert f"Python {oldest} or later" in pages["Makefile"]
    assert f"sys.version_info < ({oldest.replace('.', ', ')})" in pages["Makefile"]
    assert f"Python {oldest} or later" in pages["README.md"]
    assert f'python_version = "{oldest}"' in pages["pyproject.toml"]
    assert f'target-version = "py{oldest.replace(".", "")}"' in pages["pyproject.toml"]

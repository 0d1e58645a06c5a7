"""What a user installs: the built wheel, used outside the checkout."""

from __future__ import annotations

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

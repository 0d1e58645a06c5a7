"""What a user installs: the wheel and the source distribution, used outside the checkout in an environment of their own."""

from __future__ import annotations

import ast
import configparser
import email
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.needs import do_without, need_package
from tests.processes import ROOT
from tests.reading import event_files, points

TIMEOUT_SECS = 240


def checkout_files() -> list[Path]:
    """Return the project's files as git lists them, or all files if git does not know the folder."""
    if not (ROOT / ".git").exists():
        return [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file() or path.is_symlink()]

    def listed(*options: str) -> list[Path]:
        command = ["git", "ls-files", "-z", *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
        return [Path(name) for name in done.stdout.split("\0") if name]

    tracked = {path.parts[0] for path in listed()}
    found = listed("--cached", "--others", "--exclude-standard")
    return [path for path in found if path.parts[0] in tracked and os.path.lexists(ROOT / path)]


def build(source: Path, out: Path, *kinds: str) -> Path:
    """Build the distributions of a folder with this environment's setuptools; return their directory."""
    command = [sys.executable, "-m", "build", *kinds, "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_SECS)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def only(folder: Path, pattern: str) -> Path:
    """Return the one file of this kind."""
    (path,) = folder.glob(pattern)
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the checkout, so that a build leaves nothing in it."""
    copy = tmp_path_factory.mktemp("source")
    for path in checkout_files():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, copy / path, follow_symlinks=False)
    return copy


@pytest.fixture(scope="module")
def dist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the source distribution and the wheel built from it."""
    return build(source, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    """Return the wheel."""
    return only(dist, "*.whl")


@pytest.fixture(scope="module")
def sdist(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the source distribution is unpacked to."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(only(dist, "*.tar.gz")) as archive:
        archive.extractall(folder, filter="data")
    return only(folder, "*")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the site-packages of an environment with only the wheel and its requirements."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    site = only(folder, "lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*pip, "--target", str(site), str(wheel)], check=True, timeout=TIMEOUT_SECS)
    for name in needed(wheel):
        link_distribution(name, site)
    return site


def needed(wheel: Path) -> set[str]:
    """Return the packages that a plain install of the wheel brings: its requirements and theirs."""
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        wanted = email.message_from_bytes(archive.read(metadata)).get_all("Requires-Dist", [])
    found: set[str] = set()
    while wanted:
        requirement = Requirement(wanted.pop())
        if requirement.name in found or (
            requirement.marker and not requirement.marker.evaluate({"extra": ""})
        ):
            continue
        found.add(requirement.name)
        wanted += importlib.metadata.requires(requirement.name) or []
    return found


def link_distribution(name: str, site: Path) -> None:
    """Give an environment one of this environment's packages, without asking an index."""
    distribution = importlib.metadata.distribution(name)
    files = [file for file in distribution.files or [] if ".." not in file.parts]
    for top in {file.parts[0] for file in files}:
        target = Path(str(distribution.locate_file(top)))
        if target.exists() and not (site / top).exists():
            (site / top).symlink_to(target)


def run_outside(installed: Path, cwd: Path, code: str) -> str:
    """Run a program with that environment's own interpreter, which sees no checkout."""
    done = subprocess.run(
        [str(installed.parents[2] / "bin" / "python"), "-I", "-c", code],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def python_files(folder: Path) -> set[str]:
    """Return the paths of a folder's Python files and stubs, below that folder."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py*")
        if path.suffix in {".py", ".pyi"}
    }


def test_wheel_holds_every_module_once_and_nothing_beside(wheel: Path) -> None:
    """Each module of tblog/ and adapters/ is in the wheel, at its place, with the type marker."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    core = {f"tblog/{name}" for name in python_files(ROOT / "tblog") if not name.startswith("adapters/")}
    adapters = {f"tblog/adapters/{name}" for name in python_files(ROOT / "adapters")}
    compiled = {name for name in names if name.endswith(".so")}
    page = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tblog/reporting/page").iterdir()}
    assert "tblog/reporting/page/uPlot.LICENSE" in page
    assert names - compiled == core | adapters | page | {"tblog/py.typed"}
    assert {Path(name).name.partition(".")[0] for name in compiled} <= {"_compiled"}


@pytest.mark.parametrize(
    ("name", "value"), [("TBLOG_PURE", "1"), ("CC", "/nonexistent/cc")], ids=["pure", "no compiler"]
)
def test_without_a_compiler_or_where_it_is_not_wanted_the_compiled_module_is_left_out(
    name, value, source, tmp_path, monkeypatch
):
    """The build succeeds, and the wheel has everything that pure Python needs."""
    monkeypatch.setenv(name, value)
    copy = shutil.copytree(source, tmp_path / "source", symlinks=True)
    names = zipfile.ZipFile(only(build(copy, tmp_path / "dist", "--wheel"), "*.whl")).namelist()
    assert [name for name in names if name.endswith((".so", ".c", ".h"))] == []
    assert "tblog/_native/__init__.py" in names


def test_a_python_without_the_interpreter_lock_installs_tblog_without_the_compiled_module(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build succeeds there. Its settings are given here as to a build for another machine."""
    settings = dict(sysconfig.get_config_vars(), Py_GIL_DISABLED=1)
    (tmp_path / "settings_without_the_lock.py").write_text(f"build_time_vars = {settings!r}")
    monkeypatch.setenv("_PYTHON_SYSCONFIGDATA_NAME", "settings_without_the_lock")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    copy = shutil.copytree(source, tmp_path / "source", symlinks=True)
    wheel = only(build(copy, tmp_path / "dist", "--wheel"), "*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")


def test_the_compiled_module_has_the_name_that_every_python_of_the_wheels_tag_imports(wheel: Path) -> None:
    """A wheel that Python 3.15 builds is native on 3.11, too."""
    compiled = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]
    if not compiled:
        do_without("there is no compiler here, or TBLOG_PURE=1 refuses the compiled module")
    assert "-cp311-abi3-" in wheel.name
    assert compiled == ["tblog/_native/_compiled.abi3.so"]


def test_wheel_installs_no_top_level_adapters(installed: Path, tmp_path: Path) -> None:
    """The name `adapters` stays free for the project that owns it."""
    code = """
try:
    import adapters
except ModuleNotFoundError as error:
    print(error.name)
"""
    assert run_outside(installed, tmp_path, code) == "adapters"
    top_level = (only(installed, "tblog-*.dist-info") / "top_level.txt").read_text()
    assert top_level.split() == ["tblog"]


def test_wheel_brings_the_adapters_as_tblog_adapters(installed: Path, tmp_path: Path) -> None:
    """Outside the checkout, `tblog.adapters` is imported from the wheel."""
    where = run_outside(installed, tmp_path, "import tblog.adapters; print(tblog.adapters.__file__)")
    assert Path(where) == installed / "tblog" / "adapters" / "__init__.py"


def test_import_loads_neither_torch_nor_tensorboardx(installed: Path, tmp_path: Path) -> None:
    """`import tblog` imports no package that takes a second to load."""
    heavy = ("torch", "tensorboardX", "tensorboard", "google.protobuf", "PIL", "matplotlib", "numpy")
    code = f"import tblog, sys; print([name for name in {heavy!r} if name in sys.modules])"
    assert run_outside(installed, tmp_path, code) == "[]"


def extras() -> dict[str, set[str]]:
    """Return the packages of each extra in setup.cfg, nested extras included."""
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
                found.add(re.split("[<>=;]", requirement)[0])
        return found

    return {name: brought(name) for name in given}


def test_extras_that_errors_name_bring_the_package() -> None:
    """A user who follows the advice of a MissingDependencyError gets the missing package."""
    named = [
        (call.args[0].value, call.args[1].value)
        for path in [*ROOT.glob("tblog/**/*.py"), *ROOT.glob("adapters/*.py")]
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", "") == "MissingDependencyError"
        and call.args[1].value  # otherwise the package is named, not an extra
    ]
    assert named
    brought = extras()
    assert [(package, extra) for package, extra in named if package not in brought.get(extra, ())] == []


SMOKE = """
import numpy as np
from tblog import SummaryWriter, WriterOptions, errors, records

with SummaryWriter("run", options=WriterOptions(strict=True)) as writer:
    writer.add_scalar("loss", 0.5, 0)
    writer.add_histogram("weights", np.arange(10.0), 0)
    writer.add_image("picture", np.zeros((3, 4, 4), np.uint8), 0)
    writer.add_text("remark", "hello", 0)
    writer.add_pr_curve("curve", np.array([0, 1]), np.array([0.2, 0.8]), 0)
    writer.add_record(records.ScalarRecord(tag="record", value=1.0), 0)
    writer.log_hparams({"lr": 0.1})
    try:
        writer.add_scalar("loss", "high", 1)
    except errors.UnsupportedTypeError:
        print("refused")
print(writer.stats.queued, writer.stats.written, writer.stats.failed)
"""


def test_core_logs_with_what_the_wheel_says_that_it_needs(installed: Path, tmp_path: Path) -> None:
    """Without torch and all other packages, numpy arrays of every kind are logged and read back."""
    assert run_outside(installed, tmp_path, SMOKE) == "refused\n7 7 0"
    assert points(tmp_path / "run") == {"loss": [(0, 0.5)], "record": [(0, 1.0)]}


def test_the_installed_command_finds_a_damaged_file(installed: Path, tmp_path: Path) -> None:
    """`python -m tblog.check` is installed, and its exit status shows what it found."""
    run_outside(installed, tmp_path, SMOKE)
    path = event_files(tmp_path / "run")[0]
    path.write_bytes(path.read_bytes()[:-3])
    check = [str(installed.parents[2] / "bin" / "python"), "-I", "-m", "tblog.check", "run"]
    done = subprocess.run(
        check, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_SECS, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert path.name in done.stdout


TYPED = """
from tblog import SummaryWriter, WriterOptions
from tblog.adapters.system import SystemSampler

reveal_type(SummaryWriter("run", options=WriterOptions(strict=True)).stats.dropped)
reveal_type(SystemSampler().records())
WriterOptions(flavor="comet")
"""


def test_a_type_checker_sees_the_types_of_what_is_installed(installed: Path, tmp_path: Path) -> None:
    """The marker is installed, and the adapters are found; tests/typing checks the types."""
    (tmp_path / "program.py").write_text(TYPED)
    (tmp_path / "mypy.ini").write_text("[mypy]\n[mypy-numpy.*]\nfollow_imports = skip\n")
    python = str(installed.parents[2] / "bin" / "python")
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "program.py"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_SECS, check=False
    )
    told = [line.partition(" ")[2] for line in done.stdout.splitlines()]
    assert told[0] == 'note: Revealed type is "int"', done.stdout
    assert told[1] == 'note: Revealed type is "list[tblog.records.ScalarRecord]"'
    assert "flavor" in told[2]
    assert len(told) == 4


def test_the_source_distribution_is_the_checkout(sdist: Path, source: Path) -> None:
    """It has every file but git's own, and adapters/ once: its tests can run, its pages can be read."""

    def files(folder: Path) -> set[str]:
        paths = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
        return {str(path) for path in paths if "tblog.egg-info" not in path.parts}

    made = {"PKG-INFO", "setup.cfg"}
    in_checkout = {name for name in files(source) if not name.startswith("tblog/adapters")}
    assert files(sdist) - made == in_checkout - {".gitignore", "setup.cfg"}


def test_the_page_of_the_index_is_the_readme_without_links_that_lead_nowhere(
    wheel: Path, sdist: Path
) -> None:
    """An index shows no pictures of the repository, and resolves no relative links."""
    page = email.message_from_string((sdist / "PKG-INFO").read_text()).get_payload()
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        assert email.message_from_bytes(archive.read(name)).get_payload() == page
    assert re.findall(r"\]\((?!https?://)[^)]*\)|<img", page) == []
    readme = (ROOT / "README.md").read_text()
    assert page.splitlines()[0] == readme.splitlines()[0]
    words = set(re.findall(r"\w{4,}", re.sub(r"!\[[^]]*\]", "", readme)))
    assert words <= set(re.findall(r"\w{4,}", page)) | set(re.findall(r"\w{4,}", "images demo png"))


def test_what_is_published_passes_the_check_of_the_index(dist: Path) -> None:
    """`twine check --strict` finds nothing wrong with either."""
    need_package("twine")
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, dist.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECS, check=False)
    assert (done.returncode, done.stdout.count("PASSED")) == (0, 2), done.stdout + done.stderr


@pytest.mark.slow
def test_a_checkout_without_symbolic_links_builds_the_same_wheel(
    source: Path, wheel: Path, tmp_path: Path
) -> None:
    """If git writes the link as a text file, the wheel still holds the same files."""
    copy = tmp_path / "source"
    shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns("docs", "tests", "benchmarks"))
    link = copy / "tblog" / "adapters"
    link.unlink()
    link.write_text("../adapters")

    other = only(build(copy, tmp_path / "dist", "--wheel"), "*.whl")
    assert set(zipfile.ZipFile(other).namelist()) == set(zipfile.ZipFile(wheel).namelist())


def test_every_page_and_tool_names_the_same_oldest_python() -> None:
    """The package's requirement is the one in the Makefile, the README and the tools' settings."""
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

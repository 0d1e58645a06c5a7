"""Programs in a fresh interpreter, also in one without the `tensorboard` package; and forks."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import HANG_SECS

ROOT = Path(__file__).parents[1]
SETTINGS = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def environment_here() -> dict[str, str]:
    """Return the environment variables for a test program: the current ones, which a test may have set."""
    return {**os.environ, **SETTINGS}


def run_python(
    code: str,
    *args: object,
    cwd: str | os.PathLike[str] | None = None,
    packages: Path | None = None,
    timeout: float = 2 * HANG_SECS,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh interpreter and return the finished process.

    Args:
        code: the program, which may be indented.
        args: its arguments.
        cwd: the directory in which it runs.
        packages: a folder used instead of this environment's site-packages.
        timeout: seconds until it counts as hanging: `subprocess.TimeoutExpired` fails the test.
        environment: variables added to those of this process.
    """
    path = os.pathsep.join([str(ROOT), *([str(packages)] if packages else [])])
    command = [sys.executable, *(["-S"] if packages else []), "-c", textwrap.dedent(code), *map(str, args)]
    return subprocess.run(
        command,
        cwd=cwd,
        env={**environment_here(), "PYTHONPATH": path, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def run_program(
    code: str,
    cwd: str | os.PathLike[str] | None = None,
    *args: object,
    packages: Path | None = None,
    timeout: float = 2 * HANG_SECS,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a program as `run_python` does and return its output; a failing program fails the test."""
    done = run_python(code, *args, cwd=cwd, packages=packages, timeout=timeout, environment=environment)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextmanager
def running_python(
    code: str,
    *args: object,
    prints: str = "",
    environment: Mapping[str, str] | None = None,
    stderr: int | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Start a program, talk to it through standard input and output, and kill it at the end.

    Args:
        code: the program, which may be indented.
        args: its arguments.
        prints: the line that it prints once it is ready, for which this waits.
        environment: variables added to those of this process.
        stderr: file descriptor for its standard error.
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        env={**environment_here(), **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    ) as process:
        try:
            if prints:
                assert read_line(process) == prints
            yield process
        finally:
            process.kill()


def read_line(process: subprocess.Popen[str]) -> str:
    """Return the next line that a program prints, without its line end; "" once it has ended."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def say(process: subprocess.Popen[str], line: str = "") -> None:
    """Send a line to a program's standard input."""
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def fork(work: Callable[[], object]) -> int:
    """Run a function in a forked child, which exits with status 0 unless it raises; return the child's id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def site_packages_without(names: Collection[str], folder: Path) -> Path:
    """Fill a folder with links to everything in this environment except these packages; return it."""
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        stem = entry.name.partition("-")[0].removesuffix(".py")
        if stem not in names and entry.suffix != ".pth":
            (folder / entry.name).symlink_to(entry)
    return folder

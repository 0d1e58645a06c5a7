"""Programs in a fresh interpreter, also in one that has no `tensorboard` package."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_program(source, cwd, *, packages=None, timeout=120, **environment):
    """Run a program in a directory and return what it printed; one that fails fails the test.

    Args:
        source: the program.
        cwd: where it runs.
        packages: a folder that takes the place of this environment's site-packages.
        timeout: seconds after which it counts as hanging.
        environment: variables of its environment.
    """
    path = [str(ROOT), *([str(packages)] if packages else [])]
    command = [sys.executable, *(["-S"] if packages else []), "-c", textwrap.dedent(source)]
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path), **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def site_packages_without(names, folder):
    """Fill a folder with links to everything in this environment but the packages named so; return it."""
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        stem = entry.name.partition("-")[0].removesuffix(".py")
        if stem not in names and entry.suffix != ".pth":
            (folder / entry.name).symlink_to(entry)
    return folder

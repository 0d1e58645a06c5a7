"""The command `tblog` in its own process, as users run it."""

from __future__ import annotations

import subprocess
import sys

from tests.processes import environment_here
from tests.waiting import HANG_SECS

UTF8 = {**environment_here(), "PYTHONUTF8": "1"}


def tblog(*arguments: object, status: int = 0) -> tuple[str, str]:
    """Run the command, check its exit status, and return its standard output and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "tblog", *map(str, arguments)],
        env={**UTF8, **environment_here()},  # which a test may have changed
        capture_output=True,
        encoding="utf-8",
        timeout=2 * HANG_SECS,
        check=False,
    )
    assert done.returncode == status, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr

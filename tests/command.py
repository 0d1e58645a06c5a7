"""The command `tblog` in its own process, as users run it."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys

from tblog._cli.main import main
from tests.processes import environment_here
from tests.waiting import HANG_SECS

UTF8 = {**environment_here(), "PYTHONUTF8": "1"}


def tblog(*arguments: object, status: int = 0, max_kb: int | None = None) -> tuple[str, str]:
    """Run the command, check its exit status, and return its standard output and standard error.

    Args:
        arguments: those of the command.
        status: the exit status that it must have.
        max_kb: size of the largest file that it may write, in units of 1,024 bytes.
    """
    limited = [] if max_kb is None else ["/bin/sh", "-c", f'ulimit -f {2 * max_kb}; exec "$@"', "sh"]
    done = subprocess.run(
        [*limited, sys.executable, "-m", "tblog", *map(str, arguments)],
        env=UTF8,
        capture_output=True,
        encoding="utf-8",
        timeout=2 * HANG_SECS,
        check=False,
    )
    assert done.returncode == status, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr


def tblog_here(*arguments: object, status: int = 0) -> tuple[str, str]:
    """Run the command in this process, which has loaded what it needs: for many commands in a row."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            ended: object = main([*map(str, arguments)])
        except SystemExit as exited:
            ended = exited.code
    assert ended == status, f"exit status {ended}\n{output.getvalue()}\n{errors.getvalue()}"
    return output.getvalue(), errors.getvalue()

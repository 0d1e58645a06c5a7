"""The soak in its short form, and a test of its verdict."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.faults.soak import LEAKS
from tests.processes import ROOT, environment_here

HANG_SECS = 240


def soak(secs, *arguments):
    """Run the command for this long, and return its exit status and output."""
    command = [sys.executable, "-m", "tests.faults.soak", "--minutes", str(secs / 60), *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment_here(),
        capture_output=True,
        text=True,
        timeout=HANG_SECS,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_all_kinds_at_a_high_rate_beside_a_tensorboard_leave_nothing_behind_and_lose_nothing():
    """Memory, handles and threads stay flat; TensorBoard reads to the end; every record is on disk."""
    status, said = soak(8)
    assert (status, said.splitlines()[-1]) == (0, "the verdict: all flat, and everything is there"), said


@pytest.mark.slow
def test_a_leak_of_each_kind_is_found():
    """The verdict fails for memory, handles, threads and lost records, each on its own."""
    status, said = soak(4, "--leak", *LEAKS)
    assert status == 1, said
    wrong = [line for line in said.splitlines() if line.startswith("WRONG")]
    for what in ("memory grew", "handles grew", "threads grew", "records are missing"):
        assert any(what in line for line in wrong), said

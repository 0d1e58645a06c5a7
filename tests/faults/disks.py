"""Running a program in a mount namespace, where it may have a disk of its own."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.faults.processes import ENVIRONMENT

DISK = Path(__file__).with_name("disk.py")
HANG_SECS = 120


@functools.cache
def namespace(*, loop=False):
    """Return the command that gives a program a mount namespace, or None where that is not allowed.

    Args:
        loop: it must also be able to mount a file, which needs the real root.
    """
    command = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    trial = "mount -t tmpfs none /mnt"
    if loop:
        trial = "d=$(mktemp -d) && truncate -s 2M $d/i && mkfs.ext4 -qF $d/i && mkdir $d/m && mount -o loop $d/i $d/m"
        trial += " && umount $d/m && rm -r $d"
    try:
        done = subprocess.run([*command, "sh", "-c", trial], capture_output=True, timeout=30, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return command if done.returncode == 0 else None


def happen(fault, writer, out, *, secs=0.0, loop=False, hang_secs=HANG_SECS):
    """Let a fault happen to a writer's disk; return what the program saw, or None if it hung."""
    command = [*namespace(loop=loop), sys.executable, DISK, fault, writer, out, secs]
    try:
        done = subprocess.run(
            list(map(str, command)),
            env=ENVIRONMENT,
            timeout=hang_secs,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    assert done.returncode == 0, done.stderr
    return json.loads((Path(out) / "seen.json").read_text())

"""Runs a training under a fault: with its own disk in a mount namespace, or with a disk on the network."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.faults import disk, inside, network, shim
from tests.faults.processes import start
from tests.faults.training import HANG_SECS


@functools.cache
def namespace(*, loop: bool = False) -> list[str] | None:
    """Return the command that gives a program a mount namespace, or None if the machine does not allow it.

    Args:
        loop: whether it must also mount a file, which needs real root.
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


def can_happen(fault: str) -> bool:
    """Return whether the machine allows what the fault needs."""
    if fault in network.FAULTS:
        return shim.library() is not None
    return fault in inside.FAULTS or namespace(loop=fault in disk.ON_EXT4) is not None


def happen(
    fault: str, writer: str, out: str | Path, *, secs: float = 0.0, hang_secs: float = HANG_SECS
) -> dict[str, Any]:
    """Apply a fault to a training, and return its report; see `training.Training`.

    A program that is still running `hang_secs` after its own deadline is killed, and counts as hung.
    """
    out = Path(out)
    before, environment = [], {}
    if fault in inside.FAULTS:
        program = inside.__file__
    elif fault in network.FAULTS:
        program, environment = network.__file__, shim.on_network(out / "network", out / "rules")
    else:
        program, before = disk.__file__, namespace(loop=fault in disk.ON_EXT4) or []
    command = [*before, sys.executable, program, fault, writer, out, secs, hang_secs]
    with start(*command, stderr=out / "stderr", environment={**os.environ, **environment}) as process:
        try:
            process.wait(2 * hang_secs)
        except subprocess.TimeoutExpired:
            hung = True
        else:
            hung = False
    seen = out / "seen.json"
    if not seen.exists():
        raise RuntimeError(f"{fault} did not happen to {writer}: {(out / 'stderr').read_text()[-2000:]}")
    told = json.loads(seen.read_text())
    return {**told, "hung": told["hung"] or hung}

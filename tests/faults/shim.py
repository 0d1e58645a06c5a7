"""Builds and controls the library of network.c, which gives a program a network file system's faults."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

RULES, PREFIX = "NETWORK_RULES", "NETWORK_PREFIX"
_SOURCE = Path(__file__).with_name("network.c")
_built_in = tempfile.TemporaryDirectory(prefix="tblog-network-")


@functools.cache
def library() -> Path | None:
    """Build the library; return its path, or None without a compiler or outside Linux."""
    compiler = shutil.which(os.environ.get("CC") or "cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return None
    built = Path(_built_in.name) / "network.so"
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", built, _SOURCE, "-lpthread"]
    done = subprocess.run(list(map(str, command)), capture_output=True, check=False)
    return built if done.returncode == 0 else None


def on_network(folder: Path, rules: Path) -> dict[str, str]:
    """Return the environment variables that put paths below a folder on the network.

    Args:
        folder: every path that begins with it is on the network.
        rules: the file of the faults, which need not exist; see `set_faults`.
    """
    return {"LD_PRELOAD": str(library()), PREFIX: str(folder), RULES: str(rules)}


def set_faults(rules: Path, *faults: str) -> None:
    """Replace the current faults with these; see network.c for their syntax."""
    new = rules.with_name(f"{rules.name}.new")
    new.write_text("".join(f"{fault}\n" for fault in faults))
    new.replace(rules)

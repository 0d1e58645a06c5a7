"""The library of network.c, which gives a program a network file system's faults: built when needed, and told what to do."""

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
    """Build the library; return its path, or None where there is no compiler, or no Linux."""
    compiler = shutil.which(os.environ.get("CC") or "cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return None
    built = Path(_built_in.name) / "network.so"
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", built, _SOURCE, "-lpthread"]
    done = subprocess.run(list(map(str, command)), capture_output=True, check=False)
    return built if done.returncode == 0 else None


def on_network(folder: Path, rules: Path) -> dict[str, str]:
    """Return the variables of a program for which what lies below a folder is on the network.

    Args:
        folder: any name below it that begins with its own is on the network.
        rules: the file of the faults, which need not be there; see `set_faults`.
    """
    return {"LD_PRELOAD": str(library()), PREFIX: str(folder), RULES: str(rules)}


def set_faults(rules: Path, *faults: str) -> None:
    """Let these faults happen from now on, and no others; see network.c for how they are written."""
    new = rules.with_name(f"{rules.name}.new")
    new.write_text("".join(f"{fault}\n" for fault in faults))
    new.replace(rules)

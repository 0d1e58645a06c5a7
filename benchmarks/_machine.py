"""The machine, the versions and the date that stand beside every figure."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import subprocess
import tempfile
from pathlib import Path

import psutil

_PACKAGES = ("numpy", "torch", "tensorboardX", "tensorboard", "protobuf", "crc32c", "pillow")


def describe() -> dict[str, str]:
    """Return what a reader needs to judge the figures; no host name."""
    import tblog

    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}, logs on {_filesystem()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "tblog": f"{tblog.__version__}{_commit()}",
        **{name: _version(name) for name in _PACKAGES},
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _filesystem() -> str:
    folder = tempfile.gettempdir()
    mounts = [part for part in psutil.disk_partitions(all=True) if folder.startswith(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "an unknown file system"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f" at {done.stdout.strip()}"

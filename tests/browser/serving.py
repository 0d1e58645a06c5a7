"""Starts and stops a TensorBoard on a free port, and holds the options of the browser."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

TIMEOUT_SECS = 60
CHROMIUM = Path(os.environ.get("TBLOG_CHROMIUM", "/usr/bin/chromium"))
# Without a GPU, first-run pages or background traffic.
CHROMIUM_FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Chromium's sandbox refuses to run as root.
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]


@dataclass(frozen=True)
class Server:
    """A running TensorBoard: its address and what it has read so far."""

    url: str

    def get(self, path: str) -> Any:
        """Fetch a JSON answer, such as "data/plugin/scalars/tags"."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=TIMEOUT_SECS) as answer:
            return json.load(answer)

    def wait_for_scalar(self, run: str, tag: str) -> None:
        """Wait until TensorBoard has read a tag; it reads a run's file from start to end."""
        deadline = time.monotonic() + TIMEOUT_SECS
        while tag not in (tags := self.get("data/plugin/scalars/tags")).get(run, {}):
            assert time.monotonic() < deadline, f"no scalar {tag!r} in run {run!r}: {tags}"
            time.sleep(0.1)


@contextmanager
def serve(log_dir: Path, *options: str) -> Iterator[Server]:
    """Start TensorBoard with these options on a free loopback port, and stop it at the end."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(log_dir), *options]
    with tempfile.TemporaryFile("a+") as said:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", "0"], stdout=subprocess.DEVNULL, stderr=said
        )
        try:
            yield Server(_address(process, said))
        finally:
            process.terminate()
            process.wait(timeout=TIMEOUT_SECS)


def _address(process: subprocess.Popen[bytes], said: TextIO) -> str:
    """Wait until TensorBoard prints its address."""
    deadline = time.monotonic() + TIMEOUT_SECS
    while True:
        said.seek(0)
        text = said.read()
        if found := re.search(r"http://\S+/", text):
            return found.group()
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"TensorBoard did not start: {text}")
        time.sleep(0.1)

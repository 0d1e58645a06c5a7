"""Shared fixtures; tests that draw examples draw the same ones each time.

`TBLOG_FUZZ_EXAMPLES=1000` sets the number of examples of the fuzz tests in `faults/`, and makes all tests draw
new ones.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.sinks import Clock, MemoryDisk

settings.register_profile("tblog", derandomize="TBLOG_FUZZ_EXAMPLES" not in os.environ)
settings.load_profile("tblog")


@pytest.fixture(scope="session")
def new_folder() -> Iterator[Callable[[], Path]]:
    """Return a function that makes a folder, in memory if possible: a fuzz test syncs hundreds of files."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="tblog-fuzz-", dir=memory) as root:
        numbers = itertools.count()

        def make() -> Path:
            folder = Path(root, str(next(numbers)))
            folder.mkdir()
            return folder

        yield make


@pytest.fixture
def disk() -> MemoryDisk:
    """Return an in-memory disk with free space."""
    from tests.sinks import MemoryDisk

    return MemoryDisk()


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    from tests.sinks import Clock

    return Clock()


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    """Make this process a torch process group of one."""
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield
    dist.destroy_process_group()

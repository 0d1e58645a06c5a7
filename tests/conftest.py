"""What tests share; those that draw examples draw the same ones each time.

`TBLOG_FUZZ_EXAMPLES=1000` asks the fuzz tests in `faults/` for so many, and all tests for new ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("tblog", derandomize="TBLOG_FUZZ_EXAMPLES" not in os.environ)
settings.load_profile("tblog")


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    """Make this process a group of one, in the sense of torch."""
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield
    dist.destroy_process_group()

"""DataLoader workers that log, with every start method; test_forks.py covers those of one epoch."""

from __future__ import annotations

import numpy as np
import pytest

from tblog import SummaryWriter
from tests.reading import points
from tests.slow import slow_but

HANG_SECS = 120


class LoggingDataset:
    """A dataset whose workers log each item that they fetch."""

    def __init__(self, writer):
        self.writer = writer

    def __len__(self):
        return 12

    def __getitem__(self, index):
        self.writer.add_scalar(f"fetched/{index}", index, index)
        return np.zeros(1)


@pytest.mark.parametrize("method", slow_but(["fork"], ["fork", "spawn"]))
def test_workers_that_outlive_an_epoch_log_to_files_of_theirs_and_lose_nothing(tmp_path, method):
    """Two epochs; the loader ends its workers when it is deleted."""
    from torch.utils.data import DataLoader

    writer = SummaryWriter(tmp_path)
    loader = DataLoader(
        LoggingDataset(writer),
        batch_size=4,
        num_workers=2,
        multiprocessing_context=method,
        persistent_workers=True,
        timeout=HANG_SECS,
    )
    step = 0
    for _ in range(2):
        for _ in loader:
            writer.add_scalar("loss", step, step)
            step += 1
    del loader
    writer.close()
    found = points(tmp_path)
    assert found.pop("loss") == [(step, float(step)) for step in range(6)]
    assert found == {f"fetched/{index}": [(index, float(index))] * 2 for index in range(12)}

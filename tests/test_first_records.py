"""The first record of a kind, in a process that has not imported torch, costs little more than the second."""

from __future__ import annotations

import pytest

from tests.processes import run_program

CALLS = {
    "histogram": "writer.add_histogram('h', numbers[:1000], step)",
    "large histogram": "writer.add_histogram('h', numbers, step)",
    "image": "writer.add_image('i', numbers[:30_000].reshape(3, 100, 100), step)",
    "text": "writer.add_text('t', 'words', step)",
    "audio": "writer.add_audio('a', numbers, step)",
    "PR curve": "writer.add_pr_curve('p', numbers > 0.5, numbers, step)",
    "tensor": "writer.add_tensor('t', numbers, step)",
}
PROGRAM = """
import sys, tempfile, time
import numpy as np
from tblog import SummaryWriter

numbers = np.linspace(0, 1, 100_000, dtype=np.float32)
with tempfile.TemporaryDirectory() as logdir, SummaryWriter(logdir) as writer:
    writer.add_scalar("first", 0.5, 0)
    writer.flush()
    used = []
    for step in range(2):
        started = time.process_time()
        {call}
        writer.flush()
        used.append(time.process_time() - started)
    assert writer.stats.failed == 0
print(sorted({{"torch", "boto3", "botocore", "tensorboardX", "tensorboard", "PIL", "matplotlib"}} & set(sys.modules)))
print(used[0] - used[1])
"""


@pytest.mark.parametrize("kind", CALLS)
def test_the_first_record_of_a_kind_costs_little_and_loads_no_heavy_package(kind):
    """It takes less than 60 ms of CPU time more than the second, worker included; neither torch nor boto3 is loaded."""
    loaded, more = run_program(PROGRAM.format(call=CALLS[kind])).splitlines()
    assert loaded == "[]"
    assert float(more) < 0.06

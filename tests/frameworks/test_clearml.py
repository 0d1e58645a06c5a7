"""clearml in its offline mode, which hooks `FileWriter.add_event` of both originals."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

START = """
from clearml import Task
Task.set_offline(True)
task = Task.init("p", "t", auto_connect_arg_parser=False, auto_resource_monitoring=False)
"""

PROGRAM = """
import torch  # at which clearml puts its hooks
with SummaryWriter("run") as writer:
    for step in range(10):
        writer.add_scalar("train/loss", step / 4, step)
task.close()
print(task.get_offline_mode_folder())
"""


def test_clearml_mirrors_a_run_of_tblog(run_mirrored, tmp_path):
    """The offline session has every scalar with its iteration, once."""
    run_mirrored(START, PROGRAM)
    (metrics,) = tmp_path.rglob("metrics.jsonl")
    reported = [
        (metric["iter"], metric["value"])
        for line in metrics.read_text().splitlines()
        for metric in json.loads(line)
        if metric["metric"] == "train"
    ]
    assert reported == [(step, step / 4) for step in range(10)]

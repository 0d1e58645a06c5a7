"""The simulation of many ranks: its output is read back, and its model counts it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import scale
from benchmarks._scale_model import Constants, Load, OfReduce, OfScalar, cost

CONSTANTS = Constants(
    alone=OfScalar(49.2, 1e-6, 4e-5, 1e-6),
    in_dict=OfScalar(19.6, 5e-7, 1e-5, 5e-7),
    cpu_round=0.0004,
    cpu_silent=1e-7,
    cpu_step=1e-4,
    rust_start=0.5,
    reduce=OfReduce(poll=0.01, batch=1e-4, join=1e-6, send_round=1e-4, send=1e-6),
)
FEW = Load(ranks=4, scalars=5, rate=10.0, secs=1.0)


@pytest.mark.parametrize(
    ("rule", "as_dict", "runs"), [("each", False, 4), ("zero", True, 1), ("reduce", False, 1)]
)
def test_real_ranks_write_what_the_model_counts(rule, as_dict, runs):
    """Both loaders find every point with its value, or `compare` raises; files and bytes are those of the model."""
    load = replace(FEW, as_dict=as_dict, scalars=100)
    rows = {row.what: row for row in scale.compare(rule, load, CONSTANTS)}
    assert rows["files"].measured == rows["files"].model == runs
    assert 0.9 < rows["MB in all"].ratio < 1.1


def test_the_model_adds_up():
    """For three designs: each rank writes, rank 0 writes, or all ranks send to rank 0."""
    each, zero, reduced = (cost(rule, FEW, CONSTANTS) for rule in ("each", "zero", "reduce"))
    assert (each.scalars, zero.scalars, reduced.scalars) == (200, 50, 50)
    assert (each.files, zero.files, reduced.files) == (4, 1, 1)
    assert (each.network, zero.network, reduced.network) == (0, 0, 3 * 50 * 28)
    assert each.cpu == pytest.approx(4 * zero.cpu_of_zero)
    batches = 3 * 1 / 0.104
    assert reduced.cpu_of_zero == pytest.approx(zero.cpu_of_zero + 0.01 + 200e-6 + batches * 1e-4)
    assert cost("each", replace(FEW, as_dict=True), CONSTANTS).events == 40


def test_requests_follow_the_size_and_the_age_of_segments():
    """A slow run sends a segment every two minutes, a fast one whenever eight MiB are full."""
    hour = replace(FEW, secs=3600.0)
    assert cost("zero", hour, CONSTANTS).requests == 30
    fast = replace(hour, scalars=100_000)
    assert cost("zero", fast, CONSTANTS).requests == pytest.approx(
        cost("zero", fast, CONSTANTS).nbytes / 2**23
    )


@pytest.mark.slow
def test_the_command_prints_the_tables(capsys):
    """It measures its constants, simulates, and prints the model's result for 1,000 ranks."""
    scale.main(["--ranks=2", "--scalars=2", "--secs=0.5", "--calibrate=1000", "--rules", "zero"])
    printed = capsys.readouterr().out
    assert "| zero | CPU of rank 0, s |" in printed
    assert "| events a second | 1,000 | 10 |" in printed

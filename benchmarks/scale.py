"""What does it cost if many ranks log? `python -m benchmarks.scale`; see docs/scale.md.

Measures the constants of the model with one process. Then 64 real processes log at a rate that this machine can bear,
and TensorBoard's two loaders read everything back. Prints the model beside the measurements, and what the model gives
for 1,000 ranks.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import _machine, _scale_rank, _scale_reading, _scale_together
from benchmarks._runner import ROOT
from benchmarks._scale_model import (
    DAY_SECS,
    DOLLARS_A_REQUEST,
    Constants,
    Cost,
    Load,
    OfReduce,
    OfScalar,
    cost,
)

PAPER = Load(ranks=1000, scalars=100, rate=10.0, secs=DAY_SECS)
RULES = ("each", "zero", "reduce")
BYTES_ALONE, BYTES_IN_DICT = 49.2, 19.6  # question 10
_HEAD = ("rule", "what", "model", "measured", "measured / model")


@dataclass(frozen=True)
class Row:
    """A measured figure of the simulation, and the model's."""

    rule: str
    what: str
    model: float
    measured: float

    @property
    def ratio(self) -> float:
        """Return measured / model; 1 where both are below what the clock can tell."""
        if not self.model:
            return math.inf if self.measured else 1.0
        return self.measured / self.model


def simulate(folder: Path, rule: str, load: Load) -> list[dict[str, float]]:
    """Let many processes log at once; return what each reported, by rank."""
    form = "dict" if load.as_dict else "alone"
    if rule == "reduce":
        return _simulate_together(folder, load, form)
    told = map(str, (folder, rule, load.scalars, load.steps, load.rate, form))
    command = [sys.executable, _scale_rank.__file__, *told]
    with contextlib.ExitStack() as stack:
        ranks = [
            stack.enter_context(
                subprocess.Popen(
                    command,
                    env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
                    | {"RANK": str(rank), "WORLD_SIZE": str(load.ranks)},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for rank in range(load.ranks)
        ]
        for process in ranks:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in ranks:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return [json.loads(process.communicate()[0]) for process in ranks]


def _simulate_together(folder: Path, load: Load, form: str) -> list[dict[str, float]]:
    told = map(str, (folder, load.ranks, load.scalars, load.steps, load.rate, form))
    done = subprocess.run(
        [sys.executable, _scale_together.__file__, *told],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    reports: list[dict[str, float]] = json.loads(done.stdout)
    return reports


def read(folder: Path, loader: str, load: Load, runs: int, rule: str = "zero") -> float:
    """Return the CPU seconds that a loader takes to read everything."""
    series = runs * load.scalars
    which = "reduce" if rule == "reduce" else "own"
    told = map(str, (folder, loader, series * load.steps, load.steps - 1, series, load.ranks, which))
    done = subprocess.run(
        [sys.executable, _scale_reading.__file__, *told],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return float(done.stdout)


def measure_constants(scalars: int) -> Constants:
    """Measure processes that log as fast as they can, and some that are nearly idle.

    Args:
        scalars: number that the first process logs; the Rust server reads ten times as many.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        calm = Load(2, PAPER.scalars, PAPER.rate, 5.0)
        writing, silent = (seen["cpu"] for seen in simulate(folder / "calm", "zero", calm))
        start = read(folder / "calm", "rust", calm, 1)
        loud = _Unpaced(2, PAPER.scalars, 0.0, 1.0, count=max(1, scalars // PAPER.scalars))
        calls = simulate(folder / "loud", "zero", loud)[1]["cpu"] / (PAPER.scalars * loud.steps)
        alone = _measure_scalar(folder / "alone", scalars, start, BYTES_ALONE, as_dict=False)
        in_dict = _measure_scalar(folder / "dict", scalars, start, BYTES_IN_DICT, as_dict=True)
        return Constants(
            alone,
            in_dict,
            cpu_round=(writing - silent - calm.scalars * calm.steps * alone.cpu) / calm.rounds,
            cpu_silent=calls,
            cpu_step=silent / calm.steps,
            rust_start=start,
            reduce=_measure_reduce(folder / "reduce", alone, silent / calm.steps),
        )


def _measure_reduce(folder: Path, alone: OfScalar, cpu_step: float) -> OfReduce:
    """Measure few ranks that send little, many that send little, and many that send much; the rest is arithmetic."""
    two, many, loud = (Load(*given, 10.0, 10.0) for given in ((2, 1), (9, 1), (9, 400)))
    cpus = []
    for number, load in enumerate((two, many, loud)):
        seen = [
            rank["cpu"] - load.steps * cpu_step for rank in simulate(folder / str(number), "reduce", load)
        ]
        cpus.append((seen[0], sum(seen[1:]) / len(seen[1:])))
    (zero_of_two, _), (zero_of_many, other), (zero_of_loud, loud_other) = cpus
    batches, of_one = OfReduce.batches(many), loud.scalars * loud.steps
    batch = max(0.0, zero_of_many - zero_of_two) / ((many.ranks - two.ranks) * batches)
    join = (zero_of_loud - zero_of_many - of_one * alone.cpu) / (loud.ranks * of_one)
    return OfReduce(
        poll=max(0.0, zero_of_two / two.secs - batch * OfReduce.batches(two) / two.secs),
        batch=batch,
        join=join,
        send_round=other / batches,
        send=(loud_other - other) / of_one,
    )


def _measure_scalar(folder: Path, scalars: int, start: float, nbytes: float, *, as_dict: bool) -> OfScalar:
    width = PAPER.scalars
    few = _Unpaced(1, width, 0.0, 1.0, as_dict, count=max(1, scalars // width))
    many = replace(few, count=10 * few.count)
    simulate(folder / "few", "all", few)
    (seen,) = simulate(folder / "many", "all", many)
    return OfScalar(
        nbytes=nbytes,
        cpu=seen["cpu"] / (width * many.steps),
        accumulator=read(folder / "few", "accumulator", few, 1) / (width * few.steps),
        rust=max(read(folder / "many", "rust", many, 1) - start, 0.0) / (width * many.steps),
    )


@dataclass(frozen=True)
class _Unpaced(Load):
    """A number of steps, as fast as possible: at a rate of 0."""

    count: int = 0

    @property
    def steps(self) -> int:
        """Return the number of steps."""
        return self.count


def compare(rule: str, load: Load, constants: Constants) -> list[Row]:
    """Simulate a load under one rule, read it back, and return the figures beside the model's."""
    model = cost(rule, load, constants)
    runs = round(model.files)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seen = simulate(folder, rule, load)
        assert not any(rank["lost"] for rank in seen), seen
        files = [path for path in folder.rglob("*tfevents*") if path.is_file()]
        late = max(rank["secs"] for rank in seen) / load.secs
        measured = {
            "files": (model.files, float(len(files))),
            "MB in all": (model.nbytes / 1e6, sum(path.stat().st_size for path in files) / 1e6),
            "CPU of all ranks, s": (model.cpu, sum(rank["cpu"] for rank in seen)),
            "CPU of rank 0, s": (model.cpu_of_zero, seen[0]["cpu"]),
            "CPU of EventAccumulator, s": (model.accumulator, read(folder, "accumulator", load, runs, rule)),
            "CPU of the Rust data server, s": (model.rust, read(folder, "rust", load, runs, rule)),
            "seconds of the training": (load.secs, late * load.secs),
        }
    return [Row(rule, what, *pair) for what, pair in measured.items()]


def table(rows: Sequence[Row]) -> str:
    """Return the figures as a Markdown table."""
    lines = [f"| {' | '.join(_HEAD)} |", "|---|---|---:|---:|---:|"]
    lines += [
        f"| {row.rule} | {row.what} | {row.model:,.3g} | {row.measured:,.3g} | {row.ratio:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


def paper(constants: Constants, rules: Sequence[str]) -> str:
    """Return the cost of a day of `PAPER`, as a Markdown table with a column for each rule and form."""
    cases = [(rule, replace(PAPER, as_dict=as_dict)) for rule in rules for as_dict in (False, True)]
    of_logging = replace(constants, cpu_step=0.0, rust_start=0.0)
    costs = [cost(rule, load, of_logging) for rule, load in cases]
    heads = [f"{rule}{', dict' if load.as_dict else ''}" for rule, load in cases]
    lines = [f"| a day of 1,000 ranks | {' | '.join(heads)} |", "|---|" + "---:|" * len(costs)]
    lines += [f"| {what} | {' | '.join(show(each) for each in costs)} |" for what, show in _LINES.items()]
    return "\n".join(lines)


_LINES: dict[str, Callable[[Cost], str]] = {
    "events a second": lambda each: f"{each.events / DAY_SECS:,.0f}",
    "written a second": lambda each: f"{each.nbytes / DAY_SECS / 1e6:,.2f} MB",
    "written a day": lambda each: f"{each.nbytes / 1e9:,.1f} GB",
    "files (runs)": lambda each: f"{each.files:,.0f}",
    "requests to a store, a day": lambda each: f"{each.requests:,.0f}",
    "their price, a day": lambda each: f"${each.requests * DOLLARS_A_REQUEST:,.2f}",
    "CPU of rank 0": lambda each: f"{each.cpu_of_zero / DAY_SECS:.2%} of a core",
    "CPU of another rank": lambda each: f"{(each.cpu - each.cpu_of_zero) / (PAPER.ranks - 1) / DAY_SECS:.2%}",
    "CPU of EventAccumulator, for an hour's": lambda each: f"{each.accumulator / 24 / 60:,.1f} min",
    "CPU of the Rust data server, for an hour's": lambda each: f"{each.rust / 24 / 60:,.2f} min",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if the model is wrong by more than a factor of two."""
    options = _parser().parse_args(arguments)
    constants = measure_constants(options.calibrate)
    rows = []
    for rule in options.rules:
        load = Load(options.ranks, options.scalars, options.rate, options.secs, as_dict=options.dicts)
        rows += compare(rule, load, constants)
    print(f"{constants}\n")
    print(f"{table(rows)}\n\n{paper(constants, options.rules)}\n")
    print("; ".join(f"{name} {value}" for name, value in _machine.describe().items()))
    return int(not all(0.5 <= row.ratio <= 2 for row in rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--ranks", type=int, default=64, help="processes of the simulation (64)")
    parser.add_argument("--scalars", type=int, default=100, help="of each rank at a step (100)")
    parser.add_argument("--rate", type=float, default=4.0, help="steps a second (4)")
    parser.add_argument("--secs", type=float, default=20.0, help="that the ranks log (20)")
    parser.add_argument("--rules", nargs="+", choices=RULES, default=RULES)
    parser.add_argument("--dicts", action="store_true", help="all numbers of a step as one event")
    parser.add_argument(
        "--calibrate",
        type=int,
        default=200_000,
        help="scalars that one process logs for the constants (200000)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

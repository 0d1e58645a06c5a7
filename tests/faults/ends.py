"""Let programs that log tensors end in every way, and print how many ended wrongly.

    python -m tests.faults.ends --rounds 100 --endings close

Each run is a process of its own, since a warm one, or one that is forked, ends otherwise: of those that aborted in
more than half of the runs, 1 in 60 did. Wrong is an exit status other than that of the same program without a
writer, a process that hangs, anything on standard error, and a record that is not on disk.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tblog import SummaryWriter
from tests.faults.ending import ENDINGS, KINDS, STATUS, log
from tests.faults.soak_kinds import embedding_files, payloads
from tests.processes import environment_here

PROGRAM = Path(__file__).with_name("ending.py")
AT_ONCE = 2
HANG_SECS = 240  # loading torch takes a busy machine a minute


@dataclass(frozen=True)
class End:
    """How a program ended.

    Attributes:
        status: its exit status, or "hung".
        lost: records that are not on disk.
        told: the last line on standard error, other than the program's own exception.
    """

    status: int | str
    lost: int
    told: str

    def is_right(self, ending: str) -> bool:
        """Return whether it ended as it should, with every record on disk."""
        return (self.status, self.lost, self.told) == (STATUS.get(ending, 0), 0, "")


def end_program(kind: str, ending: str) -> End:
    """Run a program that logs one kind and ends in one way."""
    with tempfile.TemporaryDirectory(prefix="tblog-end-") as folder:
        command = [sys.executable, str(PROGRAM), folder, kind, ending]
        try:
            done = subprocess.run(
                command,
                env=environment_here(),
                capture_output=True,
                text=True,
                timeout=HANG_SECS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return End("hung", 0, "")
        lost = _records_of_a_quiet_run(kind) - _records(folder)
    told = [line for line in done.stderr.splitlines() if line != "RuntimeError: on purpose"]
    is_own = ending == "exception" and told and told[0].startswith("Traceback")
    return End(done.returncode, lost.total(), "" if is_own or not told else told[-1])


@functools.cache
def _records_of_a_quiet_run(kind: str) -> Counter[Any]:
    with tempfile.TemporaryDirectory(prefix="tblog-end-") as folder:
        with SummaryWriter(folder) as writer:
            log(writer, kind, "main")
        return _records(folder)


def _records(folder: str) -> Counter[Any]:
    """Count the records on disk by run and tag, or by path for an embedding's file."""
    tags = Counter((run, tag) for run, tag, _, _ in payloads(folder))
    return tags + Counter(embedding_files(folder).keys())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if a program ended wrongly."""
    options = _parser().parse_args(arguments)
    cases = list(itertools.product(options.kinds, options.endings))
    for kind in options.kinds:
        _records_of_a_quiet_run(kind)  # before any thread starts
    wrong: dict[tuple[str, str], Counter[End]] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = cases * options.rounds
        for case, end in zip(runs, pool.map(lambda case: end_program(*case), runs), strict=True):
            if not end.is_right(case[1]):
                wrong.setdefault(case, Counter())[end] += 1
    sys.stdout.write(f"{len(runs)} programs, {sum(map(Counter.total, wrong.values()))} ended wrongly\n")
    for (kind, ending), ends in wrong.items():
        sys.stdout.write(f"{kind}, {ending}: {ends.total()} of {options.rounds}\n")
        for end, count in ends.most_common():
            sys.stdout.write(
                f"    {count} x status {end.status}, {end.lost} records lost, {end.told or 'nothing told'}\n"
            )
    return int(bool(wrong))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.ends", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4, help="runs of each kind with each ending (4)")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), metavar="KIND")
    parser.add_argument(
        "--endings", nargs="+", choices=list(ENDINGS), default=list(ENDINGS), metavar="ENDING"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

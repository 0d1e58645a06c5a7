"""Let faults happen to tblog and both originals, and print what was lost, torn and hung, as a table.

Every fault happens in processes of its own, at moments that the seed decides; writers and faults alternate.
In each round every kill happens to tblog; in one of 4 the faults inside of the program, in one of 8 those of disks.
To the originals they happen less often, since their processes load torch, and hang under some; the table says how often.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import _machine
from tests.faults.outcome import Outcome
from tests.faults.page import put_into
from tests.faults.table import Run, markdown
from tests.faults.trials import FAULTS, WRITERS, trial

AT_ONCE = 2  # a trial mostly waits: for a program to end, or for one that hangs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if tblog hung, tore a file, or lost what was flushed."""
    options = _parser().parse_args(arguments)
    if options.read:
        run = Run.read(options.read)
    else:
        run = _run(options)
        if options.json:
            run.write(options.json)
    sys.stdout.write(markdown(run) + "\n")
    if options.page:
        put_into(options.page, run)
    return int(
        any(
            outcome.hung or outcome.torn or outcome.lost_flushed
            for _, writer, _, outcome in run.rows()
            if writer == "tblog"
        )
    )


def _run(options: argparse.Namespace) -> Run:
    started = time.monotonic()
    names = [name for name in FAULTS if {name, FAULTS[name].group} & set(options.faults)]
    possible = [name for name in names if FAULTS[name].can_happen()]
    run = Run(options.seed, _machine.describe(), {}, [name for name in names if name not in possible])
    trials = [
        (name, writer, nth)
        for number in range(options.rounds)
        for name in possible
        for writer in options.writers
        if (nth := FAULTS[name].nth(writer, number)) is not None
    ]
    sys.stderr.write(f"seed {options.seed}, {len(trials)} trials\n")
    for name in run.skipped:
        sys.stderr.write(f"{name}: not tried, this machine does not allow it\n")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = pool.map(lambda each: _in_a_folder(each, options.seed), trials)
        for (name, writer, _), outcome in zip(trials, _with_progress(outcomes, len(trials)), strict=True):
            run.add(name, writer, outcome)
    run.secs = time.monotonic() - started
    return run


def _in_a_folder(each: tuple[str, str, int], seed: int) -> Outcome:
    name, writer, nth = each
    with tempfile.TemporaryDirectory(prefix="tblog-fault-") as folder:
        return trial(name, writer, folder, seed, nth)


def _with_progress(outcomes: Iterable[Outcome], total: int) -> Iterable[Outcome]:
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        return outcomes
    shown: Iterable[Outcome] = tqdm(outcomes, total=total, unit="trial", dynamic_ncols=True)
    return shown


def _parser() -> argparse.ArgumentParser:
    groups = list(dict.fromkeys(fault.group for fault in FAULTS.values()))
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--rounds", type=int, default=8, help="of the kills, for tblog (8)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="any number if not given")
    parser.add_argument(
        "--faults",
        nargs="+",
        metavar="FAULT",
        choices=[*groups, *FAULTS],
        default=groups,
        help=f"by group ({', '.join(groups)}) or by name ({', '.join(FAULTS)})",
    )
    parser.add_argument("--writers", nargs="+", choices=WRITERS, default=WRITERS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep what was seen")
    parser.add_argument("--read", type=Path, metavar="FILE", help="run nothing, and read what --json kept")
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the table between the marks of a page")
    return parser


if __name__ == "__main__":
    sys.exit(main())

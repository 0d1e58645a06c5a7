"""`python -m tblog.check LOGDIR`: say what is wrong in event files, and repair them with `--repair`.

Exit status: 0 where nothing is wrong, or nothing is left; 1 where something is; 2 where it cannot be read.
A repair loses no readable record. The old file stays beside the new one, under a name that no loader reads.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from tblog._inspection import FileReport, Finding, RunInspection, repaired_records
from tblog._resume import event_paths
from tblog._rewrite import keep_aside, replace, unless_in_use

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def check(logdir: str) -> Iterator[FileReport]:
    """Look at every event file below a log directory.

    Args:
        logdir: a run, or a directory of runs.

    Yields:
        A report on each file, in the order in which TensorBoard reads them. One that cannot be read
        has a finding that says why.
    """
    for folder in sorted(folder for folder, _, _ in os.walk(logdir)):
        run = RunInspection()
        for path in event_paths(folder):
            try:
                yield run.inspect(path)
            except OSError as error:
                yield FileReport(path, findings=[Finding(f"cannot be read: {error}", is_repairable=False)])


def repair(path: str) -> str:
    """Rewrite an event file with all its readable records, put right where that is possible.

    Args:
        path: the file.

    Returns:
        The name under which the old file stays, or "" where a writer has the file open: it is left alone.

    Raises:
        OSError: the new file cannot be written. The old one is as it was.
    """
    with unless_in_use(path) as file:
        if file is None:
            return ""
        aside = keep_aside(path)
        replace(path, repaired_records(file))
        return aside


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, print a table, repair if asked to; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tblog.check", description="Check event files, and repair them."
    )
    parser.add_argument("logdir", help="a run, or a directory of runs")
    parser.add_argument(
        "--repair", action="store_true", help="rewrite damaged files; the old ones are kept aside"
    )
    given = parser.parse_args(arguments)
    if not os.path.isdir(given.logdir):
        parser.error(f"{given.logdir} is no directory; give one that holds event files")
    sys.stdout.write(f"{'bytes':>15} {'records':>12}  file\n")
    files = records = left = 0
    for report in check(given.logdir):
        files, records = files + 1, records + report.records
        _print(report, given.logdir)
        fixed = given.repair and report.needs_repair and _repair_told(report, given.logdir)
        left += sum(not (fixed and finding.is_repairable) for finding in report.findings)
    what = f"{left} findings" + (" are left" if given.repair else "")
    sys.stdout.write(f"{files} files, {records:,} records, {what if left else 'nothing wrong'}\n")
    return 1 if left else 0


def _print(report: FileReport, logdir: str) -> None:
    sys.stdout.write(f"{report.size:15,} {report.records:12,}  {os.path.relpath(report.path, logdir)}\n")
    if report.in_use:
        sys.stdout.write(f"{'':30}a writer has it open\n")
    for finding in report.findings:
        sys.stdout.write(f"{'':30}{finding.text}{' [repairable]' if finding.is_repairable else ''}\n")


def _repair_told(report: FileReport, logdir: str) -> bool:
    try:
        aside = repair(report.path)
    except OSError as error:
        sys.stdout.write(f"{'':30}could not be repaired: {error}\n")
        return False
    told = (
        f"repaired; the old file is {os.path.relpath(aside, logdir)}"
        if aside
        else "left alone: a writer has it"
    )
    sys.stdout.write(f"{'':30}{told}\n")
    return bool(aside)


if __name__ == "__main__":
    sys.exit(main())

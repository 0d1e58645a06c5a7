"""`python -m tblog.check PATH`: say what is wrong in event files, repair them, and put back what was cut off.

Exit status: 0 where nothing is wrong, or nothing is left; 1 where something is; 2 where it cannot be read.
A repair loses no readable record. The old file stays beside the new one, under a name that no loader reads;
so does what a resumed run cut off. `--list-kept`, `--restore` and `--remove-kept` are for these.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from tblog._files import kept_command
from tblog._files.inspection import FileReport, Finding, RunInspection, many, repaired_records
from tblog._files.kept import keep_whole, stamp
from tblog._files.resume import event_paths
from tblog._files.rewrite import unless_in_use

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def check(path: str) -> Iterator[FileReport]:
    """Look at an event file, or at every one below a log directory.

    Args:
        path: an event file, a run, or a directory of runs.

    Yields:
        A report on each file, in the order in which TensorBoard reads them. One that cannot be read
        has a finding that says why.
    """
    if os.path.isfile(path):
        yield _report(path, RunInspection())
        return
    for folder in sorted(folder for folder, _, _ in os.walk(path)):
        run = RunInspection()
        for each in event_paths(folder):
            yield _report(each, run)


def _report(path: str, run: RunInspection) -> FileReport:
    try:
        return run.inspect(path)
    except OSError as error:
        return FileReport(path, findings=[Finding(f"cannot be read: {error}", is_repairable=False)])


def repair(path: str, when: str = "") -> str:
    """Rewrite an event file with all its readable records, put right where that is possible.

    Args:
        path: the file.
        when: identifies the old file for `--restore`; now, if "".

    Returns:
        The name under which the old file stays, or "" where a writer has the file open: it is left alone.

    Raises:
        OSError: the new file cannot be written. The old one is as it was.
    """
    with unless_in_use(path) as held:
        if held is None or not held.may_change():
            return ""
        aside = keep_whole(path, "repair", when or stamp())
        if held.rewrite_records(repaired_records(held.file)):
            return aside
        os.unlink(aside)
        return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, print a table, repair if asked to, or see to what is kept; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tblog.check",
        description="Check event files, repair them, and put back what resumed runs cut off.",
    )
    parser.add_argument("path", help="an event file, a run, or a directory of runs")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--repair", action="store_true", help="rewrite damaged files; the old ones are kept aside"
    )
    what.add_argument(
        "--list-kept", action="store_true", help="list what was cut off by resumed runs, or kept by repairs"
    )
    what.add_argument(
        "--restore",
        action="store_true",
        help="put back what was cut off, and set aside what was logged in its place since",
    )
    what.add_argument("--remove-kept", action="store_true", help="remove what is kept, for good")
    parser.add_argument(
        "--cut", metavar="TIME", help="which of the kept ones to restore or remove, as --list-kept names it"
    )
    given = parser.parse_args(arguments)
    if not (os.path.isdir(given.path) or os.path.isfile(given.path)):
        parser.error(f"{given.path} is no directory; give one that holds event files, or an event file")
    for name, command in kept_command.COMMANDS.items():
        if getattr(given, name):
            return command(given.path, given.cut, parser.error)
    return _check_told(given.path, repairs=given.repair)


def _check_told(path: str, *, repairs: bool) -> int:
    root, when = path if os.path.isdir(path) else os.path.dirname(path), stamp()
    sys.stdout.write(f"{'bytes':>15} {'records':>12}  file\n")
    files = records = left = repaired = 0
    for report in check(path):
        files, records = files + 1, records + report.records
        _print(report, root)
        fixed = repairs and report.needs_repair and _repair_told(report, root, when)
        repaired += fixed
        left += sum(not (fixed and finding.is_repairable) for finding in report.findings)
    told = [many(files, "file"), many(records, "record")]
    if repaired:
        told.append(f"{repaired:,} repaired")
    if left:
        told.append(many(left, "finding") + (f" {'is' if left == 1 else 'are'} left" if repairs else ""))
    elif not repaired:
        told.append("nothing wrong")
    kept = sum(map(len, kept_command.found_of(path).values()))
    if kept:
        sys.stdout.write(f"{many(kept, 'file')} kept beside event files: --list-kept shows what and why\n")
    sys.stdout.write(f"{', '.join(told)}\n")
    return 1 if left else 0


def _print(report: FileReport, root: str) -> None:
    sys.stdout.write(f"{report.size:15,} {report.records:12,}  {os.path.relpath(report.path, root or '.')}\n")
    if report.in_use:
        sys.stdout.write(f"{'':30}{report.in_use}\n")
    for finding in report.findings:
        sys.stdout.write(f"{'':30}{finding.text}{' [repairable]' if finding.is_repairable else ''}\n")


def _repair_told(report: FileReport, root: str, when: str) -> bool:
    try:
        aside = repair(report.path, when)
    except OSError as error:
        sys.stdout.write(f"{'':30}could not be repaired: {error}\n")
        return False
    lost = f"; lost: {report.lost}" if report.lost else ""
    told = (
        f"repaired{lost}; the old file is {os.path.relpath(aside, root or '.')}"
        if aside
        else "left alone: a writer has it"
    )
    sys.stdout.write(f"{'':30}{told}\n")
    return bool(aside)


if __name__ == "__main__":
    sys.exit(main())

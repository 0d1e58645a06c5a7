"""`python -m tblog.check PATH`: find damage in event files, repair it, and restore records that were cut off.

The exit status is 0 if nothing is wrong or everything was repaired, 1 if a finding is left, and 2 if the
path cannot be read. A repair loses no readable record. It keeps the old file beside the new one, under a name
that no loader reads. A resumed run keeps the records that it cuts off in the same way. `--list-kept`,
`--restore` and `--remove-kept` work on these kept files.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from tblog import _native
from tblog._files import kept_command
from tblog._files.folders import folders_below
from tblog._files.inspection import FileReport, Finding, RunInspection, many
from tblog._files.kept import keep_whole, stamp
from tblog._files.repairs import repaired_records
from tblog._files.resume import event_paths
from tblog._files.rewrite import unless_in_use
from tblog._files.stores import is_url
from tblog._terminal import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def check(path: str) -> Iterator[FileReport]:
    """Check an event file, or every event file below a log directory.

    Args:
        path: an event file, a run, or a directory of runs. Links are followed, as TensorBoard does.

    Yields:
        A report on each file, in the order in which TensorBoard reads them. If a file cannot be read, its
        report has a finding that says why. Directories that cannot be listed have such a report at the end.

    Example:
        >>> from tblog import SummaryWriter
        >>> from tblog.check import check
        >>> with SummaryWriter("runs/first") as writer:
        ...     writer.add_scalar("loss", 0.5, 1)
        >>> [(report.records, report.findings) for report in check("runs/first")]
        [(2, [])]
    """
    if os.path.isfile(path):
        yield _report(path, RunInspection())
        return
    refused: list[OSError] = []
    for folder in folders_below(path, refused.append):
        run = RunInspection()
        for each in event_paths(folder):
            yield _report(each, run)
    for error in refused:
        yield _unread(str(error.filename), error)


def _report(path: str, run: RunInspection) -> FileReport:
    try:
        return run.inspect(path)
    except OSError as error:
        return _unread(path, error)


def _unread(path: str, error: OSError) -> FileReport:
    return FileReport(path, findings=[Finding(f"cannot be read: {error}", is_repairable=False)])


def repair(path: str, when: str = "") -> str:
    """Rewrite an event file with all its readable records, and correct what can be corrected.

    Args:
        path: the file.
        when: the time that identifies the old file for `--restore`. "" means now.

    Returns:
        The name of the kept old file. "" if nothing was changed because a writer has the file open.

    Raises:
        OSError: the new file cannot be written. The old one is unchanged.

    Example:
        >>> from glob import glob
        >>> from tblog import SummaryWriter
        >>> from tblog.check import check, repair
        >>> with SummaryWriter("runs/damaged") as writer:
        ...     writer.add_scalar("loss", 0.5, 1)
        >>> path = glob("runs/damaged/*")[0]
        >>> with open(path, "ab") as file:
        ...     _ = file.write(b"half a record")
        >>> [finding.is_repairable for report in check(path) for finding in report.findings]
        [True]
        >>> kept = repair(path)
        >>> [finding for report in check(path) for finding in report.findings]
        []
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
    """Run the command line: print a table of the files, and repair, list, restore or remove as asked.

    Args:
        arguments: those of the command line. None takes them from `sys.argv`.

    Returns:
        The exit status.

    Example:
        >>> from tblog import SummaryWriter
        >>> from tblog.check import main
        >>> with SummaryWriter("runs/checked") as writer:
        ...     writer.add_scalar("loss", 0.5, 1)
        >>> main(["runs/checked"])
                  bytes      records  file
                    ...            2  events.out.tfevents...
        1 file, 2 records, nothing wrong
        0
    """
    parser = argparse.ArgumentParser(
        prog="python -m tblog.check",
        description="Check event files, repair them, and restore what resumed runs cut off.",
    )
    version = sys.modules["tblog"].__version__
    parser.add_argument("--version", action="version", version=f"tblog {version}, {_native.kind()}")
    add_arguments(parser)
    return work(parser.parse_args(arguments), parser.error)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to a parser.

    Args:
        parser: of `python -m tblog.check`, or of another command that checks files.

    Example:
        >>> import argparse
        >>> from tblog.check import add_arguments
        >>> parser = argparse.ArgumentParser()
        >>> add_arguments(parser)
        >>> parser.parse_args(["runs", "--repair"]).repair
        True
    """
    parser.add_argument("path", help="an event file, a run, or a directory of runs")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--repair", action="store_true", help="rewrite damaged files, and keep the old ones")
    what.add_argument(
        "--list-kept", action="store_true", help="list what resumed runs cut off and what repairs replaced"
    )
    what.add_argument(
        "--restore",
        action="store_true",
        help="put back what was cut off, and set aside what has been logged in its place",
    )
    what.add_argument("--remove-kept", action="store_true", help="delete the kept files for good")
    parser.add_argument(
        "--cut",
        metavar="TIME",
        help="the time, as --list-kept shows it, of the kept files to restore or remove",
    )


def work(given: argparse.Namespace, refuse: Callable[[str], object]) -> int:
    """Do what parsed arguments ask for.

    Args:
        given: the arguments.
        refuse: called with what is wrong with the arguments; it must raise. `parser.error` does.

    Returns:
        The exit status.

    Example:
        >>> import argparse
        >>> from tblog import SummaryWriter
        >>> from tblog.check import add_arguments, work
        >>> with SummaryWriter("runs/checked") as writer:
        ...     writer.add_scalar("loss", 0.5, 1)
        >>> parser = argparse.ArgumentParser()
        >>> add_arguments(parser)
        >>> work(parser.parse_args(["runs/checked"]), parser.error)
                  bytes      records  file
                    ...            2  events.out.tfevents...
        1 file, 2 records, nothing wrong
        0
    """
    if is_url(given.path):
        refuse(f"{given.path} can be read but not checked; copy it to this machine first")
    if not (os.path.isdir(given.path) or os.path.isfile(given.path)):
        refuse(f"{given.path} is not a directory; give one with event files, or an event file")
    for name, command in kept_command.COMMANDS.items():
        if getattr(given, name):
            try:
                return command(given.path, given.cut, refuse)
            except OSError as error:
                refuse(f"that cannot be done: {error}")
    if given.cut is not None:
        refuse("--cut goes with --list-kept, --restore or --remove-kept")
    return _check_and_print(given.path, repairs=given.repair)


def _check_and_print(path: str, *, repairs: bool) -> int:
    root, when = path if os.path.isdir(path) else os.path.dirname(path), stamp()
    say(f"{'bytes':>15} {'records':>12}  file")
    files = records = left = repaired = 0
    for report in check(path):
        files, records = files + 1, records + report.records
        _print(report, root)
        fixed = repairs and report.needs_repair and _repair_and_print(report, root, when)
        repaired += fixed
        left += sum(not (fixed and finding.is_repairable) for finding in report.findings)
    summary = [many(files, "file"), many(records, "record")]
    if repaired:
        summary.append(f"{repaired:,} repaired")
    if left:
        summary.append(many(left, "finding") + (f" {'is' if left == 1 else 'are'} left" if repairs else ""))
    elif not repaired:
        summary.append("nothing wrong")
    kept = sum(map(len, kept_command.found_of(path, refused=lambda _: None).values()))
    if kept:
        say(f"{many(kept, 'file')} kept beside event files: --list-kept shows what and why")
    say(f"{', '.join(summary)}")
    return 1 if left else 0


def _print(report: FileReport, root: str) -> None:
    say(f"{report.size:15,} {report.records:12,}  {os.path.relpath(report.path, root or '.')}")
    if report.in_use:
        say(f"{'':30}{report.in_use}")
    for finding in report.findings:
        say(f"{'':30}{finding.text}{' [repairable]' if finding.is_repairable else ''}")


def _repair_and_print(report: FileReport, root: str, when: str) -> bool:
    try:
        aside = repair(report.path, when)
    except OSError as error:
        say(f"{'':30}repair failed: {error}")
        return False
    lost = f"; lost: {report.lost}" if report.lost else ""
    outcome = (
        f"repaired{lost}; the old file is {os.path.relpath(aside, root or '.')}"
        if aside
        else "not repaired: a writer has it open"
    )
    say(f"{'':30}{outcome}")
    return bool(aside)


if __name__ == "__main__":
    sys.exit(main())

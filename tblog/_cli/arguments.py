"""Arguments that several subcommands share, and the error for a wrong one."""

from __future__ import annotations

import argparse
import glob
import os
import re
from typing import TYPE_CHECKING, Any

import tblog
from tblog._cli import output
from tblog._files.folders import check_way, folders_below

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog.reading import Runs

DONE, NOTHING = 0, 1


class CommandError(Exception):
    """The command cannot do what was asked. The message says why, and what to do."""

    status = 2


class NothingFoundError(CommandError):
    """There is nothing to do the work on."""

    status = NOTHING


def command(
    subcommands: Any, name: str, work: Callable[[argparse.Namespace], int], text: str, examples: str
) -> argparse.ArgumentParser:
    """Add a subcommand with its function; return its parser."""
    made: argparse.ArgumentParser = subcommands.add_parser(
        name,
        help=text[0].lower() + text[1:].partition(".")[0],
        description=text,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.set_defaults(work=work)
    return made


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the argument for the place to read from."""
    parser.add_argument("dir", metavar="DIR", help="a log directory, a run, an event file, or a quoted glob")


def add_filters(parser: argparse.ArgumentParser, *, steps: bool = True) -> None:
    """Add the arguments that choose runs, tags and steps."""
    text = (
        "only {}s of this name; a glob, in which * stands for / too, or re: and a regular expression; "
        "may be given several times"
    )
    for what in ("run", "tag"):
        parser.add_argument(
            f"--{what}", action="append", type=name, metavar=what.upper(), help=text.format(what)
        )
    if steps:
        parser.add_argument(
            "--steps",
            type=step_range,
            metavar="FROM:TO",
            help="only these steps, TO not included; --steps=-5:0 if FROM is negative",
        )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the argument for output that scripts read."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def name(text: str) -> str | re.Pattern[str]:
    """Return a name, a glob, or the compiled pattern behind re:."""
    if not text.startswith("re:"):
        return text
    try:
        return re.compile(text.removeprefix("re:"))
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a regular expression: {error}") from None


def step_range(text: str) -> tuple[int | None, int | None]:
    """Return the ends of FROM:TO, either of which may be left out."""
    found = re.fullmatch(r"(-?\d+)?:(-?\d+)?", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"give steps as FROM:TO, 100: or :200; {text!r} was given")
    first, last = (int(end) if end else None for end in found.groups())
    if first is not None and last is not None and first >= last:
        raise argparse.ArgumentTypeError(f"no step is in {text!r}: TO is not included, so give a larger one")
    return first, last


def count(text: str) -> int:
    """Return a count of 0 or more."""
    if not re.fullmatch(r"\d{1,18}", text):
        raise argparse.ArgumentTypeError(f"give a whole number from 0 on; {text!r} was given")
    return int(text)


def nothing_fits(given: argparse.Namespace, runs: Runs, ending: str = "") -> int:
    """Print why there is no scalar in these runs, and where to look; return the exit status."""
    if not runs and not given.run:
        output.tell(f"there are no event files in {given.dir!r}{ending}")
    else:
        output.tell(f"no scalar matches{ending}; tblog ls --tags {given.dir} shows what is there")
    return NOTHING


def require_listed(place: str) -> None:
    """Raise CommandError if the runs of a directory or pattern cannot all be found, so that none is missing from a copy."""

    def refuse(error: OSError) -> None:
        raise CommandError(
            f"{error.filename}: {error.strerror}; nothing is written, because its runs would be missing"
        )

    place = os.path.expanduser(place)
    if os.path.exists(place):
        matches = [place]
    else:
        check_way(place, refuse)
        matches = glob.glob(place, recursive=True)
    for match in filter(os.path.isdir, matches):
        folders_below(match, refuse)


def chosen_runs(given: argparse.Namespace, restarts: str = "tensorboard") -> Runs:
    """Return the runs with the chosen tags and steps."""
    wanted = vars(given)
    return tblog.read(
        given.dir, run=wanted.get("run"), tag=wanted.get("tag"), steps=wanted.get("steps"), restarts=restarts
    )

"""The command `tblog`: its arguments, its subcommands and its exit status.

Lives here: the way from the command line to a subcommand, and from an error to a line and a number.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from tblog import __version__, _native
from tblog._cli import (
    check,
    completion,
    drop,
    export,
    import_,
    kept,
    ls,
    mean,
    merge,
    output,
    rename,
    report,
    show,
    tail,
    thin,
)
from tblog._cli.arguments import CommandError
from tblog.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED, INTERRUPTED, PIPE_CLOSED = 2, 130, 141

_SUBCOMMANDS = (
    ls,
    show,
    tail,
    export,
    report,
    rename,
    drop,
    merge,
    thin,
    mean,
    import_,
    check,
    kept,
    completion,
)

_STATUS = """exit status:
  0    done
  1    nothing matches, a file has a problem, or a file was not changed: the output says which
  2    wrong arguments, or a file that cannot be read or written
  130  interrupted by Ctrl-C
  141  whoever read the output stopped reading
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands."""
    made = argparse.ArgumentParser(
        prog="tblog",
        description="Look at TensorBoard's runs, tidy and export them, without TensorBoard.",
        epilog=f"tblog COMMAND --help has examples.\n\n{_STATUS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"tblog {__version__}, {_native.kind()}")
    subcommands = made.add_subparsers(metavar="COMMAND", required=True)
    for each in _SUBCOMMANDS:
        each.add(subcommands)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    # Python has None for a stream that is closed; print() writes nothing there, either.
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))  # noqa: SIM115 # open until the end
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 shows ? for the dots of a curve
    given = _parsed(arguments)
    try:
        with output.warnings_told():
            status: int = given.work(given)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # otherwise Python flushes again at its end
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except CommandError as error:
        output.tell(str(error))
        return error.status
    except (InvalidValueError, OSError, ImportError) as error:
        output.tell(_in_words(error))
        return FAILED
    return status


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = parser()
    given, left = made.parse_known_args(arguments)
    if left:
        is_pattern = any(map(os.path.exists, left))
        hint = "; if they come from a pattern, put it in quotes: 'runs/*'" if is_pattern else ""
        made.error(f"unrecognized arguments: {' '.join(left)}{hint}")
    return given


def _in_words(error: Exception) -> str:
    """Return the message of an error, and of one of the system without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}" if error.filename else error.strerror
    return str(error)

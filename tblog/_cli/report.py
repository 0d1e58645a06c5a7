"""`tblog report`: one HTML file of runs, which a browser opens without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tblog
from tblog._cli import output
from tblog._cli.arguments import DONE, NOTHING, add_filters, add_source, chosen_runs, command
from tblog._files.completing import check_output
from tblog.reading._selection import matcher

if TYPE_CHECKING:
    import argparse

_EXAMPLES = """
  tblog report runs -o report.html
  tblog report runs --run 'seed*' --tag 'loss*' -o report.html
"""


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    parser = command(
        subcommands, "report", _report, "Write one HTML file that shows runs in a browser.", _EXAMPLES
    )
    add_source(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="the file; a report that is there is replaced"
    )
    parser.add_argument("--title", help="the page's title (default: the name of DIR)")
    add_filters(parser)


def _report(given: argparse.Namespace) -> int:
    check_output(given.output)
    runs = chosen_runs(given)
    fits = matcher(given.tag)  # the reader keeps hyperparameters and the like, whatever the tag
    if not any(fits(tag) for tags in runs.tags.values() for tag in tags):
        output.tell(
            f"nothing matches, nothing is written; tblog ls --tags {given.dir} shows what is there"
            if runs or given.run
            else f"there are no event files in {given.dir!r}, nothing is written"
        )
        return NOTHING
    from tblog.reporting._report import title_of  # not at the start of every command

    made = tblog.report(runs, given.output, title=given.title or title_of(given.dir))
    output.tell(f"{output.size(len(made.html.encode()))} in {given.output}")
    return DONE

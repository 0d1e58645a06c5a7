"""`tblog report`: one HTML file of runs, which a browser opens without a server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import tblog
from tblog._cli import output
from tblog._cli.arguments import DONE, add_filters, add_source, command

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
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="the file")
    parser.add_argument("--title", help="the page's title (default: the name of DIR)")
    add_filters(parser)


def _report(given: argparse.Namespace) -> int:
    tblog.report(given.dir, given.output, title=given.title, run=given.run, tag=given.tag, steps=given.steps)
    output.tell(f"{output.size(os.path.getsize(given.output))} in {given.output}")
    return DONE

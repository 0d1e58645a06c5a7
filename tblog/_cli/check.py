"""`tblog check`: what `python -m tblog.check` does."""

from __future__ import annotations

from typing import Any

from tblog import check
from tblog._cli.arguments import command

_EXAMPLES = """
  tblog check runs              show what TensorBoard's loaders cannot handle
  tblog check runs --repair     rewrite damaged files, and keep the old ones
"""


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    text = "Check event files and repair them."
    parser = command(subcommands, "check", lambda given: check.work(given, parser.error), text, _EXAMPLES)
    check.add_arguments(parser)

"""`tblog check`: what `python -m tblog.check` does."""

from __future__ import annotations

from typing import Any

from tblog import check
from tblog._cli.arguments import command

_EXAMPLES = """
  tblog check runs              what TensorBoard's loaders will stumble over
  tblog check runs --repair     rewrite damaged files; the old ones are kept aside
"""


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    text = "Check event files and repair them."
    parser = command(subcommands, "check", lambda given: check.work(given, parser.error), text, _EXAMPLES)
    check.add_arguments(parser)

"""A text, which TensorBoard renders as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tblog._values.checks import plain_text

if TYPE_CHECKING:
    from tensorboardX.proto.summary_pb2 import Summary

    from tblog.records import TextRecord
    from tblog.summaries._context import EncodeContext


def check_text(_record: TextRecord) -> None:
    """Check nothing: anything that `str()` accepts can be logged."""


def encode_text(record: TextRecord, _context: EncodeContext) -> list[Summary]:
    """Encode a text under its tag with "/text_summary" appended. Lone surrogates become "?"."""
    from tensorboardX import summary

    text = plain_text(record.text).encode(errors="replace").decode()
    return [summary.text(record.tag, text)]

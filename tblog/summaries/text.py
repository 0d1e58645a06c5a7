"""A text, which TensorBoard renders as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tblog._values.checks import plain_text
from tblog._wire import summaries
from tblog._wire.fields import nested

if TYPE_CHECKING:
    from tblog.records import TextRecord
    from tblog.summaries._context import EncodeContext

_DT_STRING = 7  # of types.proto
_STRING_VAL = 8  # of TensorProto


def check_text(_record: TextRecord) -> None:
    """Check nothing: anything that `str()` accepts can be logged."""


def encode_text(record: TextRecord, _context: EncodeContext) -> list[bytes]:
    """Encode a text under its tag with "/text_summary" appended. Lone surrogates become "?"."""
    text = plain_text(record.text).encode(errors="replace")
    tensor = summaries.tensor(_DT_STRING, [1], nested(_STRING_VAL, [text]))
    return [summaries.summary(record.tag + "/text_summary", *tensor, summaries.metadata("text"))]

"""A record's value becomes Summary messages: pure functions, one file for each kind.

Lives here: checking and encoding a record of any kind. `check` runs on the caller's thread, looks at shapes
and types alone and loads nothing heavy; `encode` runs on the threads that write and encode.
Must not: touch files (but for `embedding`, whose format is files), know of queues, steps or times.

Each kind's file has `check_<kind>` and `encode_<kind>`, and imports tensorboardX, whose import takes a
second, inside the latter. `_kinds` is the table of all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from tblog.errors import InvalidTypeError
from tblog.summaries._context import EncodeContext

if TYPE_CHECKING:
    from tensorboardX.proto.summary_pb2 import Summary

    from tblog import records

__all__ = ["EncodeContext", "check", "encode", "load_checks"]


def load_checks() -> None:
    """Import the files of all kinds, so that the first `check` neither waits nor needs a handle for it."""
    import_module("tblog.summaries._kinds")


def check(record: records.Record) -> None:
    """Check what shapes, dtypes and counts can tell; arrays whose shape is not known yet pass.

    Args:
        record: of any kind; kinds that are no summaries pass, but for embeddings.

    Raises:
        InvalidValueError: a shape, count or range is wrong.
        InvalidTypeError: an argument beside the value has the wrong type.
        UnsupportedTypeError: an array's dtype cannot be logged as this kind.
    """
    from tblog.summaries._kinds import kind_of

    kind = kind_of(record)
    if kind is not None:
        kind.check(record)


def encode(record: records.Record, context: EncodeContext) -> list[Summary] | list[bytes]:
    """Turn a record into Summary messages, or the bytes of such, each of which becomes one event.

    Args:
        record: of a kind that is a summary.
        context: how to encode, and whom to tell what was left out.

    Raises:
        InvalidTypeError: the record is of another kind.
        TblogError: as `check`, of arrays whose shape was not known before.
    """
    from tblog.summaries._kinds import KINDS, kind_of
    from tblog.summaries._settle import settle

    kind = kind_of(record)
    if kind is None or kind.encode is None:
        known = ", ".join(sorted(known.__name__ for known in KINDS if KINDS[known].encode is not None))
        raise InvalidTypeError(
            f"a {type(record).__name__} cannot be encoded as a summary; give one of {known}"
        )
    settled = settle(record)
    kind.check(settled)
    # A value that is cut to float32 is no news, and the program may have made errors of all warnings.
    with np.errstate(all="ignore"):
        return kind.encode(settled, context)

"""Turn records into Summary messages: pure functions, one file for each kind.

Lives here: checking and encoding a record of any kind. `check` runs on the caller's thread, looks only at
shapes and types, and imports nothing heavy. `encode` runs on the threads that write and encode.
Must not: touch files (except `embedding`, whose format is files), know of queues, steps or times.
Each kind's file has `check_<kind>` and `encode_<kind>`. The former import nothing heavy; of the
latter, those of the rare kinds import tensorboardX, which takes a second, and with it torch. `_kinds` has the table of all kinds.
"""

from __future__ import annotations

import sys
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
    """Import the files of all kinds, so that the first record needs neither time nor a file handle for it.

    Example:
        >>> from tblog.summaries import load_checks
        >>> load_checks()
    """
    import_module("tblog.summaries._kinds")


def check(record: records.Record) -> None:
    """Check the shapes, dtypes and counts of a record. An array whose shape is not known yet passes.

    Args:
        record: a record of any kind. Kinds that are not summaries pass, except embeddings.

    Raises:
        InvalidValueError: a shape, count or range is wrong.
        InvalidTypeError: an argument other than the value has the wrong type.
        UnsupportedTypeError: an array's dtype cannot be logged as this kind.

    Example:
        >>> import numpy as np
        >>> from tblog import summaries
        >>> from tblog.records import ImageRecord
        >>> summaries.check(ImageRecord(tag="sample", image=np.zeros((3, 8, 8))))
    """
    try:
        from tblog.summaries._kinds import kind_of
    except ImportError:
        # A finaliser logs at the end of the process, where nothing can be imported: `encode` fails, which is counted.
        if sys.is_finalizing():
            return
        raise
    kind = kind_of(record)
    if kind is not None:
        kind.check(record)


def encode(record: records.Record, context: EncodeContext) -> list[Summary] | list[bytes]:
    """Encode a record as Summary messages or as their bytes. Each of them becomes one event.

    Args:
        record: a record of a kind that is a summary.
        context: how to encode, and where to report what was left out.

    Returns:
        The messages, or their bytes.

    Raises:
        InvalidTypeError: the record is not a summary.
        TblogError: as `check`, for arrays whose shape was not known before.

    Example:
        >>> from tblog import summaries
        >>> from tblog.records import ScalarRecord
        >>> summaries.encode(ScalarRecord(tag="loss", value=0.5), summaries.EncodeContext())
        [b'...loss...']
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
    # Rounding to float32 is expected, and the program may have turned all warnings into errors.
    with np.errstate(all="ignore"):
        return kind.encode(settled, context)

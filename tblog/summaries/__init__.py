"""A record's value becomes tensorboardX Summary messages: pure functions, one file for each kind.

Lives here: which function checks and which encodes each kind of record. `check` runs on the caller's
thread, looks at shapes and types alone and loads nothing heavy; `encode` runs on the worker thread.
Must not: touch files (but for `embedding`, whose format is files), know of queues, steps or times.

Each kind's file has `check_<kind>` and `encode_<kind>`, and imports tensorboardX, whose import takes a
second, inside the latter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tblog import records
from tblog._values.arrays import to_numpy
from tblog.errors import InvalidTypeError

if TYPE_CHECKING:
    from tensorboardX.proto.summary_pb2 import Summary

AnyRecord = TypeVar("AnyRecord", bound=records.Record)

# The file and the noun in the names of its functions, for each kind of record.
_KINDS: dict[type[records.Record], tuple[str, str]] = {
    records.ScalarRecord: ("scalar", "scalar"),
    records.TensorScalarRecord: ("scalar", "tensor_scalar"),
    records.DescribedScalarRecord: ("scalar", "described_scalar"),
    records.HistogramRecord: ("histogram", "histogram"),
    records.CountedHistogramRecord: ("histogram", "counted_histogram"),
    records.RawHistogramRecord: ("histogram", "raw_histogram"),
    records.ImageRecord: ("image", "image"),
    records.VideoRecord: ("video", "video"),
    records.AudioRecord: ("audio", "audio"),
    records.TextRecord: ("text", "text"),
    records.TensorRecord: ("tensor", "tensor"),
    records.PrCurveRecord: ("pr_curve", "pr_curve"),
    records.RawPrCurveRecord: ("pr_curve", "raw_pr_curve"),
    records.MeshRecord: ("mesh", "mesh"),
    records.CustomScalarsRecord: ("custom_scalars", "custom_scalars"),
    records.HparamsRecord: ("hparams", "hparams"),
}


def _ignore(_tag: str, _what: str, _count: int) -> None:
    """Take a report and do nothing with it."""


@dataclass(frozen=True, slots=True)
class EncodeContext:
    """What encoders need beside the record.

    Attributes:
        png_compress_level: zlib level of pictures, 0 (fast, large) to 9 (slow, small).
        report: called with the tag, what was left out or changed, and how often.
    """

    png_compress_level: int = 1
    report: Callable[[str, str, int], None] = _ignore


def check(record: records.Record) -> None:
    """Check what shapes, dtypes and counts can tell; arrays whose shape is not known yet pass.

    Args:
        record: of any kind; kinds that are no summaries pass, but for embeddings.

    Raises:
        InvalidValueError: a shape, count or range is wrong.
        InvalidTypeError: an argument beside the value has the wrong type.
        UnsupportedTypeError: an array's dtype cannot be logged as this kind.
    """
    if isinstance(record, records.EmbeddingRecord):
        from tblog.summaries.embedding import check_embedding

        check_embedding(record)
        return
    kind = _kind(record)
    if kind is not None:
        _function("check", kind)(record)


def encode(record: records.Record, context: EncodeContext) -> list[Summary] | list[bytes]:
    """Turn a record into Summary messages, or the bytes of such, each of which becomes one event.

    Args:
        record: of a kind that is a summary.
        context: how to encode, and whom to tell what was left out.

    Raises:
        InvalidTypeError: the record is of another kind.
        TblogError: as `check`, of arrays whose shape was not known before.
    """
    kind = _kind(record)
    if kind is None:
        known = ", ".join(sorted(known.__name__ for known in _KINDS))
        raise InvalidTypeError(
            f"a {type(record).__name__} cannot be encoded as a summary; give one of {known}"
        )
    settled = settle(record)
    _function("check", kind)(settled)
    # A value that is cut to float32 is no news, and the program may have made errors of all warnings.
    with np.errstate(all="ignore"):
        summaries: list[Summary] | list[bytes] = _function("encode", kind)(settled, context)
    return summaries


def settle(record: AnyRecord) -> AnyRecord:
    """Return a record whose arrays are numpy's, each deferred one made now."""
    made: dict[str, Any] = {}
    for field in fields(record):
        # Postponed annotations are the text that stands in records.py.
        if "Array" in str(field.type):
            value = getattr(record, field.name)
            if not isinstance(value, np.ndarray) and isinstance(value, records.Deferred):
                made[field.name] = to_numpy(value)
    return replace(record, **made) if made else record


def _kind(record: records.Record) -> tuple[str, str] | None:
    return next((_KINDS[base] for base in type(record).__mro__ if base in _KINDS), None)


def _function(verb: str, kind: tuple[str, str]) -> Callable[..., Any]:
    module, noun = kind
    function: Callable[..., Any] = getattr(import_module(f"tblog.summaries.{module}"), f"{verb}_{noun}")
    return function

"""One serialised Event with some of its values renamed or left out. All other bytes stay the same.

Only the changes are encoded: a value's tag, and the lengths around it. Unknown fields stay.

Lives here: bytes -> bytes. Must not: know files, or why a value is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tblog._wire import parsing as wire
from tblog._wire.events import SUMMARY, TAGGED_RUN_METADATA
from tblog._wire.fields import sized
from tblog._wire.parsing import MalformedError
from tblog.reading import _events

if TYPE_CHECKING:
    from collections.abc import Callable

_VALUE, _TAG, _METADATA = 1, 1, 9
"""The field of a summary for its values, and those of a value for its tag and metadata."""

_RUN_METADATA_TAG = 1


class Found(NamedTuple):
    """A value of an event: `form` is the number of its field, `metadata` its SummaryMetadata, b"" without one."""

    tag: str
    step: int
    form: int
    metadata: bytes


class Kept(NamedTuple):
    """The tag of a value that stays, and the metadata that it gets if it has none."""

    tag: str
    metadata: bytes = b""


def values_of(data: bytes) -> list[Found]:
    """Return the values that `edited` passes to `decide`, in that order."""
    found: list[Found] = []

    def note(one: Found) -> Kept:
        found.append(one)
        return Kept(one.tag)

    edited(data, note)
    return found


def edited(data: bytes, decide: Callable[[Found], Kept | None]) -> bytes | None:
    """Return an event's bytes with its values renamed or left out.

    Args:
        data: a serialised Event. Other bytes stay as they are.
        decide: called with each value of a summary that has content or metadata, in order, and with the tag of a
            run's metadata. If it returns None, the value is left out.

    Returns:
        The bytes: `data` itself if nothing changed, None if no value is left.
    """
    try:
        event = _events.parse(data)
        if event.what == SUMMARY:
            return _with_values(data, event.step, decide)
        if event.what == TAGGED_RUN_METADATA:
            return _with_run_metadata(data, event, decide)
    except MalformedError:
        pass
    return data


def summary_of(data: bytes) -> tuple[int, list[int]]:
    """Return where the field of an event's only summary starts, and the bounds of the values that the summary is made of."""
    begin, field = next(
        (begin, field)
        for begin, field in wire.with_starts(data)
        if field.key == SUMMARY and field.wire == wire.BYTES
    )
    return begin, [field.start, *(one.end for one in wire.fields(data, field.start, field.end))]


def _with_values(data: bytes, step: int, decide: Callable[[Found], Kept | None]) -> bytes | None:
    parts: list[bytes] = []
    left, is_changed = 0, False
    for begin, field in wire.with_starts(data):
        if field.key != SUMMARY or field.wire != wire.BYTES:
            parts.append(data[begin : field.end])
            continue
        inner = []
        for start, one in wire.with_starts(data, field.start, field.end):
            raw = data[start : one.end]
            if one.key == _VALUE and one.wire == wire.BYTES:
                new = _decided(data, raw, one, step, decide)
                left += new is not None
                raw, is_changed = new or b"", is_changed or new != raw
            inner.append(raw)
        content = b"".join(inner)
        is_same = content == data[field.start : field.end]
        parts.append(data[begin : field.end] if is_same else sized(field.key, content))
    if not is_changed:
        return data
    return b"".join(parts) if left else None


def _decided(
    data: bytes, raw: bytes, field: wire.Field, step: int, decide: Callable[[Found], Kept | None]
) -> bytes | None:
    value = _events.value(data, field.start, field.end)
    if value.form == _events.NOTHING and value.metadata is None:
        return raw
    metadata = data[slice(*value.metadata)] if value.metadata else b""
    kept = decide(Found(value.tag, step, value.form, metadata))
    if kept is None:
        return None
    content = data[field.start : field.end]
    changed = content if kept.tag == value.tag else _with_tag(content, _TAG, kept.tag)
    if kept.metadata and value.metadata is None:
        changed += sized(_METADATA, kept.metadata)
    return raw if changed == content else sized(_VALUE, changed)


def _with_run_metadata(
    data: bytes, event: _events.Event, decide: Callable[[Found], Kept | None]
) -> bytes | None:
    content = data[event.start : event.end]
    tag = wire.text(wire.message(content, _RUN_METADATA_TAG) or b"")
    kept = decide(Found(tag, event.step, _events.NOTHING, b""))
    if kept is None:
        return None
    if kept.tag == tag:
        return data
    return b"".join(
        sized(field.key, _with_tag(content, _RUN_METADATA_TAG, kept.tag))
        if field.end == event.end and field.key == TAGGED_RUN_METADATA
        else data[begin : field.end]
        for begin, field in wire.with_starts(data)
    )


def _with_tag(content: bytes, key: int, tag: str) -> bytes:
    """Return a message with its last tag replaced, as the last one counts. Without one, the tag goes to the front."""
    spans = list(wire.with_starts(content))
    new = sized(key, tag.encode(errors="surrogatepass"))
    at = [number for number, (_, field) in enumerate(spans) if (field.key, field.wire) == (key, wire.BYTES)]
    if not at:
        return new + content
    begin, field = spans[at[-1]]
    return content[:begin] + new + content[field.end :]

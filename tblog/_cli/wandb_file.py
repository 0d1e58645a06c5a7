"""The run in a file that wandb writes offline, run-ID.wandb: a log as LevelDB's, with records of protobuf.

Its framing: blocks of 32 KiB, in which each piece of a record has a CRC-32 of its type and data, its length, and a type
(whole, first, middle, last). The numbers of the fields are those of wandb's own messages.
https://github.com/google/leveldb/blob/main/doc/log_format.md
https://github.com/wandb/wandb/blob/main/wandb/proto/wandb_internal.proto

Lives here: bytes to rows. wandb itself has no reader for Python since version 0.31.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

from tblog._cli import output
from tblog._cli.points import LoggedRun, step_number, wall_time
from tblog._wire import parsing as wire
from tblog._wire.parsing import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MAGIC = b":W&B\xe1\xbe\x00"
_BLOCK_BYTES, _HEAD_BYTES = 1 << 15, 7
_WHOLE, _FIRST, _LAST = 1, 2, 4

_HISTORY, _RUN = 2, 17
_RUN_ID, _RUN_NAME = 1, 8
_ITEM, _STEP = 1, 2
_KEY, _NESTED_KEY, _INTEGER, _NUMBER, _JSON, _VALUE_JSON = 1, 2, 5, 6, 8, 16


def wandb_runs(path: str) -> Iterator[LoggedRun]:
    """Yield the one run of a file. If its program died, the last records may be missing; a message says so.

    Raises:
        ValueError: the file is not such a log; also raised by the rows.
    """
    with open(path, "rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError("it is no file of wandb, since it does not begin as one")
        records = _records(file, path)
        ident, name, first = "", "", []
        for record in records:
            if (run := _message(record, _RUN)) is not None:
                ident = wire.text(wire.message(run, _RUN_ID) or b"")
                name = wire.text(wire.message(run, _RUN_NAME) or b"")
                break
            first.append(record)
        name = name or ident or os.path.basename(path).removesuffix(".wandb")
        yield LoggedRun(name, ident, _rows(itertools.chain(first, records)))


def _rows(records: Iterable[bytes]) -> Iterator[tuple[int, float, dict[str, Any]]]:
    for record in records:
        history = _message(record, _HISTORY)
        if history is None:
            continue
        values = dict(filter(None, map(_item, wire.messages(history, _ITEM))))
        step = (wire.varint_numbers(wire.message(history, _STEP) or b"", 1) or [values.get(("_step",), 0)])[
            -1
        ]
        typed = {key[:-1] for key in values if key[-1] == "_type"}  # of pictures, tables and the like
        yield (
            step_number(step),
            wall_time(values.get(("_timestamp",), 0.0)),
            {
                ".".join(key): value
                for key, value in values.items()
                if not key[0].startswith("_") and not any(key[:end] in typed for end in range(1, len(key)))
            },
        )


def _item(item: bytes) -> tuple[tuple[str, ...], Any] | None:
    """Return the name, in its parts, and the value of an item; None without a number or a text of JSON."""
    key, nested = "", []
    value: Any = None
    for field in wire.fields(item):
        content = item[field.start : field.end]
        if (field.key, field.wire) == (_KEY, wire.BYTES):
            key = wire.text(content)
        elif (field.key, field.wire) == (_NESTED_KEY, wire.BYTES):
            nested.append(wire.text(content))
        elif (field.key, field.wire) == (_INTEGER, wire.VARINT):
            value = field.number >> 1 ^ -(field.number & 1)
        elif (field.key, field.wire) == (_NUMBER, wire.FIXED64):
            value = wire.double(item, field.start)
        elif field.key in {_JSON, _VALUE_JSON} and field.wire == wire.BYTES:
            try:
                value = json.loads(content)
            except (ValueError, RecursionError):
                return None
    parts = tuple(nested) or (key,)
    is_wanted = isinstance(value, (int, float)) or parts[-1] == "_type"
    return (parts, value) if is_wanted else None


def _message(record: bytes, wanted: int) -> bytes | None:
    try:
        return wire.message(record, wanted)
    except MalformedError:
        return None


def _records(file: BinaryIO, path: str) -> Iterator[bytes]:
    """Yield the records behind the magic number, up to the first that is not whole."""
    parts: list[bytes] = []
    block = bytes(len(_MAGIC)) + file.read(_BLOCK_BYTES - len(_MAGIC))
    at, start = len(_MAGIC), 0
    while block:
        while at + _HEAD_BYTES <= len(block):
            crc, length, kind = struct.unpack_from("<IHB", block, at)
            data = block[at + _HEAD_BYTES : at + _HEAD_BYTES + length]
            if len(data) < length or crc != zlib.crc32(data, zlib.crc32(bytes([kind]))):
                output.tell(
                    f"{path} is damaged at byte {start + at}, or ends there; what follows is left out"
                )
                return
            if kind in {_WHOLE, _FIRST}:
                parts = []
            parts.append(data)
            if kind in {_WHOLE, _LAST}:
                yield b"".join(parts)
            at += _HEAD_BYTES + length
        start += len(block)
        block, at = file.read(_BLOCK_BYTES), 0

"""The framing of one record in an event file, and its checksums.

A record is its data's length (uint64, little-endian), the masked CRC-32C of those 8 bytes, the
data, and the masked CRC-32C of the data:
https://github.com/tensorflow/tensorboard/blob/da1944c21c9cc83b0d7e10dbe1b39bc2357cd87e/tensorboard/data/server/tf_record.rs

Lives here: bytes to framed bytes, and the walk over records that are already in a file.
Must not: know what a record holds, open files, import protobuf.
Pure functions, for any thread. Without the compiled module, the package crc32c does the checksums; it takes 40 ms
to import, and waits for the first call.
"""

from __future__ import annotations

import struct
from functools import cache, lru_cache
from typing import TYPE_CHECKING, TypeVar

from tblog._native import compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from _typeshed import ReadableBuffer
    from numpy.typing import NDArray

Crc = TypeVar("Crc", int, "NDArray[np.uint32]")

HEADER_BYTES = 12
FOOTER_BYTES = 4

# https://github.com/tensorflow/tensorboard/blob/a9e1bba361fdfc525866e5bb25222dab7eac3671/tensorboard/data/server/masked_crc.rs
MASK_DELTA = 0xA282EAD8


@cache
def crc32c() -> Callable[..., int]:
    """Return the native function of bytes, and of the checksum before them, that gives a CRC-32C (RFC 3720, section B.4)."""
    if compiled is not None:
        function: Callable[..., int] = compiled.crc32c
        return function
    from crc32c import crc32c as packaged

    return packaged


def masked_crc(data: ReadableBuffer) -> int:
    """Return the masked CRC-32C of `data`, a uint32."""
    return mask(crc32c()(data))


def mask(crc: Crc) -> Crc:
    """Return a checksum, or an array of them, as it stands in a file."""
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF  # type: ignore[return-value] # it stays uint32


@lru_cache(maxsize=4096)
def header(length: int) -> bytes:
    """Return the 12 bytes before `length` bytes of data; they depend on the length alone."""
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", masked_crc(packed))


def frame(data: bytes) -> bytes:
    """Return `data` as one record, ready to be appended to a file."""
    return b"".join(frame_parts(data))


def frame_parts(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return `data` as one record in three parts, so that it need not be copied."""
    return header(len(data)), data, struct.pack("<I", masked_crc(data))


def record_end(buffer: ReadableBuffer, offset: int = 0) -> int | None:
    """Return where the record that starts at `offset` ends, or None if it is torn or damaged.

    Both checksums are verified. Walk a file by calling it with what it returned before; the last
    offset that was returned is where a file whose tail is torn must be cut.
    """
    view = memoryview(buffer)
    data_start = offset + HEADER_BYTES
    if data_start > len(view):
        return None
    length, length_crc = struct.unpack_from("<QI", view, offset)
    if length_crc != masked_crc(view[offset : offset + 8]):
        return None
    data_end: int = data_start + length
    if data_end + FOOTER_BYTES > len(view):
        return None
    (data_crc,) = struct.unpack_from("<I", view, data_end)
    return data_end + FOOTER_BYTES if data_crc == masked_crc(view[data_start:data_end]) else None

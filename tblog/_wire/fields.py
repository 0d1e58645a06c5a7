"""The rules of protobuf's wire format that tblog writes by hand.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import SupportsFloat

_pack_float32 = struct.Struct("<f").pack

_BEYOND_FLOAT32 = float.fromhex("0x1.ffffffp127")
"""The smallest number that float32 rounds to infinity."""


def varint(number: int) -> bytes:
    """Encode an integer of 64 bits: seven bits a byte, the lowest first; a negative one as 2**64 more."""
    number &= (1 << 64) - 1
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def sized(field: int, content: bytes) -> bytes:
    """Encode a field of bytes, of a message, or of packed numbers: key, length, content."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def nested(field: int, parts: Sequence[bytes]) -> list[bytes]:
    """Encode a field as `sized` does, of content in parts, which are not copied."""
    return [varint(field << 3 | 2) + varint(sum(map(len, parts))), *parts]


def number(field: int, value: int) -> bytes:
    """Encode a field of an integer. Zero is left out."""
    return varint(field << 3) + varint(int(value)) if value else b""


def float32(number: SupportsFloat) -> bytes:
    """Encode a number as float32; one that float32 cannot hold as infinity, as C and protobuf do.

    struct's little-endian code refuses such a number in all versions of Python, and its native code in those that
    have https://github.com/python/cpython/pull/146422 (3.13 and later).
    """
    try:
        return _pack_float32(number)
    except OverflowError:
        return _pack_float32(_to_float32_range(number))


def float32s(numbers: Sequence[SupportsFloat]) -> bytes:
    """Encode numbers as `float32` does, one after the other."""
    layout = f"<{len(numbers)}f"
    try:
        return struct.pack(layout, *numbers)
    except OverflowError:
        return struct.pack(layout, *map(_to_float32_range, numbers))


def _to_float32_range(number: SupportsFloat) -> float:
    value = float(number)
    return math.copysign(math.inf, value) if abs(value) >= _BEYOND_FLOAT32 else value

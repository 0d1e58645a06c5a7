"""The two rules of protobuf's wire format that tblog writes by hand.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations


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

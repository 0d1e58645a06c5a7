"""CRC-32C of many records at once, where most bytes are known beforehand.

A CRC is linear over GF(2): a record's checksum is that of the record with zeros where bytes vary,
XORed with what each varying byte contributes. A contribution depends on the byte and on its distance
from the record's end alone, so it is looked up.
https://en.wikipedia.org/wiki/Mathematics_of_cyclic_redundancy_checks#Bitfilters

Lives here: checksums in numpy columns. Must not: know what a record holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tblog._framing import MASK_DELTA

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Contributions:
    """What each byte adds to the CRC-32C of a record, by its distance from the record's end.

    Attributes:
        flat: uint32, (distances * 256,): at [d * 256 + b], what byte b followed by d bytes adds.
        zeros: uint32, (distances,): at [n], the CRC-32C of n zero bytes.
    """

    def __init__(self, distances: int) -> None:
        from crc32c import crc32c

        of_bytes = np.array([crc32c(bytes([byte])) for byte in range(256)], np.uint32)
        table = np.empty((distances, 256), np.uint32)
        table[0] = of_bytes ^ of_bytes[0]
        for distance in range(1, distances):
            nearer = table[distance - 1]
            table[distance] = nearer >> 8 ^ table[0][nearer & 0xFF]
        self.flat: NDArray[np.uint32] = table.reshape(-1)
        self.zeros: NDArray[np.uint32] = np.array([crc32c(bytes(n)) for n in range(distances)], np.uint32)


def masked(crcs: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the checksums as the framing stores them."""
    return (crcs >> 15 | crcs << 17) + np.uint32(MASK_DELTA)

"""Checksums in columns, against the native CRC-32C of each record."""

import random

import numpy as np
import pytest
from crc32c import crc32c

from tblog._wire import checksums as _checksums
from tblog._wire import framing as _framing


@pytest.mark.parametrize("start", [b"", b"\x09", bytes(range(1, 9))])
def test_checksums_by_columns_are_those_of_the_records(start):
    """For every length, a constant start, varying bytes at an offset and bytes at the end add up."""
    rng = random.Random(0)
    lengths = np.arange(_checksums.MIN_BYTES, _checksums.MAX_BYTES + 1)
    records = [
        start + bytes(9 - len(start)) + rng.randbytes(5) + bytes(n - 18) + rng.randbytes(4) for n in lengths
    ]
    columns = np.array([list(record[9:14] + record[-4:]) for record in records], np.uint8).T
    checksums = _checksums.Checksums(lengths, start)
    checksums.add(9, columns[:5])
    checksums.add_last(columns[5:])
    assert checksums.crcs.tolist() == [crc32c(record) for record in records]
    assert checksums.masked().tolist() == [_framing.masked_crc(record) for record in records]

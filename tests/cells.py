"""Reads the cells of a grid back from its picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tblog.adapters._grids import GAP, square_columns


def cells_of(grid, number, height, width):
    """Return a grid's cells, (number, height, width, 3), one pixel for each number, as signed integers."""
    picture = replace(grid, caption="").numpy().astype(int)
    columns = square_columns(number, height, width)
    factor, rest = divmod(picture.shape[1] - GAP * (columns + 1), columns * width)
    assert rest == 0
    tops = [GAP + index // columns * (height * factor + GAP) for index in range(number)]
    lefts = [GAP + index % columns * (width * factor + GAP) for index in range(number)]
    return np.stack(
        [
            picture[top : top + height * factor : factor, left : left + width * factor : factor]
            for top, left in zip(tops, lefts, strict=True)
        ]
    )

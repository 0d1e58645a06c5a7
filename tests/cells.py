"""Reads the cells of a grid back from its picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tblog.adapters._layout import arrangement


def cells_of(grid: Any, number: int, height: int, width: int) -> NDArray[np.int64]:
    """Return a grid's cells, (number, height, width, 3), one pixel for each value, as signed integers.

    Args:
        grid: a deferred picture; its caption and labels are left out, and the input beside the maps.
        number: number of cells.
        height: rows of values in a cell.
        width: columns of values in a cell.
    """
    bare = {
        name: value
        for name, value in {"caption": "", "labels": (), "picture": None}.items()
        if hasattr(grid, name)
    }
    picture = replace(grid, **bare).numpy().astype(int)
    place = arrangement(number, height, width)
    # The middle of the block of pixels that one value became.
    rows, columns = (
        ((np.arange(count) + 0.5) * (pixels / count)).astype(int)
        for count, pixels in ((height, place.height), (width, place.width))
    )
    tops = [place.gap + index // place.columns * (place.height + place.gap) for index in range(number)]
    lefts = [place.gap + index % place.columns * (place.width + place.gap) for index in range(number)]
    return np.stack([picture[top + rows][:, left + columns] for top, left in zip(tops, lefts, strict=True)])

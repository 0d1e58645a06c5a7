"""Scalars -> data frames of other packages, which are imported on first use.

Lives here: pandas, polars and Arrow. Must not: import them at the top.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray


class Table(Protocol):
    """What is exported: `tblog.reading.Scalars`."""

    runs: tuple[str, ...]
    tags: tuple[str, ...]
    run_index: NDArray[Any]
    tag_index: NDArray[Any]
    step: NDArray[np.int64]
    wall_time: NDArray[np.float64]
    value: NDArray[np.float64]
    thinned: Any


_PLAIN = ("step", "wall_time", "value")


def pandas_long(scalars: Table) -> Any:
    """Return a pandas data frame of the five columns, which share the arrays' memory."""
    pandas = needed("pandas", "pandas")
    names = {"run": (scalars.run_index, scalars.runs), "tag": (scalars.tag_index, scalars.tags)}
    columns = {
        name: pandas.Categorical.from_codes(index, pandas.Index(categories, dtype=object), validate=False)
        for name, (index, categories) in names.items()
    }
    frame = pandas.DataFrame({**columns, **{name: getattr(scalars, name) for name in _PLAIN}}, copy=False)
    if scalars.thinned:
        frame.attrs["thinned"] = scalars.thinned._asdict()
    return frame


def pandas_wide(scalars: Table) -> Any:
    """Return a pandas data frame with a row for each run and step, and a column for each tag."""
    pandas = needed("pandas", "pandas")
    runs, steps, columns = wide_columns(scalars)
    names = np.array([*scalars.runs, None], object)[runs]
    index = pandas.MultiIndex.from_arrays([names, steps], names=["run", "step"])
    return pandas.DataFrame(columns, index=index, columns=pandas.Index(list(columns), dtype=object))


def polars_long(scalars: Table) -> Any:
    """Return a polars frame of the five columns."""
    polars = needed("polars", "polars")
    columns = {
        "run": _polars_names(polars, scalars.runs, scalars.run_index),
        "tag": _polars_names(polars, scalars.tags, scalars.tag_index),
    }
    return polars.DataFrame({**columns, **{name: getattr(scalars, name) for name in _PLAIN}})


def polars_wide(scalars: Table) -> Any:
    """Return a polars frame with the columns run and step, and one for each tag."""
    polars = needed("polars", "polars")
    runs, steps, columns = _unambiguous(*wide_columns(scalars))
    names = {"run": _polars_names(polars, scalars.runs, runs), "step": steps}
    wide = polars.DataFrame({**columns}, nan_to_null=False)
    return polars.DataFrame(names).hstack(wide)


def arrow_long(scalars: Table) -> Any:
    """Return an Arrow table of the five columns."""
    pyarrow = needed("pyarrow", "arrow")
    names = {
        "run": _arrow_names(pyarrow, scalars.runs, scalars.run_index),
        "tag": _arrow_names(pyarrow, scalars.tags, scalars.tag_index),
    }
    return pyarrow.table({**names, **{name: pyarrow.array(getattr(scalars, name)) for name in _PLAIN}})


def arrow_wide(scalars: Table) -> Any:
    """Return an Arrow table with the columns run and step, and one for each tag."""
    pyarrow = needed("pyarrow", "arrow")
    runs, steps, columns = _unambiguous(*wide_columns(scalars))
    return pyarrow.table({"run": _arrow_names(pyarrow, scalars.runs, runs), "step": steps, **columns})


def _arrow_names(pyarrow: Any, names: tuple[str, ...], index: NDArray[Any]) -> Any:
    return pyarrow.DictionaryArray.from_arrays(
        pyarrow.array(np.ascontiguousarray(index, np.int32)),
        pyarrow.array(_utf8(names), pyarrow.string()),
    )


def needed(package: str, extra: str) -> Any:
    """Import a package, or say how to install it."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise ImportError(f"this needs the package {package}: pip install tblog[{extra}]") from None


def _polars_names(polars: Any, names: tuple[str, ...], index: NDArray[Any]) -> Any:
    return polars.Series(_utf8(names), dtype=polars.Categorical).gather(
        polars.Series(index.astype(np.uint32))
    )


_Wide: TypeAlias = tuple[NDArray[Any], NDArray[np.int64], dict[str, NDArray[np.float64]]]


def _unambiguous(
    runs: NDArray[Any], steps: NDArray[np.int64], columns: dict[str, NDArray[np.float64]]
) -> _Wide:
    """Return what was given, if no tag is called as one of the first two columns."""
    for name in {"run", "step"} & columns.keys():
        raise ValueError(
            f"a wide table would have two columns {name!r}, because a tag is called so:"
            " leave the tag out by filter(), or use to_pandas(wide=True), where run and step are the index"
        )
    return runs, steps, columns


def wide_columns(scalars: Table) -> _Wide:
    """Return the run and the step of each row, and a column for each tag, NaN where it has no value."""
    order = np.lexsort((scalars.step, scalars.run_index))
    runs, steps = scalars.run_index[order], scalars.step[order]
    is_new = np.ones(len(order), bool)
    is_new[1:] = (np.diff(runs) != 0) | (np.diff(steps) != 0)
    row = np.empty(len(order), np.int64)
    row[order] = np.cumsum(is_new) - 1
    columns = {}
    by_tag = np.argsort(scalars.tag_index, kind="stable")
    bounds = np.searchsorted(scalars.tag_index[by_tag], np.arange(len(scalars.tags) + 1))
    for number, tag in enumerate(scalars.tags):
        rows = by_tag[bounds[number] : bounds[number + 1]]
        columns[tag] = np.full(int(is_new.sum()), np.nan)
        columns[tag][row[rows]] = scalars.value[rows]
    return runs[is_new], steps[is_new], columns


def _utf8(names: Iterable[str]) -> list[str]:
    """Return names with escapes for bytes that are not UTF-8: the name of a directory may have any bytes."""
    return [name.encode(errors="backslashreplace").decode() for name in names]

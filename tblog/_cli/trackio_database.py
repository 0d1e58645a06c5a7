"""Runs in trackio's database, one for each project: PROJECT.db, of SQLite.

https://github.com/gradio-app/trackio/blob/main/trackio/sqlite_storage.py
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tblog._cli.points import LoggedRun, parsed_json, step_number

if TYPE_CHECKING:
    from collections.abc import Iterator


def trackio_runs(path: str) -> Iterator[LoggedRun]:
    """Yield the runs of a project in the order in which they began; what is logged meanwhile may be missing.

    Raises:
        ValueError: the file is not such a database; also raised by the rows.
        OSError: there is no file.
    """
    os.stat(path)  # SQLite's own message does not name the file
    with contextlib.closing(_opened(path)) as database:
        columns = {row[1] for row in _asked(database, "PRAGMA table_info(metrics)")}
        key = "run_id" if "run_id" in columns else "run_name"  # databases of older versions have no ids
        runs = f"SELECT {key}, MAX(run_name) FROM metrics GROUP BY {key} ORDER BY MIN(id)"  # noqa: S608 # two words
        rows = f"SELECT step, timestamp, metrics FROM metrics WHERE {key} = ? ORDER BY id"  # noqa: S608
        for run, name in [*_asked(database, runs)]:
            yield LoggedRun(name, str(run), (_row(*row) for row in _asked(database, rows, run)))


def _opened(path: str) -> sqlite3.Connection:
    try:
        database = sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise ValueError(str(error)) from None
    # A view may have rows without end.
    kinds = {kind for (kind,) in _asked(database, "SELECT type FROM sqlite_master WHERE name = 'metrics'")}
    if kinds != {"table"}:
        raise ValueError("it is no database of trackio: it has no table metrics")
    return database


def _asked(database: sqlite3.Connection, query: str, *values: Any) -> Iterator[tuple[Any, ...]]:
    try:
        for row in database.execute(query, values):  # noqa: UP028 # when its database is closed, a cursor has no close()
            yield row
    except sqlite3.Error as error:
        raise ValueError(f"it is no database of trackio: {error}") from None


def _row(step: Any, timestamp: str, metrics: str | bytes) -> tuple[int, float, dict[str, Any]]:
    values = parsed_json(metrics)
    if not isinstance(values, dict):
        raise TypeError(f"the metrics of step {step} are no object of JSON")
    return step_number(step), datetime.fromisoformat(timestamp).timestamp(), values

"""`tblog import` of other trackers' files: wandb's offline files and trackio's databases."""

from __future__ import annotations

import math
import sqlite3
import struct
import zlib
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tblog as package
from tblog._cli.wandb_file import wandb_runs
from tblog._wire.fields import sized
from tests.command import tblog, tblog_here

FILES = Path(__file__).parent / "foreign_files" / "trackers"
STEPS = [0, 1, 2, 5]
LOGGED = {
    "loss": [1 / (i + 1) for i in range(4)],
    "val/acc": [i / 4 for i in range(4)],
    "count": [2**40 + i for i in range(4)],
    "bad": [math.nan] * 4,
    "big": [-math.inf] * 4,
}


def found(run):
    """Return {tag: values} of a run, and check the steps of each curve."""
    curves = {curve.tag: curve for curve in run.scalars.series()}
    assert all(curve.step.tolist() == STEPS for curve in curves.values())
    return {tag: curve.value for tag, curve in curves.items()}


def check(run, logged):
    """Check that a run has what was logged, as float32."""
    assert found(run).keys() == logged.keys()
    for tag, values in logged.items():
        np.testing.assert_array_equal(found(run)[tag], np.array(values, np.float32))


def test_a_run_of_wandb_has_its_scalars_and_its_name(tmp_path):
    """Nested values have a dot in their names; texts, booleans and histograms are left out."""
    tblog("import", FILES / "run-abc123.wandb", "-o", tmp_path / "new")
    runs = package.read(tmp_path / "new")
    assert [*runs] == ["lr/0.1"]
    check(runs["lr/0.1"], {**LOGGED, "nested.a": [0.0, 1.0, 2.0, 3.0]})
    assert 1.7e9 < runs.scalars.wall_time[0] <= runs.scalars.wall_time[-1]


def test_a_project_of_trackio_has_all_its_runs(tmp_path):
    """Of two runs with one name, the second has its id appended."""
    tblog("import", FILES / "demo.db", "-o", tmp_path / "new")
    runs = package.read(tmp_path / "new")
    assert [*runs] == ["baseline", "baseline-id3", "lr/0.1"]
    for run in runs.values():
        check(run, LOGGED)
    times = runs["baseline"].scalars.filter(tag="loss").wall_time
    assert times.tolist() == [1767323040.5 + i for i in range(4)]


def test_a_database_of_an_older_trackio_has_runs_by_name(tmp_path):
    """Such a database has no ids."""
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp, run_name, step, metrics)")
        rows = [("2026-01-02T03:04:05", "a", step, f'{{"loss": {step}}}') for step in STEPS]
        database.executemany(
            "INSERT INTO metrics (timestamp, run_name, step, metrics) VALUES (?, ?, ?, ?)", rows
        )
    tblog("import", tmp_path / "x.db", FILES / "run-abc123.wandb", "-o", tmp_path / "new")
    runs = package.read(tmp_path / "new")
    assert [*runs] == ["a", "lr/0.1"]
    check(runs["a"], {"loss": STEPS})


def log(records, magic=b":W&B\xe1\xbe\x00"):
    """Return the bytes of a log of records, as LevelDB's format describes it."""
    whole = bytearray(magic)
    for record in records:
        left, kind = record, 1
        while True:
            room = 32768 - len(whole) % 32768
            if room < 7:
                whole += bytes(room)
                continue
            part, left = left[: room - 7], left[room - 7 :]
            kind = {(True, True): 1, (True, False): 2, (False, False): 3, (False, True): 4}[
                kind == 1, not left
            ]
            whole += struct.pack("<IHB", zlib.crc32(part, zlib.crc32(bytes([kind]))), len(part), kind) + part
            if not left:
                break
    return bytes(whole)


def history(step, **values):
    """Return a record of wandb with numbers in their newer form."""
    items = [
        sized(1, sized(1, key.encode()) + b"\x31" + struct.pack("<d", value)) for key, value in values.items()
    ]
    return sized(2, b"".join(items) + sized(2, b"\x08" + bytes([step])))


def test_records_of_wandb_may_cross_blocks_and_end_torn(tmp_path):
    """The records before the torn end are imported, and a message says where it is."""
    other = sized(4, bytes(40_000))
    records = [one for step in range(6) for one in (history(step, loss=step / 3), other)]
    path = tmp_path / "run-x.wandb"
    path.write_bytes(log(records))
    _, told = tblog("import", path, "-o", tmp_path / "new")
    assert "6 scalars" in told
    assert "damaged" not in told
    assert [*package.read(tmp_path / "new")] == ["run-x"]
    path.write_bytes(path.read_bytes()[:-50_000])
    _, told = tblog("import", path, "-o", tmp_path / "torn")
    assert "5 scalars" in told
    assert "damaged at byte" in told


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=60), max_size=6), st.data())
def test_any_bytes_in_a_log_of_wandb_are_rows_or_an_error_that_says_so(tmp_path, records, data):
    """So are whole records whose contents are not messages."""
    whole = bytearray(log([history(3, a=1.0, _step=2.0), *records, *(sized(2, one) for one in records)]))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(0, 255))
    (tmp_path / "x.wandb").write_bytes(whole)
    try:
        for run in wandb_runs(str(tmp_path / "x.wandb")):
            assert all(point.tag and isinstance(point.value, float) for point in run.points("x"))
    except (ValueError, OverflowError):
        pass


def test_files_that_are_none_of_them_are_refused(tmp_path):
    """The message names the file, and nothing is written."""
    (tmp_path / "x.db").write_bytes(b"no database" * 100)
    (tmp_path / "x.wandb").write_bytes(b"no log")
    with sqlite3.connect(tmp_path / "y.db") as database:
        database.execute("CREATE TABLE other (id)")
    with sqlite3.connect(tmp_path / "z.db") as database:
        database.execute("CREATE TABLE metrics (id, timestamp, run_name, step, metrics)")
        database.execute(
            "INSERT INTO metrics VALUES (1, '2026-01-02T03:04:05', '../../out', 1, '{\"a\": 1}')"
        )
    with sqlite3.connect(tmp_path / "v.db") as database:
        database.execute(
            "CREATE VIEW metrics AS WITH RECURSIVE c(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM c) "
            "SELECT id, '2026-01-02T03:04:05' AS timestamp, 'a' AS run_name, id AS step, '{}' AS metrics FROM c"
        )
    (tmp_path / "dir.db").mkdir()
    for name, why in (
        ("x.db", "is no database of trackio"),
        ("y.db", "is no database of trackio"),
        ("z.db", "outside"),
        ("x.wandb", "no file of wandb"),
        ("v.db", "no table metrics"),
        ("dir.db", "dir.db cannot be read"),
        ("none.db", "there is no file"),
        ("none.wandb", "there is no file"),
    ):
        told = tblog_here("import", tmp_path / name, "-o", tmp_path / "new", status=2)[1]
        assert why in told
        assert name in told
        assert told.count("\n") == 1
    assert not (tmp_path / "new").exists()

"""9: Does the cost stay flat, from few to many tags, writers, threads and events?

The cost is the process's CPU time from the first call to the return of `flush()`, with writers that are
open and have flushed one event. The same loop without calls is subtracted. Fewer than two million events
are logged again and again, and the median counts. Memory is the growth of the peak resident size since
before the first call.
"""

from __future__ import annotations

import statistics
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks import _check, _clock, _data, _picture
from benchmarks._question import Figure, Plan, Question, Results, Row, Sample, Trial
from benchmarks.peers import peer, peers_of

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

_WHAT = ("tags", "writers", "threads", "events", "keys")
_FULL = {
    "tags": (1, 10, 100, 1_000, 10_000),
    "writers": (1, 4, 16, 64),
    "threads": (1, 4, 16),
    "events": (1_000, 10_000, 100_000, 1_000_000, 10_000_000),
}
_QUICK = {"tags": (1, 1_000), "writers": (1, 16), "threads": (1, 8), "events": (1_000, 100_000)}
_KEYS = (1, 100)
_ENOUGH = 2_000_000  # of fewer events, several measurements: their median counts
_PIECE = 10_000  # steps and values that the loop makes at once
_ALLOWED_SPREAD = 1.25
_BOUND_MIB = 96  # 262,144 queued records of 200 bytes, the batch being encoded, and its bytes


def _trials(plan: Plan) -> list[Trial]:
    varied = _QUICK if plan.quick else _FULL
    base = 64_000 if plan.quick else 320_000
    trials = []
    for what, counts in varied.items():
        for count in counts:
            sizes = {"tags": 1, "writers": 1, "threads": 1, "events": base, what: count}
            trials.append(Trial("tblog", f"{what}={count}", sizes))
    for p in peers_of(9, quick=plan.quick):
        trials += [Trial(p.name, f"keys={count}", {"keys": count}) for count in _KEYS]
    return trials


def _measure(trial: Trial, logdir: Path) -> Sample:
    opened = peer(trial.writer).open
    if "keys" in trial.sizes:
        return _keys(opened(str(logdir)), trial.sizes["keys"])
    sizes = trial.sizes
    writers = [opened(str(logdir / f"run{index:02d}")) for index in range(sizes["writers"])]
    for writer in writers:
        writer.add_scalar("first", 0.0, 0)
        writer.flush()
    tags = _data.tags(sizes["tags"])
    _clock.forget_peak()
    before = _clock.peak_bytes()
    costs = []
    for turn in range(_times(sizes["events"])):
        started = _clock.cpu_secs()
        _log(writers, tags, sizes["threads"], sizes["events"], turn, calls=True)
        for writer in writers:
            writer.flush()
        costs.append((_clock.cpu_secs() - started) / sizes["events"])
    grown = _clock.peak_bytes() - before
    for writer in writers:
        writer.close()
    loops = []
    for turn in range(_times(sizes["events"])):
        started = _clock.cpu_secs()
        _log(writers, tags, sizes["threads"], sizes["events"], turn, calls=False)
        loops.append((_clock.cpu_secs() - started) / sizes["events"])
    return {"cpu": statistics.median(costs) - statistics.median(loops), "grown": float(grown)}


def _times(events: int) -> int:
    return max(1, _ENOUGH // events)


def _keys(writer: Any, keys: int) -> Sample:
    import psutil

    before = threading.active_count()
    for step in range(20):
        writer.add_scalars("losses", {f"key{index}": float(step) for index in range(keys)}, step)
    sample = {
        "threads": float(threading.active_count() - before),
        "files": float(len(psutil.Process().open_files())),
    }
    writer.close()
    return sample


def _log(
    writers: Sequence[Any], tags: Sequence[str], threads: int, events: int, turn: int, *, calls: bool
) -> None:
    share = events // threads
    if threads == 1:
        _loop(writers, tags, share, turn, calls)
        return
    started = [
        threading.Thread(
            target=_loop, args=(writers, [f"thread{index:02d}/{tag}" for tag in tags], share, turn, calls)
        )
        for index in range(threads)
    ]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


def _loop(writers: Sequence[Any], tags: Sequence[str], events: int, turn: int, calls: bool) -> None:
    """Log `events` scalars, one round of (writer, tag) after the other, each series at its next step.

    Steps and values are made in pieces, so that the loop itself costs the same whatever the number of series.
    """
    import numpy as np

    pairs = [(writer.add_scalar, tag) for tag in tags for writer in writers]
    rounds, rest = divmod(events, len(pairs))
    assert rest == 0 or rounds == 0, "the sizes do not divide"
    piece = max(1, _PIECE // len(pairs))
    adds, names = zip(*(pairs * min(piece, rounds)), strict=True) if rounds else ((), ())
    for first in range(turn * rounds, (turn + 1) * rounds, piece):
        steps = np.repeat(np.arange(first, min(first + piece, (turn + 1) * rounds)), len(pairs))
        each = zip(adds, names, (steps * 0.1).tolist(), steps.tolist(), strict=False)
        if calls:
            for add, tag, value, step in each:
                add(tag, value, step)
        else:
            for _add, _tag, _value, _step in each:
                pass


def _check_files(trial: Trial, logdir: Path) -> int:
    import numpy as np

    if "keys" in trial.sizes:
        return 0
    sizes = trial.sizes
    tags = _data.tags(sizes["tags"])
    if sizes["threads"] > 1:
        tags = [f"thread{index:02d}/{tag}" for index in range(sizes["threads"]) for tag in tags]
    steps = sizes["events"] // (len(tags) * sizes["writers"]) * _times(sizes["events"])
    series = np.arange(steps) * np.float64(0.1)
    expected = {**dict.fromkeys(tags, series), "first": np.zeros(1)}
    return sum(_check.scalars(logdir / f"run{index:02d}", expected) for index in range(sizes["writers"]))


def _cases(results: Results, what: str) -> list[tuple[int, str]]:
    keys = [key for key in results.rounds if key.startswith(f"tblog {what}=")]
    return sorted((int(key.partition("=")[2]), key) for key in keys)


def _flatness(results: Results, what: str) -> Figure | None:
    """Return the ratio of the largest cost to the smallest in each round."""
    rounds = zip(*(results.rounds[key] for _, key in _cases(results, what)), strict=True)
    whole = [[sample["cpu"] for sample in samples if sample] for samples in rounds]
    return Figure.of([max(costs) / min(costs) for costs in whole if costs])


def _rows(results: Results) -> list[Row]:
    rows = []
    for what in _WHAT[:-1]:
        cases = _cases(results, what)
        costs = ", ".join(f"{count:,}: {results.value(key, 'cpu', 1e6, 'us')}" for count, key in cases)
        title = f"{cases[0][0]:,} to {cases[-1][0]:,} {what}: the largest cost of an event over the smallest"
        rows.append(
            Row(title, "at most x1.25", _flatness(results, what), _ALLOWED_SPREAD, 8.0, "factor", costs)
        )
    count, key = _cases(results, "events")[-1]
    grown = results.figure(key, "grown", 1 / 2**20)
    title = f"resident memory's growth over {count:,} events"
    rows.append(Row(title, f"the queue's bound, {_BOUND_MIB} MiB", grown, _BOUND_MIB, 400.0, "MiB"))
    return [*rows, _row_of_keys(results)]


def _row_of_keys(results: Results) -> Row:
    fewest, most = (f"keys={count}" for count in _KEYS)
    pairs = zip(results.rounds[f"tblog {most}"], results.rounds[f"tblog {fewest}"], strict=True)
    more = Figure.of([a["threads"] - b["threads"] for a, b in pairs if a and b])
    names = sorted(
        {key.split()[0] for key in results.rounds if "keys=" in key}, key=lambda n: (n != "tblog", n)
    )
    beside = [
        f"{name} {results.value(f'{name} {most}', 'threads', 1, 'threads')}, "
        f"{results.value(f'{name} {most}', 'files', 1, 'open files')}"
        for name in names
    ]
    title = f"add_scalars with {_KEYS[1]} keys: threads more than with {_KEYS[0]}"
    return Row(title, "0", more, 0.0, 0.0, "count", "; ".join(beside))


def _draw(results: Results, axes: Axes) -> None:
    series = []
    for what in _WHAT[:-1]:
        cases = _cases(results, what)
        figures = [results.figure(key, "cpu", 1e6) for _, key in cases]
        series.append((what, [count for count, _ in cases], figures))
    _picture.lines(axes, series, "CPU of an event, us")
    axes.set_xlabel("number of tags, writers, threads or events (log scale)")


QUESTION = Question(
    number=9,
    name="flatness",
    asks="Does the cost stay flat?",
    trials=_trials,
    measure=_measure,
    check=_check_files,
    rows=_rows,
    draw=_draw,
)

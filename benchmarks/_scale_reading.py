"""Measures the CPU time of TensorBoard's two loaders for a log directory, and checks that they find everything.

Run it once for each loader: `_scale_reading.py LOGDIR LOADER SCALARS LAST_STEP SERIES RANKS WHICH`. LOADER is "accumulator" or
"rust", SERIES the number of series, SCALARS the number of points in all. RANKS and "reduce" say that the points are means over ranks. It prints the seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks._scale_tags import value_of

ROUND_SECS = 0.1
MOST_SECS = 300.0


def by_accumulator(logdir: Path, scalars: int, rank_of_run: Callable[[int], float]) -> float:
    """Read each run by an EventAccumulator that keeps all points, and compare them with what was logged.

    Args:
        logdir: of all runs.
        scalars: the number of points.
        rank_of_run: returns whose values a run has, by its place among the names.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    runs = sorted({path.parent for path in logdir.rglob("*tfevents*")})
    loaded = [EventAccumulator(str(run), size_guidance={"scalars": 0}) for run in runs]
    started = time.process_time()
    for events in loaded:
        events.Reload()
    secs = time.process_time() - started
    found = 0
    for run, events in enumerate(loaded):  # the names sort like the numbers
        rank = rank_of_run(run)
        for tag in events.Tags()["scalars"]:
            points = [(point.step, point.value) for point in events.Scalars(tag)]
            assert points == [(step, value_of(rank, step)) for step in range(len(points))], (rank, tag)
            found += len(points)
    assert found == scalars, f"{found} of {scalars} points"
    return secs


def by_rust(logdir: Path, last_step: int, series: int) -> float:
    """Start the data server and poll it until each series has its last step; all its threads count."""
    import psutil
    from tensorboard.context import RequestContext

    from tests.reading import rust_server

    started = time.perf_counter()
    with rust_server(logdir) as data:
        while time.perf_counter() < started + MOST_SECS:
            runs = data.list_scalars(RequestContext(), experiment_id="", plugin_name="scalars")
            steps = [each.max_step for tags in runs.values() for each in tags.values()]
            if len(steps) == series and set(steps) == {last_step}:
                (server,) = psutil.Process().children()
                used = server.cpu_times()
                return float(used.user + used.system)
            time.sleep(ROUND_SECS)
    raise AssertionError(f"{len(steps)} of {series} series")


def main(logdir: str, loader: str, scalars: str, last_step: str, series: str, ranks: str, which: str) -> None:
    """Read, and print the CPU time that it took."""
    if loader == "rust":
        secs = by_rust(Path(logdir), int(last_step), int(series))
    else:
        middle = (int(ranks) - 1) / 2
        secs = by_accumulator(Path(logdir), int(scalars), lambda run: middle if which == "reduce" else run)
    print(secs)


if __name__ == "__main__":
    main(*sys.argv[1:])

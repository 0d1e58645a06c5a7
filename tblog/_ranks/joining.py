"""Joins the numbers of all ranks by run, tag and step, and reduces each group to a point (on rank 0).

A point is closed once each rank has given its number or skipped the point. A rank's numbers arrive in the order
of its calls, so a rank that has joined a later point of a tag has skipped the earlier ones. Numbers missing at the
deadline are left out, and the tag stops waiting for their ranks until they log it again. So a rank that is dead, or
does not log the tag, delays only the first points.

Lives here: which numbers belong together, the deadline, the limits, the reductions.
Must not: know how the numbers arrived, or touch files. Runs on the worker thread.
"""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tblog._delivery.entries import NumberOfRun, Scalar
    from tblog._reports import Reports
    from tblog.options import Reduction

MAX_OPEN_POINTS = 100_000
"""Beyond this number, the oldest points are closed before their deadline. Each takes about 500 bytes."""
MAX_LEAD = MAX_OPEN_POINTS // 2
"""Maximum open points of one rank that wait for others. Its next numbers wait outside, where they take less memory."""
MAX_SERIES = 100_000
_RANKS_TOLD = 8


class Joiner:
    """The open points of one writer.

    Args:
        world_size: the number of ranks.
        reductions: the values to write for each point. If there are several, each goes to its own run.
        wait_secs: maximum time, in seconds, from the first number of a point to its closing.
        reports: receives missing and late numbers.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        world_size: int,
        reductions: Sequence[Reduction],
        wait_secs: float,
        reports: Reports,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._everybody = (1 << world_size) - 1
        self._reductions = tuple(reductions)
        self._wants_extremes = not {"min", "max"}.isdisjoint(reductions)
        self._wait_secs = wait_secs
        self._reports = reports
        self._clock = clock
        self._series: dict[tuple[str, str], _Series] = {}
        self._open: deque[_Point] = deque()  # ordered by deadline; may contain closed points
        self._open_count = 0
        self._joined = [0] * world_size
        self._complete = 0
        self._closed: dict[str, list[Scalar]] = {}

    def add(self, rank: int, numbers: Iterable[NumberOfRun]) -> None:
        """Join the numbers of one rank, in the order of its calls."""
        bit = 1 << rank
        for run, tag, value, step, wall_time in numbers:
            series = self._series.get((run, tag)) or self._new_series(run, tag)
            series.absent &= ~bit
            point = series.point_without(bit, step)
            if point is None:
                if series.missed & bit and step <= series.missed_step:
                    self._report_late(rank, tag, step)
                    continue
                point = self._new_point(series, step)
            else:
                self._pass(series, rank, bit, point)
            series.missed &= ~bit
            series.reached[rank] = max(point.number, series.reached.get(rank, 0))
            point.take(rank, bit, value, wall_time)
            self._joined[rank] += 1
            if self._wants_extremes:
                point.compare(rank, value)
            if point.came | point.passed | series.absent == self._everybody:
                self._close(point)

    def has_room(self, rank: int) -> bool:
        """Return whether a rank is not so far ahead of the others that its next numbers should wait."""
        return self._joined[rank] - self._complete < MAX_LEAD

    def closed(self, *, has_all: bool = True) -> dict[str, list[Scalar]]:
        """Return the points that were closed since the last call, by run; close those that have waited too long.

        Args:
            has_all: whether all numbers that arrived are joined. If not, no deadline counts.
        """
        now = self._clock() if has_all else -math.inf
        while self._open and (not self._open[0].is_open or self._is_due(self._open[0], now)):
            point = self._open.popleft()
            if point.is_open:
                self._close_without_missing(point)
        closed, self._closed = self._closed, {}
        return closed

    def close_all(self) -> None:
        """Close all points with the numbers that have arrived."""
        for point in self._open:
            if point.is_open:
                self._close(point)
        self._open.clear()

    def _is_due(self, point: _Point, now: float) -> bool:
        return now >= point.deadline or self._open_count > MAX_OPEN_POINTS

    def _new_series(self, run: str, tag: str) -> _Series:
        if len(self._series) >= MAX_SERIES:
            self._series = {key: series for key, series in self._series.items() if series.points}
        series = self._series[run, tag] = _Series(run, tag)
        return series

    def _new_point(self, series: _Series, step: int) -> _Point:
        point = _Point(series, step, self._clock() + self._wait_secs)
        series.append(point)
        self._open.append(point)
        self._open_count += 1
        return point

    def _pass(self, series: _Series, rank: int, bit: int, point: _Point) -> None:
        """Note that a rank has skipped the points before this one."""
        for number in range(series.reached.get(rank, 0) + 1, point.number):
            earlier = series.points.get(number)
            if earlier is not None and not earlier.came & bit:
                earlier.passed |= bit
                if earlier.came | earlier.passed | series.absent == self._everybody:
                    self._close(earlier)

    def _close_without_missing(self, point: _Point) -> None:
        """Close a point at its deadline, and all points of its series that wait only for the same ranks."""
        series = point.series
        missing = self._everybody & ~(point.came | point.passed | series.absent)
        series.absent |= missing
        self._report_missing(point, missing)
        for other in tuple(series.points.values()):
            if other.came | other.passed | series.absent == self._everybody:
                self._close(other)

    def _close(self, point: _Point) -> None:
        series = point.series
        series.remove(point)
        point.is_open = False
        self._open_count -= 1
        if point.came == self._everybody:
            self._complete += 1
        else:
            self._reports.incomplete += 1
            for present in _ranks(point.came):
                self._joined[present] -= 1
            missing = self._everybody & ~(point.came | point.passed)
            if missing:
                series.missed |= missing
                series.missed_step = max(point.step, series.missed_step)
        for reduction in self._reductions:
            run = series.run
            if len(self._reductions) > 1:
                run = f"{reduction}/{run}" if run else reduction
            points = self._closed.setdefault(run, [])
            points.append((series.tag, point.reduced(reduction), point.step, point.wall_time))
            rank = point.extreme_rank(reduction)
            if rank is not None:
                points.append((f"{reduction}_rank/{series.tag}", float(rank), point.step, point.wall_time))

    def _report_missing(self, point: _Point, missing: int) -> None:
        if missing:
            is_due = self._clock() >= point.deadline
            why = (
                f"within {self._wait_secs:g} s"
                if is_due
                else f"before {MAX_OPEN_POINTS} later points were begun"
            )
            self._reports.missing_ranks(point.series.tag, point.step, _listed(missing), why)

    def _report_late(self, rank: int, tag: str, step: int) -> None:
        self._reports.late_number(rank, tag, step)


class _Series:
    """The open points of one tag in one run, and the state of each rank there."""

    def __init__(self, run: str, tag: str) -> None:
        self.run = run
        self.tag = tag
        self.points: dict[int, _Point] = {}  # by number, which is their order
        self.reached: dict[int, int] = {}  # by rank: the last point it joined
        self.absent = 0  # ranks that this series does not wait for
        self.missed = 0  # ranks left out of a closed point that have joined none since
        self.missed_step = 0
        self._at: dict[int, list[_Point]] = {}  # by step
        self._count = 0

    def append(self, point: _Point) -> None:
        self._count += 1
        point.number = self._count
        self.points[point.number] = point
        self._at.setdefault(point.step, []).append(point)

    def remove(self, point: _Point) -> None:
        del self.points[point.number]
        same = self._at[point.step]
        same.remove(point)
        if not same:
            del self._at[point.step]

    def point_without(self, bit: int, step: int) -> _Point | None:
        """Return the first open point of a step that a rank has not joined. A rank may log a step several times."""
        for point in self._at.get(step, ()):
            if not point.came & bit:
                return point
        return None


class _Point:
    """The numbers of one step of a series so far, reduced."""

    __slots__ = (
        *("series", "step", "deadline", "number", "is_open", "came", "passed", "count", "wall_time"),
        *("total", "low", "low_rank", "high", "high_rank"),
    )

    def __init__(self, series: _Series, step: int, deadline: float) -> None:
        self.series = series
        self.step = step
        self.deadline = deadline
        self.number = 0
        self.is_open = True
        self.came = 0
        self.passed = 0
        self.count = 0
        self.wall_time = 0.0
        self.total = 0.0
        self.low, self.low_rank = math.inf, -1
        self.high, self.high_rank = -math.inf, -1

    def take(self, rank: int, bit: int, value: float, wall_time: float) -> None:
        if not self.came or rank == 0:
            self.wall_time = wall_time
        self.came |= bit
        self.count += 1
        self.total += value

    def compare(self, rank: int, value: float) -> None:
        if _goes_before(value < self.low, value, rank, self.low, self.low_rank):
            self.low, self.low_rank = value, rank
        if _goes_before(value > self.high, value, rank, self.high, self.high_rank):
            self.high, self.high_rank = value, rank

    def reduced(self, reduction: Reduction) -> float:
        if reduction == "mean":
            return self.total / self.count
        return {"sum": self.total, "min": self.low, "max": self.high}[reduction]

    def extreme_rank(self, reduction: Reduction) -> int | None:
        return {"min": self.low_rank, "max": self.high_rank}.get(reduction)


def _goes_before(is_beyond: bool, value: float, rank: int, extreme: float, extreme_rank: int) -> bool:
    """Return whether a value is the new extreme: NaN beats every number, and the lowest rank wins a tie."""
    if math.isnan(value):
        return not math.isnan(extreme) or rank < extreme_rank
    if math.isnan(extreme):
        return False
    return is_beyond or extreme_rank < 0 or (value == extreme and rank < extreme_rank)


def _listed(mask: int) -> str:
    """Return the ranks of a set of bits for a message."""
    ranks = _ranks(mask)
    more = f" and {len(ranks) - _RANKS_TOLD} more" if len(ranks) > _RANKS_TOLD else ""
    return f"rank {', '.join(map(str, ranks[:_RANKS_TOLD]))}{more}"


def _ranks(mask: int) -> list[int]:
    return [rank for rank in range(mask.bit_length()) if mask >> rank & 1]

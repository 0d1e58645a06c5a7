"""Something happens at every point of a call where a signal handler could run.

CPython runs signal handlers at the start of a function, behind a call and at a backward jump (`eval_breaker` in
Python/ceval.c). A tracing function comes to all of these points; a timer would come to few of them.
"""

from __future__ import annotations

import dis
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import tblog
from tests.faults.inside import end_of

MOST_AT_A_LINE = 2
_PACKAGE = str(Path(tblog.__file__).parent)
_LOOKS = {"RESUME", "CALL", "CALL_KW", "CALL_FUNCTION_EX"}
"""The instructions behind which CPython looks for signals; it also does after a jump back."""


class EveryPoint:
    """Calls a handler at the points of a call that are inside of tblog, up to `MOST_AT_A_LINE` times at each line.

    Args:
        handler: receives the number of the point, from 1 on. What it calls has no such points.

    Attributes:
        lines: the file and the line of each point.
    """

    def __init__(self, handler: Callable[[int], object]) -> None:
        self.lines: list[str] = []
        self._handler = handler
        self._last: dict[int, tuple[str, int]] = {}
        self._at_line: Counter[str] = Counter()

    def call(self, function: Callable[[], object]) -> None:
        """Call a function."""
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            function()
        finally:
            sys.settrace(before)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            before, was_at = self._last.get(id(frame), ("", 0))
            self._last[id(frame)] = dis.opname[frame.f_code.co_code[frame.f_lasti]], frame.f_lasti
            if before in _LOOKS or frame.f_lasti < was_at:
                self._handle(f"{Path(frame.f_code.co_filename).relative_to(_PACKAGE)}:{frame.f_lineno}")
        return self._trace

    def _handle(self, line: str) -> None:
        self._at_line[line] += 1
        if self._at_line[line] <= MOST_AT_A_LINE:
            self.lines.append(line)
            self._handler(len(self.lines))


class ForkAtEveryPoint:
    """Forks at every point of a call.

    Args:
        hang_secs: time until a child counts as hanging.

    Attributes:
        ends: how each child ended, and the line at which it was forked.
    """

    def __init__(self, hang_secs: float) -> None:
        self.ends: list[tuple[int | Literal["hung"], str]] = []
        self._hang_secs = hang_secs
        self._points = EveryPoint(self._fork)
        self._child = 0

    def call(self, function: Callable[[], object], afterwards: Callable[[int], object]) -> None:
        """Call a function; in each child, finish the call, then call another with the point's number, and end."""
        try:
            self._points.call(function)
            if self._child:
                afterwards(self._child)
                os._exit(0)
        finally:
            if self._child:
                os._exit(1)

    def _fork(self, number: int) -> None:
        if self._child:
            return
        child = os.fork()
        if child == 0:
            self._child = number
            sys.settrace(None)
        else:
            self.ends.append((end_of(child, self._hang_secs), self._points.lines[-1]))

"""The fast path of `add_scalar` and `add_scalar_dict`: all that a training loop pays for its numbers.

In Python, it builds a tuple and appends it to a deque; in the compiled module, it writes the numbers into a
block in a lane, which takes the deque's place: no lock, no wake-up, no message. It knows the tags that were
checked before, the queue's deque, and how many entries may wait there. Everything unusual (a new tag, a
closed or inherited writer, a full queue, a value that is not a plain number, a default of `use_metadata`) goes
to `_add_unusual_scalar`.

Lives here: the state of the fast path, and the only code that reads or changes it. Another implementation has
the same methods; the rest of the writer does not know how they work.
Must not: check tags, convert arrays, wait. Runs on callers' threads, in signal handlers and finalisers.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections import deque
from types import MethodType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from tblog._delivery.queue import NOWHERE
from tblog._native import compiled
from tblog._values import arrays

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog._delivery.channel import Channel
    from tblog._delivery.entries import LightEntry

FIRST_STEP, LAST_STEP = -(1 << 63), (1 << 63) - 1

_now = time.time
_QUICK = arrays.QUICK_NUMBERS
_MAX_KNOWN_TAGS = 100_000

_OF_A_FUNCTION = (
    *functools.WRAPPER_ASSIGNMENTS,
    *("__code__", "__globals__", "__defaults__", "__kwdefaults__", "__closure__"),
)
"""The attributes by which torch's compiler recognises a method that it must not compile."""

Method = TypeVar("Method", bound="Callable[..., None]")


def in_c(*names: str) -> Callable[[Method], Method]:
    """Return a decorator of `add_scalar` and `add_scalar_dict`: what tries the same in C, and calls the method otherwise.

    Args:
        names: the arguments that a fast call has, each of them and no others.
    """

    def decorate(method: Method) -> Method:
        if compiled is None:
            return method
        fast = compiled.FastMethod(method, ("_lane", *names), _QUICK, MethodType)
        return cast("Method", functools.update_wrapper(fast, method, _OF_A_FUNCTION))

    return decorate


class ScalarFastPath:
    """Appends plain numbers of known tags to the queue of the channel that it is attached to."""

    _OWN_STATE: ClassVar[tuple[str, ...]] = ("_tags", "_pending", "_room", "_lane")
    """What a copy or a pickle leaves out, and `forget_channel` sets."""

    def forget_channel(self) -> None:
        """Detach: the next call goes to `_add_unusual_scalar`, which attaches again where it can."""
        self._pending: deque[LightEntry] = NOWHERE
        self._tags: dict[str, str] = {}
        self._room = 0
        self._lane: Any = None

    def _attach(self, channel: Channel) -> None:
        """Append to a channel's queue until the channel calls `forget_channel`."""
        if len(self._pending) < self._room:  # attached already, and there is room
            return
        channel.attach(self)
        self._tags, room = channel.tags, channel.queue.quick_room()
        # No call in the lines that take `pending`: a close cannot come in between.
        if channel.queue.takes_blocks:
            self._lane = channel.queue.pending
        else:
            self._room = room
            self._pending = channel.queue.pending  # type: ignore[assignment] # which is a deque then

    def _discard(self) -> None:
        """Check plain numbers of known tags and forget them, until `forget_channel`."""
        if compiled is None:
            self._pending, self._room = deque(maxlen=0), 1
        elif type(self._lane) is not compiled.Lane:
            self._lane = compiled.Lane(deque())
            self._lane.room = -1

    def _learn(self, tag: str, name: str) -> None:
        """Accept `tag` from now on, and write it as `name`."""
        if len(self._tags) >= _MAX_KNOWN_TAGS:
            self._tags.clear()
        self._tags[tag] = name
        lane = self._lane
        if compiled is not None and type(lane) is compiled.Lane:
            with contextlib.suppress(UnicodeEncodeError):  # reported when the number is encoded
                lane.learn(tag, name)

    def _known_names(self, tags: Any) -> tuple[str, ...]:
        """Return the name that each of several tags is written as.

        Raises:
            KeyError, TypeError: one of them is not known.
        """
        return tuple(map(self._tags.__getitem__, tags))

    @in_c("tag", "scalar_value", "global_step")
    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: Any = None,
        walltime: Any = None,
        new_style: Any = None,
        double_precision: Any = None,
        *,
        display_name: str | None = None,
        summary_description: str | None = None,
    ) -> None:
        """Log one number.

        Args:
            tag: names the series.
            scalar_value: a Python number, a numpy scalar, or an array or tensor of one element, on
                any device; stored as float32. NaN and infinity are kept. A value on a GPU is
                copied without waiting for the GPU.
            global_step: step, an integer of 64 bits; None is 0, or counts if the options say `auto_step`.
            walltime: seconds since the epoch; now, if None.
            new_style: write a tensor instead of a `simple_value`. In tensorboardX's signature, this
                position is `display_name`, so a string counts as that.
            double_precision: with `new_style`, keep float64 (which TensorBoard's default loader
                does not show). In tensorboardX's signature, `summary_description`.
            display_name: title of the chart.
            summary_description: text behind the chart's information icon.

        Raises:
            UnsupportedTypeError: the value is not a real number.
            NotAScalarError: it does not have exactly one element.
            InvalidTypeError, InvalidValueError: the tag, the step or the time is wrong.
        """
        try:
            name = self._tags[tag]
            number = scalar_value if type(scalar_value) is float else _QUICK[type(scalar_value)](scalar_value)
            if (
                type(global_step) is int
                and walltime is None
                and new_style is None
                and double_precision is None
                and display_name is None
                and summary_description is None
                and FIRST_STEP <= global_step <= LAST_STEP
                and len(self._pending) < self._room
            ):
                entry = (name, number, global_step, _now())
                self._pending.append(entry)  # nothing can come between this line's look and its append
                return
        except (KeyError, TypeError, OverflowError, RuntimeError):  # a new tag or type, or an odd value
            pass
        self._add_unusual_scalar(
            tag,
            scalar_value,
            global_step,
            walltime,
            new_style,
            double_precision,
            display_name,
            summary_description,
        )

    def _add_unusual_scalar(
        self,
        tag: str,
        value: Any,
        global_step: Any,
        walltime: Any,
        new_style: Any,
        double_precision: Any,
        display_name: str | None,
        description: str | None,
    ) -> None:
        """Check and log what the fast path does not take."""
        raise NotImplementedError

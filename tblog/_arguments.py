"""Checks of what every `add_*` is given beside its value: tag, step and wall time. Caller's side."""

from __future__ import annotations

import math
import os
import re
import socket
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tblog._arrays import snapshot, to_numpy
from tblog.errors import InvalidTypeError, InvalidValueError, UnsupportedTypeError
from tblog.summaries._shapes import check_text

if TYPE_CHECKING:
    from tblog.options import Flavor

_NOT_IN_TENSORBOARDX_TAGS = re.compile(r"[^-/\w\.]")
_STEP_LIMIT = 1 << 63
# Bytes: NAME_MAX and, less room for the log directory, PATH_MAX of Linux.
_LONGEST_NAME = 255
_LONGEST_RUN = 3000


def clean_tag(tag: Any, flavor: Flavor) -> str:
    """Return a tag as the flavor writes it: torch as given, tensorboardX without odd characters.

    Raises:
        InvalidTypeError: the tag is no string.
        InvalidValueError: it cannot be encoded as UTF-8.
    """
    check_text(tag, "the tag")
    if flavor == "tensorboardX":
        return _NOT_IN_TENSORBOARDX_TAGS.sub("_", tag).lstrip("/")
    return str(tag)


def to_step(step: Any) -> int:
    """Return a step as an int of 64 bits; whatever `int()` takes is taken.

    Raises:
        InvalidTypeError: it is no number.
        InvalidValueError: it is NaN, infinite or beyond 64 bits.
    """
    try:
        number = int(step)
    except (TypeError, RuntimeError) as error:
        raise InvalidTypeError(
            f"global_step was {step!r} of type {type(step).__name__}; give an int"
        ) from error
    except (ValueError, OverflowError) as error:
        raise InvalidValueError(f"global_step was {step!r}; give an int") from error
    if not -_STEP_LIMIT <= number < _STEP_LIMIT:
        raise InvalidValueError(f"global_step was {number}; give an int within 64 bits")
    return number


def to_wall_time(wall_time: Any) -> float:
    """Return seconds since the epoch as a float. A NaN would make TensorBoard drop the whole file.

    Raises:
        InvalidTypeError: it is no number.
        InvalidValueError: it is not finite.
    """
    try:
        secs = float(wall_time)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidTypeError(f"walltime was {wall_time!r}; give seconds since the epoch") from error
    if not math.isfinite(secs):
        raise InvalidValueError(f"walltime was {secs}; give finite seconds since the epoch")
    return secs


def shortened(text: object) -> str:
    """Return the text as an error message shows it."""
    shown = repr(text)
    return shown if len(shown) <= 200 else f"{shown[:200]}... ({len(shown):,} characters)"


def check_run(run: str) -> str:
    """Return the name of a run below the log directory, checked to stay there.

    Raises:
        InvalidValueError: it is empty, absolute, climbs out by "..", holds a NUL, or is too long for a path.
    """
    name = os.path.normpath(clean_tag(run, "torch")) if run else ""
    parts = name.split(os.sep)
    is_long = len(name.encode()) > _LONGEST_RUN or max(len(part.encode()) for part in parts) > _LONGEST_NAME
    if name in {"", "."} or os.path.isabs(name) or parts[0] == ".." or "\0" in name or is_long:
        raise InvalidValueError(
            f"the run name {shortened(run)} does not name a directory below the log directory; change it"
        )
    return name


def plain_hparam(name: str, value: Any) -> bool | int | float | str | None:
    """Return a hyperparameter as a plain value; arrays of one element are read.

    Raises:
        InvalidValueError: it is of another type.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    try:
        number = to_numpy(snapshot(value, name))
    except UnsupportedTypeError:
        number = None
    if number is None or number.size != 1 or number.dtype.kind not in "biufU":
        raise InvalidValueError(
            f"the hyperparameter {name!r} was {value!r} of type {type(value).__name__}; "
            "give a bool, a number, a str or None"
        )
    plain: bool | int | float | str = number.reshape(()).item()
    return plain


def default_logdir(comment: object) -> str:
    """Return `runs/<month><day>_<time>_<host><comment>`, as both originals name it."""
    now = datetime.now().strftime("%b%d_%H-%M-%S")  # noqa: DTZ005 - local time is what people look for
    return os.path.join("runs", f"{now}_{socket.gethostname()}{comment}")

"""Checks of the arguments of every `add_*` other than its value: tag, step and wall time. Caller's side."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from tblog._require import require
from tblog._values.arrays import snapshot, to_numpy
from tblog._values.checks import check_text, plain_text
from tblog.errors import InvalidTypeError, InvalidValueError, UnsupportedTypeError, shortened

if TYPE_CHECKING:
    from collections.abc import Callable

    from tblog.options import Flavor

_NOT_IN_TENSORBOARDX_TAGS = re.compile(r"[^-/\w\.]")
_STEP_LIMIT = 1 << 63
_EXACT_LIMIT = 1 << 53  # float64 represents each integer below
# Bytes: NAME_MAX of Linux, and its PATH_MAX minus room for the log directory.
_LONGEST_NAME = 255
_LONGEST_RUN = 3000


def refuse_unknown(given: Mapping[str, Any], constructor: Callable[..., Any]) -> None:
    """Raise if a writer's constructor got unknown arguments.

    Raises:
        InvalidTypeError: it did. The message names the nearest known argument.
    """
    if not given:
        return
    import difflib
    import inspect

    parameters = inspect.signature(constructor).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
    name = next(iter(given))
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
    raise InvalidTypeError(f"SummaryWriter has no argument {name!r}; {hint}")


def clean_tag(tag: Any, flavor: Flavor) -> str:
    """Return the tag of a flavor: unchanged for torch, without special characters for tensorboardX.

    Raises:
        InvalidTypeError: the tag is not a string.
        InvalidValueError: it cannot be encoded as UTF-8.
    """
    check_text(tag, "the tag")
    plain = plain_text(tag)
    return _NOT_IN_TENSORBOARDX_TAGS.sub("_", plain).lstrip("/") if flavor == "tensorboardX" else plain


def to_step(step: Any, what: str = "global_step", wanted: str = "an int") -> int:
    """Return a step as an int of 64 bits. It accepts everything that `int()` accepts.

    Args:
        step: a number.
        what: the beginning of the message.
        wanted: the end of the message.

    Raises:
        InvalidTypeError: the step is not a number.
        InvalidValueError: it is NaN, infinite or beyond 64 bits.
    """
    number = to_int(step, what, wanted)
    require(-_STEP_LIMIT <= number < _STEP_LIMIT, what, number, f"{wanted} within 64 bits")
    return number


def is_cut(step: Any, whole: int) -> bool:
    """Return whether a step lost a fraction when it became an int."""
    return hasattr(step, "__float__") and abs(whole) < _EXACT_LIMIT and bool(float(step) != whole)


def to_int(value: Any, what: str, wanted: str = "an int") -> int:
    """Return a number as an int. It accepts everything that `int()` accepts.

    Raises:
        InvalidTypeError: the value is not a number.
        InvalidValueError: it is NaN, infinite, or a string that is not a number.
    """
    try:
        return int(value)
    except (TypeError, RuntimeError, np.ma.MAError) as error:
        kind = type(value).__name__
        raise InvalidTypeError(f"{what} was {shortened(value)} of type {kind}; give {wanted}") from error
    except (ValueError, OverflowError) as error:
        raise InvalidValueError(f"{what} was {shortened(value)}; give {wanted}") from error


def to_flag(value: Any, what: str) -> bool:
    """Return a flag as a bool.

    Raises:
        InvalidTypeError: the value is neither true nor false.
    """
    try:
        return bool(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidTypeError(f"{what} was {shortened(value)}; give True or False") from error


def to_wall_time(wall_time: Any, what: str = "walltime") -> float:
    """Return seconds since the epoch as a float. A NaN would make TensorBoard drop the whole file.

    Raises:
        InvalidTypeError: the value is not a number.
        InvalidValueError: it is not finite, or not a float64.
    """
    secs = to_float(wall_time, what, "seconds since the epoch")
    require(math.isfinite(secs), what, secs, "finite seconds since the epoch")
    return secs


def time_or_now(wall_time: Any, what: str = "walltime") -> float:
    """Return seconds since the epoch as a float: what was given, or the time now if that was None.

    Raises:
        InvalidTypeError, InvalidValueError: as `to_wall_time` does.
    """
    return time.time() if wall_time is None else to_wall_time(wall_time, what)


def to_float(value: Any, what: str, wanted: str) -> float:
    """Return a number as a float. It accepts everything that `float()` accepts.

    Raises:
        InvalidTypeError: the value is not a number.
        InvalidValueError: it is an integer beyond float64.
    """
    try:
        return float(value)
    except OverflowError as error:
        raise InvalidValueError(f"{what} was {shortened(value)}; give {wanted}") from error
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidTypeError(f"{what} was {shortened(value)}; give {wanted}") from error


def frozen(value: Any) -> Any:
    """Return a deep copy of dicts and lists, with plain strings. Other values are returned unchanged.

    Raises:
        InvalidValueError: a dict or list contains itself.
    """
    try:
        return _copied(value)
    except RecursionError as error:
        raise InvalidValueError(
            f"{shortened(value)} contains itself, or is nested too deeply to copy; give plain dicts and lists"
        ) from error


def _copied(value: Any) -> Any:
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, Mapping):
        return {plain_key(key): _copied(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copied(inner) for inner in value]
    return value


def plain_key(key: Any) -> Any:
    """Return a dict's key: a string as plain text, and any other key as it is."""
    return plain_text(key) if isinstance(key, str) else key


def tag_list(tags: Any, what: str) -> list[Any]:
    """Return tags as a list of their own.

    Raises:
        InvalidTypeError: they are one string, whose letters are not tags, or they cannot be iterated.
    """
    if isinstance(tags, str) or not is_iterable(tags):
        raise InvalidTypeError(f"{what} was {shortened(tags)}; give a list of tags")
    return [frozen(tag) for tag in tags]


def is_iterable(value: Any) -> bool:
    """Return whether a value can be iterated. A 0-d array cannot."""
    try:
        iter(value)
    except TypeError:  # a 0-d array, which has `__iter__` nevertheless
        return False
    return True


def check_run(run: str | os.PathLike[str]) -> str:
    """Check that the name of a run stays below the log directory, and return it.

    Raises:
        InvalidTypeError: it is neither a string nor a path.
        InvalidValueError: it is empty, absolute, leaves by "..", contains a NUL, or is too long for a path.
    """
    given = os.fspath(run) if isinstance(run, os.PathLike) else run
    check_text(given, "the name of a run")
    name = os.path.normpath(plain_text(given)) if given else ""
    parts = name.split(os.sep)
    is_long = len(name.encode()) > _LONGEST_RUN or max(len(part.encode()) for part in parts) > _LONGEST_NAME
    if name in {"", "."} or os.path.isabs(name) or parts[0] == ".." or "\0" in name or is_long:
        raise InvalidValueError(
            f"the run name {shortened(run)} does not name a directory below the log directory; change it"
        )
    return name


def plain_hparam(name: str, value: Any) -> bool | int | float | str | None:
    """Return a hyperparameter as a plain value. An array of one element becomes its value.

    Raises:
        InvalidValueError: it has another type.
    """
    if isinstance(value, str):
        return plain_text(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    number = None
    if not isinstance(value, (list, tuple)):
        with contextlib.suppress(UnsupportedTypeError):
            number = to_numpy(snapshot(value, name))
    if number is None or number.size != 1 or number.dtype.kind not in "biufU":
        raise InvalidValueError(
            f"the hyperparameter {name!r} was {shortened(value)} of type {type(value).__name__}; "
            "give a bool, a number, a str or None"
        )
    plain: bool | int | float | str = number.reshape(()).item()
    return plain


def plain_domains(domains: Any) -> Any:
    """Return the domains of hyperparameters with plain values. Anything but a dict of lists is returned unchanged."""
    if domains is None:
        return {}
    if not isinstance(domains, Mapping):
        return domains
    return {
        plain_key(name): [plain_hparam(name, value) for value in domain]
        if isinstance(domain, (list, tuple))
        else domain
        for name, domain in domains.items()
    }


def default_logdir(comment: object) -> str:
    """Return `runs/<month><day>_<time>_<host><comment>`, the name that both originals use."""
    now = datetime.now().strftime("%b%d_%H-%M-%S")  # noqa: DTZ005 - local time is what people look for
    return os.path.join("runs", f"{now}_{platform.node()}{plain_text(comment)}")

"""The one check that every part of tblog makes of what it is given, and its message."""

from __future__ import annotations

from tblog.errors import InvalidValueError, shortened


def require(holds: bool, what: str, given: object, wanted: str) -> None:
    """Raise unless a condition holds.

    Args:
        holds: the condition.
        what: the argument, as the message names it.
        given: its value.
        wanted: what to give instead.

    Raises:
        InvalidValueError: "<what> was <given>; give <wanted>".
    """
    if not holds:
        raise InvalidValueError(f"{what} was {shortened(given)}; give {wanted}")

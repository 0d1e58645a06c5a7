"""Replaces the deferred arrays of a record by numpy arrays."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np

from tblog import records
from tblog._values.arrays import to_numpy

AnyRecord = TypeVar("AnyRecord", bound=records.Record)


def settle(record: AnyRecord) -> AnyRecord:
    """Return a record whose arrays are numpy arrays. Deferred ones are made now."""
    made: dict[str, Any] = {}
    for field in fields(record):
        if field.metadata.get(records.IS_ARRAY):
            value = getattr(record, field.name)
            if not isinstance(value, np.ndarray) and isinstance(value, records.Deferred):
                made[field.name] = to_numpy(value)
    return replace(record, **made) if made else record

"""Runs are read here: scalars into columns, every other kind decoded when it is looked at. `tblog.read` is the door."""

from tblog.reading.runs import Run, Runs, read
from tblog.reading.scalars import Scalars, Series

__all__ = ["Run", "Runs", "Scalars", "Series", "read"]

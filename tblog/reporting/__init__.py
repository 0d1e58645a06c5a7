"""Runs become one HTML file to share, which opens offline. `tblog.report` is the door."""

from tblog.reporting._report import Report, report

__all__ = ["Report", "report"]

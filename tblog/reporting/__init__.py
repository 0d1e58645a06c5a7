"""Make one HTML file of runs, to share and to open offline. Users call `tblog.report`."""

from tblog.reporting._report import Report, report

__all__ = ["Report", "report"]

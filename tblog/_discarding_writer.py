"""Replaces a `FileWriter` if `write_to_disk=False`. Runs on the caller's thread."""

from __future__ import annotations

from typing import Any

from tblog._reports import Reports


class DiscardingFileWriter:
    """Takes everything, keeps nothing."""

    def __init__(self, logdir: str) -> None:
        self._logdir = logdir
        self.reports = Reports(logdir)

    def get_logdir(self) -> str:
        """Return the directory that is not written to."""
        return self._logdir

    def add_event(self, event: Any, step: Any = None, walltime: Any = None) -> None:
        """Do nothing."""

    def add_summary(self, summary: Any, global_step: Any = None, walltime: Any = None) -> None:
        """Do nothing."""

    def add_graph(self, graph_profile: Any, walltime: Any = None) -> None:
        """Do nothing."""

    add_onnx_graph = add_openvino_graph = add_graph

    def flush(self) -> None:
        """Do nothing."""

    close = reopen = flush

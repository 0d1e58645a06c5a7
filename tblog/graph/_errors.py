"""What is raised when a graph cannot be read; the writer decides whether training goes on."""

from __future__ import annotations

from tblog.errors import TblogError


class GraphError(TblogError, RuntimeError):
    """No way of reading the model worked (torch's `add_graph` raises a RuntimeError)."""

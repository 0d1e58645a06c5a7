"""The error for a graph that cannot be read. The writer decides whether training goes on."""

from __future__ import annotations

from tblog.errors import TblogError


class GraphError(TblogError, RuntimeError):
    """The model could not be read in any way (torch's `add_graph` raises a RuntimeError).

    Example:
        >>> import torch
        >>> from tblog.graph import GraphError, read_graph
        >>> try:
        ...     read_graph(torch.nn.Linear(4, 2), torch.zeros(1, 5), source="trace")
        ... except GraphError:
        ...     print("the model cannot be read with this input")
        the model cannot be read with this input
    """

"""The first way: `torch.export` runs the model on placeholders and writes down each operation.

Nothing is computed, so that a large model costs little more than a small one, and each operation
comes with its module's path, shapes and dtypes. What depends on data cannot be exported.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from tblog.graph._call import Call, flattened
from tblog.graph._preserve import lent
from tblog.graph._program import Program

if TYPE_CHECKING:
    from tblog.graph._graph import Graph


def read_by_export(call: Call) -> Graph:
    """Return the graph of a call, read by `torch.export`."""
    outputs: list[str] = []
    inputs = call.inputs
    with lent(call.model, runs=False, watched=False), _pass_through_seen(call.model):
        flat = flattened(call, outputs).eval()
        program = torch.export.export(flat, tuple(tensor for _, tensor in inputs), strict=False)
    return Program(call.model, program).read([name for name, _ in inputs], outputs)


@contextmanager
def _pass_through_seen(model: nn.Module) -> Iterator[None]:
    """Let a module that returns its input leave an operation, which would run without a trace."""
    thread = threading.get_ident()
    # The exporter may call a stand-in for a module, which shares the module's attributes.
    modules = {id(vars(module)) for module in model.modules()}

    def leave_alias(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        mine = id(vars(module)) in modules and threading.get_ident() == thread
        if mine and isinstance(output, torch.Tensor) and any(output is arg for arg in args):
            return torch.ops.aten.alias(output)
        return None

    handle = register_module_forward_hook(leave_alias)
    try:
        yield
    finally:
        handle.remove()

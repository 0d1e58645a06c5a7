"""The second way: `torch.jit.trace` runs the model and writes down each operation.

It takes what exporting does not (some data-dependent shapes, quantized and sparse modules) and
shows the branch that this input took. What TorchScript compiled already is read as it is, unrun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tblog.graph._builder import tensor_type
from tblog.graph._call import Call, flattened
from tblog.graph._graph import TensorType
from tblog.graph._preserve import lent
from tblog.graph._script import Script
from tblog.graph._script_values import Value
from tblog.graph._wrappers import scripted

if TYPE_CHECKING:
    from tblog.graph._graph import Graph


def read_by_trace(call: Call, *, strict: bool) -> Graph:
    """Return the graph of a call, read by `torch.jit.trace`."""
    if (compiled := scripted(call.model)) is not None:
        with lent(call.model, runs=False, watched=False):
            return _read_scripted(call.model, compiled, call.inputs)
    names: list[str] = []
    inputs = call.inputs
    tensors = tuple(tensor.detach().clone() for _, tensor in inputs)
    with lent(call.model, runs=True, watched=False):
        flat = flattened(call, names).eval()
        traced: Any = torch.jit.trace(flat, tensors, strict=strict, check_trace=False)  # type: ignore[no-untyped-call]
    reader = Script(call.model)
    types = [(name, tensor_type(tensor)) for name, tensor in inputs]
    return reader.finish(reader.read(traced.graph, Value(module=traced), types), names)


def _read_scripted(model: nn.Module, compiled: Any, inputs: list[tuple[str, torch.Tensor]]) -> Graph:
    """Return the graph of what TorchScript compiled, which needs no input."""
    is_module = isinstance(compiled, torch.jit.ScriptModule)
    arguments = compiled.forward.schema.arguments[1:] if is_module else compiled.schema.arguments
    types = {name: tensor_type(tensor) for name, tensor in inputs}
    named = [(argument.name, types.get(argument.name, TensorType())) for argument in arguments]
    reader = Script(model)
    owner = Value(module=compiled) if is_module else Value()
    return reader.finish(reader.read(compiled.graph, owner, named), [])

"""The second way: `torch.jit.trace` runs the model and records each operation.

It accepts some models that cannot be exported (data-dependent shapes, quantized and sparse modules), and
shows the branch that this input took. Compiled TorchScript is read without a run.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.jit._trace import TracerWarning

from tblog.graph._builder import tensor_type
from tblog.graph._call import Call, flattened, script_arguments
from tblog.graph._errors import GraphError
from tblog.graph._node import TensorType
from tblog.graph._preserve import lent
from tblog.graph._script import Script
from tblog.graph._script_values import Value
from tblog.graph._sharded import refuse_lone_run, refuse_placeholders

if TYPE_CHECKING:
    from tblog.graph._graph import Graph


# The tracer's warning if Python uses a value. The graph would then be true only for this input.
_LOOKED = "Converting a tensor to a Python"


def read_by_trace(call: Call, *, strict: bool, faithful: bool) -> Graph:
    """Return the graph of a call, read by `torch.jit.trace`.

    Raises:
        GraphError: the model's operations depend on the values of the input, and `faithful` forbids that.
    """
    if (compiled := call.scripted) is not None:
        with lent(call.model, runs=False, watched=False):
            return _read_scripted(call.model, compiled, call.inputs)
    refuse_placeholders(call.model)
    if faithful:
        refuse_lone_run(call.model)
    names: list[str] = []
    inputs = call.inputs
    tensors = tuple(call.fresh_tensors())
    with lent(call.model, runs=True, watched=False):
        flat = flattened(call, names)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", TracerWarning)
            TracerWarning.ignore_lib_warnings()
            traced: Any = torch.jit.trace(flat, tensors, strict=strict, check_trace=False)
        looks = [warning for warning in said if str(warning.message).startswith(_LOOKED)]
        if faithful and looks:
            place = f"{Path(looks[0].filename).name}:{looks[0].lineno}"
            raise GraphError(f"the model's operations depend on the values of its input, at {place}")
        reader = Script(call.model)
        types = [(name, tensor_type(tensor)) for name, tensor in inputs]
        return reader.finish(reader.read(traced.graph, Value(module=traced), types), names)


def _read_scripted(model: nn.Module, compiled: Any, inputs: list[tuple[str, torch.Tensor]]) -> Graph:
    """Return the graph of compiled TorchScript, which needs no input."""
    types = {name: tensor_type(tensor) for name, tensor in inputs}
    named = [(one.name, types.get(one.name, TensorType())) for one in script_arguments(model)]
    reader = Script(model)
    owner = Value(module=compiled) if compiled is model else Value()
    return reader.finish(reader.read(compiled.graph, owner, named), [])

"""Turns the operations of a TorchScript graph into nodes.

Lives here: the meaning of the nodes of such a graph. It follows methods call by call, so
that each call of a module has its own scope. Must not: run anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from tblog.graph._builder import Builder, readable, tensor_type
from tblog.graph._node import TensorType
from tblog.graph._script_values import UNKNOWN, Value, argument_names, makes_tensor, script_type

if TYPE_CHECKING:
    from torch import nn

    from tblog.graph._graph import Graph
    from tblog.graph._node import Attribute
    from tblog.graph._scopes import Scope

_PREFIX = "model"  # the attribute of the flat module that holds the model

# They make no value of interest.
_UNSEEN = {"prim::SetAttr", "prim::Print", "prim::RaiseException"}

# They pass on their input in another form.
_PASSED_ON = {
    "aten::detach",
    "aten::alias",
    "aten::lift_fresh",
    "prim::unchecked_cast",
    "prim::NumToTensor",
    "aten::unchecked_unwrap_optional",
}

_TESTS: Mapping[str, Callable[..., bool]] = {
    "aten::__is__": lambda one, other: one is other,
    "aten::__isnot__": lambda one, other: one is not other,
    "aten::__not__": lambda one: not one,
}


class Script:
    """Reads one TorchScript graph."""

    def __init__(self, model: nn.Module) -> None:
        self._builder = Builder(model, "trace")

    def read(self, graph: Any, owner: Value, inputs: Sequence[tuple[str, TensorType]]) -> list[Value]:
        """Draw a graph whose arguments are `owner`, if it is a module, and the inputs. Return its results."""
        values = [owner] if owner.module is not None else []
        for name, type_ in inputs:
            node = self._builder.input(name, type_)
            values.append(Value([node.name], type_))
        return self._call(graph, values, [self._builder.scopes.root])

    def finish(self, results: Iterable[Value], names: Sequence[str]) -> Graph:
        """Add the outputs. An output without a known name is named after its place."""
        flat = [value for result in results for value in result.flat() if value.edges]
        for index, value in enumerate(flat):
            fallback = "output" if len(flat) == 1 else str(index)
            name = names[index] if len(names) == len(flat) else fallback
            self._builder.output(name, value.edges[:1], value.type)
        return self._builder.finish()

    def _call(self, graph: Any, arguments: Sequence[Value], stack: list[Scope]) -> list[Value]:
        values: dict[str, Value] = {}
        for slot, value in zip(graph.inputs(), arguments, strict=False):
            values[slot.debugName()] = value
        return _Frame(self._builder, self._call, values, stack).walk(graph)


class _Frame:
    """The walk through one call of a method, or through one of its blocks."""

    def __init__(
        self,
        builder: Builder,
        call: Callable[[Any, Sequence[Value], list[Scope]], list[Value]],
        values: dict[str, Value],
        stack: list[Scope],
    ) -> None:
        self._builder = builder
        self._call = call
        self._values = values
        self._stack = stack

    def walk(self, block: Any) -> list[Value]:
        """Draw the operations of a graph or a block, and return its results."""
        for node in block.nodes():
            results = self._results(node, node.kind(), [self._get(one) for one in node.inputs()])
            for slot, value in zip(node.outputs(), results, strict=False):
                if value.type.shape is None:
                    value.type = script_type(slot)
                self._values[slot.debugName()] = value
        return [self._get(one) for one in block.outputs()]

    def _get(self, slot: Any) -> Value:
        return self._values.get(slot.debugName(), Value())

    def _results(self, node: Any, kind: str, inputs: list[Value]) -> list[Value]:
        special = {
            "prim::GetAttr": self._attribute,
            "prim::CallMethod": self._method,
            "prim::If": self._branch,
            "prim::Loop": self._loop,
            "prim::Constant": self._constant,
            "prim::ListConstruct": lambda _, items: [Value(items=items)],
            "prim::TupleConstruct": lambda _, items: [Value(items=items)],
            "prim::DictConstruct": lambda _, items: [
                Value(items=items[1::2], keys=[key.known for key in items[::2]])
            ],
            "prim::ListUnpack": self._unpacked,
            "prim::TupleUnpack": self._unpacked,
        }.get(kind)
        if special is not None:
            return special(node, inputs)
        if kind in {"aten::__getitem__", "prim::TupleIndex"} and (item := inputs[0].item(inputs[1].known)):
            return [item]
        if kind in _TESTS and all(one.known is not UNKNOWN or one.edges for one in inputs):
            return [Value(known=_TESTS[kind](*[one if one.edges else one.known for one in inputs]))]
        return self._plain(node, kind, inputs)

    def _constant(self, node: Any, _: list[Value]) -> list[Value]:
        if node.output().type().kind() == "FunctionType":
            return [Value(known=node.s("name"))]
        held = node.output().toIValue()
        if isinstance(held, torch.Tensor):
            return [Value(type=tensor_type(held), is_constant=True)]
        return [Value(known=held)]

    def _plain(self, node: Any, kind: str, inputs: list[Value]) -> list[Value]:
        flat = [value for one in inputs for value in one.flat()]
        of_sizes = kind == "aten::size" or (
            any(one.of_sizes for one in flat)
            and not any(one.edges or one.state for one in flat)
            and not any(script_type(slot).shape for slot in node.outputs())  # a range of positions has one
        )
        if kind in _UNSEEN or of_sizes:
            return [Value(of_sizes=True) for _ in node.outputs()]
        if kind in _PASSED_ON:
            return inputs[:1]
        if node.outputsSize() and not any(makes_tensor(slot) for slot in node.outputs()):
            edges = [edge for one in flat for edge in one.edges]
            return [Value(edges[:1]) for _ in node.outputs()]  # a number that was read from a tensor
        return self._operation(node, kind, inputs)

    def _operation(self, node: Any, kind: str, inputs: list[Value]) -> list[Value]:
        options: dict[str, Attribute] = {}
        for name, value in zip(argument_names(node), inputs, strict=False):
            if value.is_constant:
                options[name] = f"{value.type} constant"
            elif (known := value.python()) is not UNKNOWN and known is not None:
                options[name] = readable(known)
        flat = [value for one in inputs for value in one.flat()]
        made = self._builder.operation(
            self._stack[-1],
            _operator(node, kind, inputs),
            inputs=[edge for one in flat for edge in one.edges],
            outputs=[script_type(slot) for slot in node.outputs()],
            attributes=options,
            parameters=[one.state for one in flat if one.state],
        )
        return [
            Value([f"{made.name}:{index}" if index else made.name], made.outputs[index], node=made)
            for index in range(node.outputsSize())
        ]

    def _unpacked(self, node: Any, inputs: list[Value]) -> list[Value]:
        """Return the items. If an operation made the list, the items become its outputs."""
        value = inputs[0]
        if value.items is not None:
            return value.items
        types = [script_type(slot) for slot in node.outputs()]
        if value.node is None:
            return [Value(value.edges, type_) for type_ in types]
        value.node.outputs = types
        name = value.node.name
        return [Value([f"{name}:{index}" if index else name], type_) for index, type_ in enumerate(types)]

    def _attribute(self, node: Any, inputs: list[Value]) -> list[Value]:
        owner, name = inputs[0], node.s("name")
        held = getattr(owner.module, name, UNKNOWN)
        path = name if not owner.path else f"{owner.path}.{name}"
        if isinstance(held, torch.nn.Module):
            return [Value(module=held, path=path)]
        if isinstance(held, torch.Tensor):
            return [Value(state=path.removeprefix(f"{_PREFIX}."), type=tensor_type(held))]
        return [Value(known=held)]

    def _method(self, node: Any, inputs: list[Value]) -> list[Value]:
        """Draw the operations of a method at its call, in a scope of that call."""
        owner = inputs[0]
        graph = owner.module._c._get_method(node.s("name")).graph  # noqa: SLF001 - the only way to a method's graph
        path = owner.path.removeprefix(_PREFIX).removeprefix(".")
        own = path == self._stack[-1].path  # a call between methods of the same module
        stack = self._stack if own else [*self._stack, self._builder.scopes.enter(self._stack, path)]
        results = self._call(graph, inputs, stack)
        return results if len(results) == node.outputsSize() else [Value(items=results)]

    def _branch(self, node: Any, inputs: list[Value]) -> list[Value]:
        """Draw both branches, or only the branch taken if that is known."""
        blocks = list(node.blocks())
        if inputs[0].known is not UNKNOWN:
            return self.walk(blocks[0 if inputs[0].known else 1])
        results = [self.walk(block) for block in blocks]
        return self._joined(node, [inputs[0], *[one for branch in results for one in branch]])

    def _loop(self, node: Any, inputs: list[Value]) -> list[Value]:
        """Draw the body once, with the inputs of the loop."""
        block = next(iter(node.blocks()))
        for slot, value in zip(list(block.inputs())[1:], inputs[2:], strict=True):
            self._values[slot.debugName()] = value
        return self._joined(node, [*inputs, *self.walk(block)])

    def _joined(self, node: Any, inputs: list[Value]) -> list[Value]:
        return self._operation(node, node.kind(), inputs) if node.outputsSize() else []


def _operator(node: Any, kind: str, inputs: list[Value]) -> str:
    if kind == "prim::PythonOp":
        return f"python::{node.pyname()}"
    return f"function::{inputs[0].known}" if kind == "prim::CallFunction" else kind

"""Turns the operations of an exported program into nodes.

Lives here: the meaning of the nodes of a `torch.fx` graph: which are operations, which
only pass on a value, and to which module call each belongs. Must not: run anything.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import fx

from tblog.graph._builder import Builder, readable, tensor_type
from tblog.graph._node import TensorType
from tblog.graph._scopes import Scope, class_name
from tblog.graph._writes import Writes

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

    from tblog.graph._graph import Graph
    from tblog.graph._node import Attribute

_PREFIX = "model"  # the attribute of the flat module that holds the model

# Guards that the exporter adds to a program, and mode switches. They are not part of the model.
_UNSEEN = (
    "_assert",
    "sym_constrain",
    "sym_size",
    "sym_numel",
    "_set_grad_enabled",
    "_enter_autocast",
    "_exit_autocast",
)

# Copies of a constant that a tracer makes before the program uses it.
_CONSTANT_COPIES = {"aten::lift_fresh_copy", "aten::detach", "aten::detach_", "aten::lift_fresh"}


@dataclass
class _Value:
    """The meaning of a node of the program: edges to draw, state of the model, or a constant.

    Among several results, one without an edge has an empty edge, to keep the positions of the others.
    """

    edges: list[str] = field(default_factory=list)
    types: list[TensorType] = field(default_factory=list)
    state: str | None = None
    constant: TensorType | None = None


class Program:
    """Reads one exported program."""

    def __init__(self, model: nn.Module, program: ExportedProgram) -> None:
        self._builder = Builder(model, "export")
        self._program = program
        self._values: dict[fx.Node, _Value] = {}
        self._scopes: dict[str, Scope] = {}
        self._busy: set[Scope] = set()
        self._writes = Writes()
        self._body = ""  # the position of the walk in higher-order operators

    def read(self, inputs: Sequence[str], outputs: Sequence[str]) -> Graph:
        """Return the graph. `inputs` and `outputs` are the names of its input and output tensors."""
        signature = self._program.graph_signature
        state = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        names = dict(zip(signature.user_inputs, inputs, strict=True))
        for node in self._program.graph.find_nodes(op="placeholder"):
            if node.name in names:
                made = self._builder.input(names[node.name], _type(node))
                self._values[node] = _Value([made.name], made.outputs)
            elif node.name in state:
                self._values[node] = _Value(state=state[node.name].removeprefix(f"{_PREFIX}."))
            else:
                self._values[node] = _Value(constant=_type(node))
        results = self._walk(self._program.graph_module)
        kinds = [spec.kind for spec in signature.output_specs]
        returned = [value for value, kind in zip(results, kinds, strict=True) if kind.name == "USER_OUTPUT"]
        for name, value in zip(outputs, returned, strict=False):
            type_ = value.types[0] if value.types else TensorType()
            self._builder.output(name, filter(None, value.edges[:1]), type_)
        return self._builder.finish()

    def _walk(self, module: fx.GraphModule) -> list[_Value]:
        """Draw the operations of a graph whose placeholders have values, and return its results."""
        for node in module.graph.nodes:
            if node.op == "get_attr":
                held = getattr(module, node.target, None)
                self._values[node] = _Value(
                    constant=tensor_type(held) if isinstance(held, torch.Tensor) else None
                )
            elif node.op == "call_function":
                self._values[node] = self._value(module, node)
            elif node.op == "output":
                flat = node.args[0] if isinstance(node.args[0], (tuple, list)) else [node.args[0]]
                return [self._values[arg] if isinstance(arg, fx.Node) else _Value() for arg in flat]
        return []

    def _value(self, module: fx.GraphModule, node: fx.Node) -> _Value:
        target = node.target
        if target is operator.getitem and isinstance(node.args[1], int):
            return _item(self._values[node.args[0]], node.args[1])  # type: ignore[index]
        if isinstance(target, torch._ops.HigherOrderOperator):  # noqa: SLF001 - the type has no public name
            return self._higher_order(module, node, str(target))
        if isinstance(target, torch._ops.OpOverload):  # noqa: SLF001 - nor has this
            return self._overload(node, target._schema.name)  # noqa: SLF001 - nor has the schema
        if isinstance(node.meta.get("val"), torch.Tensor):
            return self._operation(node, f"python::{getattr(target, '__name__', target)}", self._stack(node))
        return _Value(self._edges(node))  # arithmetic on sizes: a reader depends on its sources

    def _overload(self, node: fx.Node, name: str) -> _Value:
        if name.rpartition("::")[2].startswith(_UNSEEN):
            return _Value()
        first = self._values.get(node.args[0]) if node.args and isinstance(node.args[0], fx.Node) else None
        if first is not None and first.constant is not None and name in _CONSTANT_COPIES:
            return first
        scopes = self._stack(node)
        if name == "aten::alias" and first is not None:
            if scopes[-1] in self._busy:
                return first
            name = class_name(self._builder.scopes.module(scopes[-1].path))  # Identity
        return self._operation(node, name, scopes)

    def _operation(
        self, node: fx.Node, name: str, scopes: list[Scope], results: Iterable[_Value] = ()
    ) -> _Value:
        """Draw an operation. `results` are those of the bodies that it runs."""
        attributes, arguments = _arguments(node)
        state = []
        for key, arg in arguments:
            value = self._values[arg]
            if value.state is not None:
                state.append(value.state)
            elif value.constant is not None:
                attributes[key] = f"{value.constant} constant"
        edges = [*self._edges(node), *(edge for value in results for edge in value.edges)]
        made = self._builder.operation(
            scopes[-1],
            name,
            inputs=[*edges, *self._writes.before(node, edges)],
            outputs=_types(node),
            attributes=attributes,
            parameters=state,
        )
        self._busy.update(scopes)
        self._writes.note(node, made.name)
        several = [f"{made.name}:{index}" for index in range(1, len(made.outputs))]
        return _Value([made.name, *several], made.outputs)

    def _higher_order(self, module: fx.GraphModule, node: fx.Node, name: str) -> _Value:
        """Draw the bodies that a higher-order operator runs, and the operator unless it is only a wrapper."""
        operands: list[fx.Node] = []
        bodies: dict[str, fx.GraphModule] = {}
        for _, arg in _arguments(node)[1]:
            held = getattr(module, str(arg.target), None) if arg.op == "get_attr" else None
            if isinstance(held, fx.GraphModule):
                bodies[str(arg.target)] = held
            else:
                operands.append(arg)
        scopes, outside = self._stack(node), self._body
        wraps = name.startswith("wrap") and len(bodies) == 1
        results = []
        for title, body in bodies.items():
            placeholders = body.graph.find_nodes(op="placeholder")
            for placeholder, operand in zip(placeholders, operands[-len(placeholders) :], strict=False):
                self._values[placeholder] = self._values[operand]
            self._body = outside if wraps else f"{outside}/{name}/{title}"
            results.extend(self._walk(body))
        self._body = outside
        if wraps:
            edges = [one.edges[0] if one.edges else "" for one in results]
            return _Value(edges, [one.types[0] if one.types else TensorType() for one in results])
        return self._operation(node, name, scopes, results)

    def _edges(self, node: fx.Node) -> list[str]:
        return [edge for arg in node.all_input_nodes for edge in self._values[arg].edges if edge]

    def _stack(self, node: fx.Node) -> list[Scope]:
        """Return the scopes of the active module calls, the innermost last."""
        stack = [self._builder.scopes.root]
        for key, (path, _) in (node.meta.get("nn_module_stack") or {}).items():
            if path.startswith(f"{_PREFIX}."):
                if key not in self._scopes:
                    self._scopes[key] = self._builder.scopes.enter(stack, path.removeprefix(f"{_PREFIX}."))
                stack.append(self._scopes[key])
        if self._body:
            name = stack[-1].name + self._body
            stack.append(self._scopes.setdefault(name, Scope(stack[-1].path, name)))
        return stack


def _item(value: _Value, index: int) -> _Value:
    """Return one of several outputs."""
    return _Value(value.edges[index : index + 1] or value.edges[:1], value.types[index : index + 1])


def _type(node: fx.Node) -> TensorType:
    return next(iter(_types(node)), TensorType())


def _types(node: fx.Node) -> list[TensorType]:
    """Return the result types of an operation: tensors, or a number that it read from one."""
    value = node.meta.get("val")
    if isinstance(value, (tuple, list)):
        return [tensor_type(one) if isinstance(one, torch.Tensor) else TensorType() for one in value]
    if isinstance(value, torch.Tensor):
        return [tensor_type(value)]
    return [] if value is None else [TensorType(type(value).__name__.removeprefix("Sym").lower(), ())]


def _arguments(node: fx.Node) -> tuple[dict[str, Attribute], list[tuple[str, fx.Node]]]:
    """Split the arguments of an operation into options and nodes, each with the name of its argument."""
    schema = getattr(node.target, "_schema", None)
    names = [f"argument_{index}" for index in range(len(node.args))]
    if schema is not None:
        names = [argument.name for argument in schema.arguments]
    options: dict[str, Attribute] = {}
    nodes: list[tuple[str, fx.Node]] = []
    for name, value in [*zip(names, node.args, strict=False), *node.kwargs.items()]:
        found: list[fx.Node] = []
        fx.map_arg(value, found.append)
        nodes.extend((name, one) for one in found)
        if not found and value is not None:
            options[name] = readable(value)
    return options, nodes

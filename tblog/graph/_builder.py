"""Builds a graph. Every reader adds its operations here, so that all graphs look alike.

Lives here: names, scopes, edges, and the description of a node's module and of the parameters that it
reads. Must not: know where the operations come from. Runs on the caller's thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tblog.graph._graph import Graph
from tblog.graph._masks import gather_masks
from tblog.graph._node import Attribute, Node, TensorType
from tblog.graph._scopes import Scope, Scopes, class_name, is_compiled, safe_name

if TYPE_CHECKING:
    import torch
    from torch import nn


def tensor_type(value: torch.Tensor) -> TensorType:
    """Return the dtype, shape and device of a tensor, real or fake. A symbolic size is -1."""
    shape = None
    with suppress(RuntimeError):  # a nested tensor has no shape
        shape = tuple(size if isinstance(size, int) else -1 for size in value.shape)
    return TensorType(str(value.dtype).removeprefix("torch."), shape, str(value.device))


def readable(value: Any) -> Attribute:
    """Return an option of an operation in a form for the viewer."""
    if isinstance(value, (bool, int, float)):
        return value
    name = getattr(value, "__qualname__", None)  # a function: its repr would contain its address
    return str(value if name is None else name).replace("torch.", "")


class Builder:
    """Collects the nodes of one graph of `model`."""

    def __init__(self, model: nn.Module, source: str) -> None:
        self.scopes = Scopes(model)
        self._nodes: list[Node] = []
        self._source = source
        self._model = model
        self._buffers = dict(model.named_buffers(remove_duplicate=False))
        self._parameters = dict(model.named_parameters(remove_duplicate=False))
        self._paths: dict[int, list[str]] = {}
        for path, tensor in [*self._parameters.items(), *self._buffers.items()]:
            self._paths.setdefault(id(tensor), []).append(path)
        self._counted: set[int] = set()
        self._weighed: set[str] = set()
        self._said: set[Scope] = set()

    def input(self, name: str, output: TensorType) -> Node:
        """Add an input of the model, named after the argument of its forward."""
        return self._boundary("input", name, [], [output])

    def output(self, name: str, edges: Iterable[str], output: TensorType) -> Node:
        """Add an output of the model. `name` is its place in the result of forward."""
        return self._boundary("output", name, list(edges), [output])

    def operation(
        self,
        scope: Scope,
        op: str,
        *,
        inputs: Iterable[str] = (),
        outputs: Sequence[TensorType] = (),
        attributes: Mapping[str, Attribute] | None = None,
        parameters: Iterable[str] = (),
    ) -> Node:
        """Add an operation, named after the last word of `op`.

        `parameters` are the dotted paths of the parameters and buffers that it reads.
        """
        short = safe_name(op.rpartition("::")[2].rpartition(".")[2])
        node = Node(
            name=self.scopes.unique(f"{scope.name}/{short}"),
            op=op,
            inputs=list(inputs),
            outputs=list(outputs),
            attributes=self._of_module(scope),
        )
        node.attributes.update(attributes or {})
        self._read_state(node, scope, parameters)
        self._nodes.append(node)
        return node

    def finish(self) -> Graph:
        """Return the graph."""
        gather_masks(self._nodes, self._weighed, self.scopes.unique)
        return Graph(nodes=self._nodes, source=self._source, scopes=self._about())

    def _about(self) -> dict[str, dict[str, Attribute]]:
        """Describe the modules whose scopes contain others. Other modules are described in their first operation."""
        scopes = [node.name.rpartition("/")[0] for node in self._nodes]
        holders = dict.fromkeys(outer for scope in scopes for outer in _above(scope))
        modules = {
            scope: self.scopes.module(self.scopes.paths[scope])
            for scope in holders
            if scope in self.scopes.paths
        }
        return {
            scope: self._described(self.scopes.paths[scope], module)
            for scope, module in modules.items()
            if module is not None
        }

    def _described(self, path: str, module: nn.Module) -> dict[str, Attribute]:
        attributes: dict[str, Attribute] = {"path": path} if path else {}
        attributes["module"] = _in_words(module)
        attributes["parameters"] = sum(one.numel() for one in module.parameters())
        rest = {
            "frozen_parameters": sum(one.numel() for one in module.parameters() if not one.requires_grad),
            "buffers": sum(one.numel() for one in module.buffers()),
        }
        return {**attributes, **{name: count for name, count in rest.items() if count}}

    def _boundary(self, kind: str, name: str, inputs: list[str], outputs: list[TensorType]) -> Node:
        total = sum(tensor.numel() for tensor in _distinct(self._parameters.values()))
        node = Node(
            name=self.scopes.unique(f"{kind}/{safe_name(name)}"),
            op=kind,
            inputs=inputs,
            outputs=outputs,
            attributes={
                "source": self._source,
                "model": class_name(self._model),
                "model_parameters": total,
            },
        )
        self._nodes.append(node)
        return node

    def _of_module(self, scope: Scope) -> dict[str, Attribute]:
        """Return the path of an operation's module, and once per call the module's own description."""
        attributes: dict[str, Attribute] = {"path": scope.path} if scope.path else {}
        module = self.scopes.module(scope.path)
        if module is not None and scope not in self._said:
            self._said.add(scope)
            attributes["module"] = _in_words(module)
        return attributes

    def _read_state(self, node: Node, scope: Scope, paths: Iterable[str]) -> None:
        count = 0
        for path in dict.fromkeys(paths):
            parameter = self._parameters.get(path)
            tensor = self._buffers.get(path) if parameter is None else parameter
            if tensor is None:
                continue
            note = " buffer" if parameter is None else ""
            if parameter is not None:
                self._weighed.add(node.name)
                if id(parameter) in self._counted:
                    note = " shared"
                else:
                    self._counted.add(id(parameter))
                    count += parameter.numel()
            node.attributes[self._local_name(tensor, scope)] = f"{tensor_type(tensor)}{note}"
        if count:
            node.attributes["parameters"] = count

    def _local_name(self, tensor: torch.Tensor, scope: Scope) -> str:
        """Return the name of a tensor in a scope's module, which may share it with others."""
        paths = self._paths[id(tensor)]
        prefix = f"{scope.path}." if scope.path else ""
        return next((path[len(prefix) :] for path in paths if path.startswith(prefix)), paths[0])


def _distinct(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    return list({id(tensor): tensor for tensor in tensors}.values())


def _above(scope: str) -> Iterator[str]:
    """Yield the scopes that contain a scope."""
    while scope := scope.rpartition("/")[0]:
        yield scope


def _in_words(module: Any) -> str:
    """Return a module's class and its own description."""
    words = ""
    if not is_compiled(module):
        with suppress(Exception):  # a failing description must not cost the graph
            words = " ".join(str(module.extra_repr()).split())
    return f"{class_name(module)}({words})"

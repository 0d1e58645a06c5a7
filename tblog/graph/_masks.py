"""Moves operations that depend only on masks and positions into a scope, beside the layers that read them.

A transformer begins with a dozen operations like `arange`, `unsqueeze` and `__and__`, which say nothing about
the model. Lives here: finding these nodes by their inputs and outputs. Runs on the caller's thread.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tblog.graph._node import Node

_FEWEST = 4

# They use only the shape, dtype and device of their input.
_MAKERS = {
    *(f"{kind}_like" for kind in ("empty", "full", "ones", "zeros")),
    *(f"new_{kind}" for kind in ("empty", "full", "ones", "zeros")),
}


def gather_masks(nodes: Sequence[Node], weighed: Collection[str], unique: Callable[[str], str]) -> None:
    """Rename the nodes that make masks or positions, so that each group of them has a scope of its own.

    Args:
        nodes: the nodes in execution order.
        weighed: the names of the nodes that read parameters.
        unique: a function that returns a similar name that is not in use.
    """
    new: dict[str, str] = {}
    for kind, names in _Bunches(nodes, weighed).found():
        scope = unique(f"{_scope(names[0])}/{kind}")
        new.update({name: f"{scope}/{name.rpartition('/')[2]}" for name in names})
    if not new:
        return
    for node in nodes:
        node.name = new.get(node.name, node.name)
        for index, edge in enumerate(node.inputs):
            if (source := _source(edge)) in new:
                node.inputs[index] = edge.replace(source, new[source], 1)


class _Bunches:
    """Finds connected nodes of one scope that depend neither on parameters nor on data."""

    def __init__(self, nodes: Sequence[Node], weighed: Collection[str]) -> None:
        self._nodes = nodes
        self._weighed = weighed
        self._at = {node.name: index for index, node in enumerate(nodes)}
        self._readers: dict[str, list[Node]] = defaultdict(list)
        self._children: dict[str, set[str]] = defaultdict(set)
        for node in nodes:
            for edge in node.inputs:
                self._readers[_source(edge)].append(node)
            name = node.name
            while name and name not in self._children[_scope(name)]:
                self._children[_scope(name)].add(name)
                name = _scope(name)

    def found(self) -> Iterator[tuple[str, list[str]]]:
        """Yield "mask" or "indices", and the names of the nodes that make it, in execution order."""
        apart: set[str] = set()
        candidates: dict[str, list[str]] = defaultdict(list)
        for node in self._nodes:
            if self._is_apart(node, apart):
                apart.add(node.name)
                if node.op != "input":
                    candidates[_scope(node.name)].append(node.name)
        for scope, names in candidates.items():
            if len(names) >= _FEWEST:
                yield from self._in_scope(scope, self._connected(names))

    def _in_scope(self, scope: str, bunches: list[set[str]]) -> Iterator[tuple[str, list[str]]]:
        """Yield the groups of a scope that deserve a scope of their own."""
        unread = set().union(*[bunch for bunch in bunches if not self._read(bunch)])
        for bunch in bunches:
            kind = self._kind(bunch)
            if kind and len(bunch) >= _FEWEST:
                together, unread = bunch | unread, set()
                if together != self._children[scope]:
                    yield kind, sorted(together, key=self._at.__getitem__)

    def _is_apart(self, node: Node, apart: set[str]) -> bool:
        """Return whether a node has only masks and whole numbers as inputs, or none."""
        if node.op == "input":
            return "mask" in node.name or all(_is_whole(type_.dtype) for type_ in node.outputs)
        if node.op == "output" or node.name in self._weighed:
            return False
        makes = node.op.rpartition("::")[2] in _MAKERS
        return makes or all(_source(edge) in apart for edge in node.inputs)

    def _connected(self, names: list[str]) -> list[set[str]]:
        """Return the connected parts of `names`, without nodes that would put a scope into a loop."""
        candidates = set(names)
        behind: set[str] = set()
        part: dict[str, set[str]] = {}
        for node in self._nodes[self._at[names[0]] : self._at[names[-1]] + 1]:
            sources = [_source(edge) for edge in node.inputs]
            if node.name in candidates and not behind.intersection(sources):
                before = {id(part[source]): part[source] for source in sources if source in part}
                *rest, joined = sorted([set(), *before.values()], key=len)
                for other in ({node.name}, *rest):
                    joined |= other
                    part.update(dict.fromkeys(other, joined))
            elif any(source in part or source in behind for source in sources):
                behind.add(node.name)
        return list({id(one): one for one in part.values()}.values())

    def _read(self, bunch: set[str]) -> list[Node]:
        """Return the nodes of a group that other nodes read."""
        return [
            self._nodes[self._at[name]]
            for name in bunch
            if any(reader.name not in bunch for reader in self._readers[name])
        ]

    def _kind(self, bunch: set[str]) -> str:
        """Return what a group of nodes makes, or "" if that is unknown."""
        dtypes = {type_.dtype for node in self._read(bunch) for type_ in node.outputs}
        if not dtypes:
            return ""
        if all(_is_whole(dtype) and dtype != "bool" for dtype in dtypes):
            return "indices"
        inside = [self._nodes[self._at[name]] for name in bunch]
        sources = (_source(edge) for node in inside for edge in node.inputs)
        masks = any(source.startswith("input/") and "mask" in source for source in sources)
        return (
            "mask" if masks or any(type_.dtype == "bool" for node in inside for type_ in node.outputs) else ""
        )


def _is_whole(dtype: str) -> bool:
    return dtype == "bool" or dtype.startswith(("int", "uint"))


def _source(edge: str) -> str:
    return edge.removeprefix("^").partition(":")[0]


def _scope(name: str) -> str:
    return name.rpartition("/")[0]

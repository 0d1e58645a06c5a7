"""The last in-place write into memory that others read later.

`x[:, 0] = 1` returns nothing, but later readers of `x` depend on it. Such a
reader gets a control edge ("^writer"), which the viewer draws dotted.
"""

from __future__ import annotations

import torch
from torch import fx


class Writes:
    """The in-place writes of one program, in execution order."""

    def __init__(self) -> None:
        self._order: dict[fx.Node, int] = {}
        self._memory: dict[fx.Node, fx.Node] = {}
        self._last: dict[fx.Node, tuple[int, str]] = {}

    def before(self, node: fx.Node, edges: list[str]) -> list[str]:
        """Return the control edges of an operation that already has `edges`."""
        found = []
        for arg in node.all_input_nodes:
            at, writer = self._last.get(self._memory.get(arg, arg), (-1, ""))
            if at > self._order.get(arg, -1) and writer not in edges:
                found.append(f"^{writer}")
        return list(dict.fromkeys(found))

    def note(self, node: fx.Node, name: str) -> None:
        """Record which memory an operation, drawn as the node `name`, wrote to, and what it is a view of."""
        self._order[node] = len(self._order)
        target = node.target
        if not isinstance(target, torch._ops.OpOverload):  # noqa: SLF001 - the type has no public name
            return
        schema = target._schema  # noqa: SLF001 - nor has the schema
        for argument, value in zip(schema.arguments, node.args, strict=False):
            if argument.alias_info is None or not isinstance(value, fx.Node):
                continue
            memory = self._memory.get(value, value)
            self._memory[node] = memory
            if argument.alias_info.is_write:
                self._last[memory] = (self._order[node], name)

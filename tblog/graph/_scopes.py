"""The names of scopes: the module hierarchy in the words that people know from torch's graphs.

`ResNet/Sequential[layer1]/BasicBlock[0]/Conv2d[conv1]` is the scope of the module `layer1.0.conv1`.
Lives here: which scope a call of a module gets, and that no two calls or nodes share a name.
Must not: run the model or change it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

_RESERVED = re.compile(r"[/:^'\"\s]")


def safe_name(text: str) -> str:
    """Replace what means something else in the name of a node ("/" divides scopes, ":" outputs)."""
    return _RESERVED.sub("_", text) or "_"


def class_name(module: object) -> str:
    """Return the name of a module's class, as it was before TorchScript compiled it."""
    name = type(module).__name__
    return safe_name(str(getattr(module, "original_name", name)) if is_compiled(module) else name)


def is_compiled(module: object) -> bool:
    """Say whether TorchScript made a module, by its class: asking so needs no torch."""
    return type(module).__name__ in {"RecursiveScriptModule", "TopLevelTracedModule", "TracedModule"}


class Names:
    """The names in use in one graph."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def unique(self, name: str) -> str:
        """Return a name that no other scope or node has: `name`, or `name_1`, `name_2`, ..."""
        count = self._taken[name]
        self._taken[name] += 1
        return self.unique(f"{name}_{count}") if count else name


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """One call of one module: its dotted `path` in the model ("" is the model), and its name."""

    path: str
    name: str


class Scopes(Names):
    """The scopes of the graph of a model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = model
        self._labels: dict[str, str] = {"": class_name(model)}
        self.root = Scope("", self.unique(self._labels[""]))

    def enter(self, stack: list[Scope], path: str) -> Scope:
        """Return the scope of a new call of the module at `path`, made while `stack` is running.

        It lies in the scope of the innermost caller that holds the module. A caller that only
        refers to it does not count: a scope says where a module is, and edges say who calls it.
        """
        if not path:
            return self.root
        parent = self.root
        for scope in reversed(stack):
            if not scope.path or path.startswith(f"{scope.path}."):
                parent = scope
                break
        steps = path[len(parent.path) + 1 if parent.path else 0 :].split(".")
        name = parent.name
        walked = parent.path
        for step in steps:
            walked = f"{walked}.{step}" if walked else step
            name = f"{name}/{self._label(walked)}"
        return Scope(path, self.unique(name))

    def module(self, path: str) -> nn.Module | None:
        """Return the module at `path`, or None if the model holds none there."""
        module: Any = self._model
        for step in filter(None, path.split(".")):
            children = module._modules  # noqa: SLF001 - a scripted module has no other mapping of them
            if step not in children:
                return None
            module = children[step]
        return module  # type: ignore[no-any-return]

    def _label(self, path: str) -> str:
        if path not in self._labels:
            step = safe_name(path.rpartition(".")[2])
            module = self.module(path)
            self._labels[path] = step if module is None else f"{class_name(module)}[{step}]"
        return self._labels[path]

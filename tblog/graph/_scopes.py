"""The names of scopes: the module hierarchy, with the name and then the class of each module.

`ResNet/layer1 (Sequential)/0 (BasicBlock)/conv1 (Conv2d)` is the scope of the module `layer1.0.conv1`.
The viewer cuts a label at about fifteen characters, so a label begins with what distinguishes siblings.
Lives here: the scope of each call of a module, and unique names for calls and nodes.
Must not: run the model or change it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

_RESERVED = re.compile(r"[/:^'\"\s\ud800-\udfff]")

# The length of a cut label in the smallest font (maxMetanodeLabelLength of the viewer's tf-graph-scene.ts,
# and maxLabelWidth of its layout.ts, which is 52 pixels).
# https://github.com/tensorflow/tensorboard/blob/1025aa33334858823c488c8a938d6c0a7373b8f2/tensorboard/plugins/graph/tf_graph/tf-graph-scene.ts
_SHOWN = 14


def safe_name(text: str) -> str:
    """Replace characters that have a meaning in a node's name ("/" separates scopes) or that UTF-8 cannot encode."""
    return _RESERVED.sub("_", text) or "_"


def class_name(module: object) -> str:
    """Return the name of a module's original class, before TorchScript or FSDP replaced it."""
    kind = type(module)
    if kind.__bases__[0].__name__ == "FSDPModule":  # FSDP derives a class from its own and the module's
        kind = kind.__bases__[-1]
    name = kind.__name__
    return safe_name(str(getattr(module, "original_name", name)) if is_compiled(module) else name)


def is_compiled(module: object) -> bool:
    """Return whether TorchScript made a module. It checks the class by name, which needs no torch."""
    return type(module).__name__ in {"RecursiveScriptModule", "TopLevelTracedModule", "TracedModule"}


class Names:
    """The names in use in one graph."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def unique(self, name: str) -> str:
        """Return an unused name for a scope or node: `name`, or `name_1`, `name_2`, ..."""
        count = self._taken[name]
        self._taken[name] += 1
        return self.unique(f"{name}_{count}") if count else name


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """One call of one module: the module's dotted `path` in the model ("" is the model), and the scope's name."""

    path: str
    name: str


class Scopes(Names):
    """The scopes of the graph of a model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = model
        self._calls: Counter[str] = Counter()
        self._names: dict[str, str] = {}
        self.paths: dict[str, str] = {}
        """The path of each scope's module, by the name of the scope."""
        self.root = self._scope("", class_name(model))

    def enter(self, stack: list[Scope], path: str) -> Scope:
        """Return the scope of a new call of the module at `path`, made inside the calls in `stack`.

        It is inside the scope of the innermost caller that contains the module. A caller that only
        refers to the module does not count: a scope shows where a module is, and edges show who calls it.
        """
        if not path:
            return self.root
        parent = self.root
        for scope in reversed(stack):
            if not scope.path or path.startswith(f"{scope.path}."):
                parent = scope
                break
        name, walked = parent.name, parent.path
        *outer, last = path[len(parent.path) + 1 if parent.path else 0 :].split(".")
        for step in outer:
            walked = f"{walked}.{step}" if walked else step
            name = f"{name}/{self._label(walked)}"
            self.paths[name] = walked
        key = f"{name}/{last}"
        self._calls[key] += 1
        return self._scope(path, f"{name}/{self._label(path, self._calls[key])}")

    def module(self, path: str) -> nn.Module | None:
        """Return the module at `path`, or None if the model has none there."""
        module: Any = self._model
        for step in filter(None, path.split(".")):
            children = module._modules  # noqa: SLF001 - a scripted module has no other mapping of them
            if step not in children:
                return None
            module = children[step]
        return module  # type: ignore[no-any-return]

    def _scope(self, path: str, name: str) -> Scope:
        scope = Scope(path, self.unique(name))
        self.paths[scope.name] = path
        return scope

    def _label(self, path: str, call: int = 1) -> str:
        """Return the label of a module in the viewer: its name, the number of the call, and its class."""
        if path not in self._names:
            outer, _, step = path.rpartition(".")
            words = filter(None, (self._apart(outer, step), step))
            self._names[path] = " ".join(map(safe_name, words))
        name = self._names[path]
        if call > 1:
            name = f"{name} #{call}" if len(f"{name} #{call}") <= _SHOWN else f"#{call} {name}"
        module = self.module(path)
        return name if module is None else f"{name} ({class_name(module)})"

    def _apart(self, outer: str, step: str) -> str:
        """Return the end of a name that the viewer would cut to the same text as a sibling's: "10" of encoder_layer_10."""
        holder = self.module(outer) if len(step) > _SHOWN else None
        siblings = holder._modules if holder is not None else ()  # noqa: SLF001 - as in `module`
        alike = [sibling for sibling in siblings if sibling[:_SHOWN] == step[:_SHOWN]]
        if len(alike) < 2:
            return ""
        first, last = min(alike), max(alike)
        common = next(first[:size] for size in range(len(first), 0, -1) if last.startswith(first[:size]))
        words, underscore, _ = common.rpartition("_")
        return step[len(words + underscore if underscore else common.rstrip("0123456789")) :]

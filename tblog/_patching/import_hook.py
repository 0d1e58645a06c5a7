"""An import hook that runs an action on a package when its import ends or fails.

Lives here: the finder and the loader. Must not: know the actions. Runs on any thread that imports.
The other finders and loaders still find and load the package. Its `__spec__` and `__loader__` are theirs.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    Action = Callable[[ModuleType], None]


class ImportHook(MetaPathFinder):
    """A finder for `sys.meta_path`.

    Args:
        after: by the name of a package, the action to run when its import has ended.
        instead: by the name of a package, the action to run if its own code fails. Other packages raise.
    """

    def __init__(self, after: Mapping[str, Action], instead: Mapping[str, Action]) -> None:
        self._after = after
        self._instead = instead

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of the other finders, with a loader that runs the action afterwards."""
        if fullname not in self._after:
            return None
        for finder in tuple(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, self._after[fullname], self._instead.get(fullname))
                return spec
        return None


class _Loader(Loader):
    def __init__(self, loader: Loader, after: Action, instead: Action | None) -> None:
        self._loader = loader
        self._after = after
        self._instead = instead

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        try:
            self._loader.exec_module(module)
        except Exception:
            if self._instead is None:
                raise
            self._instead(module)
        self._after(module)

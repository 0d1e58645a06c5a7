"""`patch()` and `unpatch()`: make other libraries' `SummaryWriter` be tblog's.

The originals live in two packages, `torch.utils.tensorboard` and `tensorboardX`. Neither is imported
here. One that is loaded already is changed at once, one that is imported later when its import ends.
Where torch's cannot be imported because the `tensorboard` package is missing or broken, its
place is taken by a module that holds tblog's classes.

This module is loaded with `tblog` itself and so imports next to nothing.
"""

from __future__ import annotations

import functools
import gc
import sys
import threading
from types import FunctionType
from typing import TYPE_CHECKING, Any

from tblog._originals import TENSORBOARDX, TORCH, replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from tblog._patching.import_hook import ImportHook

# Where the originals' own machinery looks names up. It goes on with its own classes.
_MACHINERY = ("tblog", "tensorboard", "tensorboardX.event_file_writer", "tensorboardX.record_writer")

_lock = threading.RLock()
_hook: ImportHook | None = None
_constructors: dict[type, Callable[..., None]] = {}


def patch() -> None:
    """Put tblog's classes in the place of torch's and tensorboardX's, in this process.

    `SummaryWriter`, `FileWriter`, `RecordWriter` and `GlobalSummaryWriter` are replaced wherever a
    module has them as a global name, in modules that are loaded and in those that will be. Classes
    that derive from an original derive from tblog's afterwards, unless they or classes derived from
    them have instances. A call of an original that is held elsewhere (an attribute, a default
    argument) makes tblog's writer.
    The two `SummaryWriter` stay two classes, each with the flavor of its original.

    A second call does nothing, and one `unpatch` undoes any number of calls. A forked process
    inherits the patch; a spawned one calls `patch` itself. Writers that are open stay as they are.
    """
    global _hook  # noqa: PLW0603 - one patch in a process
    from tblog._patching import stand_ins
    from tblog._patching.import_hook import ImportHook

    with _lock:
        if _hook is not None:
            return
        _hook = ImportHook(
            {TORCH: _take_over, TENSORBOARDX: _take_over}, {TORCH: stand_ins.fill_torch_package}
        )
        sys.meta_path.insert(0, _hook)
        for name in (TORCH, TENSORBOARDX):
            if sys.modules.get(name) is not None:
                _take_over(sys.modules[name])


def unpatch() -> None:
    """Undo `patch`: every name, base class and import is what it was. Without a patch, do nothing.

    Names that modules got since the `patch` become the originals too. Modules that stand in for
    torch's are forgotten, so that the next import fails or succeeds as it would have. Writers that
    were made under the patch stay tblog's, and so does a derived class that has some; the next
    `unpatch` after they are gone gives it its base back.
    """
    global _hook  # noqa: PLW0603 - one patch in a process
    from tblog._patching import stand_ins

    with _lock:
        if _hook is None:
            return
        if _hook in sys.meta_path:
            sys.meta_path.remove(_hook)
        _hook = None
        stand_ins.forget_torch_package()
        while replaced:
            package, originals = replaced.popitem()
            ours = stand_ins.CLASSES[package]
            _replace({ours[name]: original for name, original in originals.items()})
        while _constructors:
            original, constructor = _constructors.popitem()
            original.__init__ = constructor  # type: ignore[misc] # what it had before


def _take_over(package: ModuleType) -> None:
    """Replace the originals of a package that is loaded."""
    from tblog._patching import stand_ins

    with _lock:
        if _hook is None:
            return
        ours = stand_ins.CLASSES[package.__name__]
        originals = {
            name: vars(package)[name]
            for name, stand_in in ours.items()
            if vars(package).get(name, stand_in) is not stand_in
        }
        if not originals:  # the package is a stand-in, and holds tblog's classes already
            return
        replaced.setdefault(package.__name__, {}).update(originals)  # it may be loaded anew
        _replace({original: ours[name] for name, original in originals.items()})
        for name, original in originals.items():
            if name != "RecordWriter":  # which the originals' machinery goes on using
                _redirect_constructor(original, ours[name])


def _replace(replacements: Mapping[type, type]) -> None:
    """Put each value in the place of its key: as a base class, and in the globals of all modules.

    A class stays as it is where it, or one derived from it, has instances, which hold what their old
    base made; so do all that derive from it, and the names by which their methods call the base.
    """
    used: set[tuple[int, str]] = set()
    for old, new in replacements.items():
        families = {derived: _family(derived) for derived in list[type](type.__subclasses__(old))}
        left = set[type]().union(
            *(family for family in families.values() if any(map(_has_instances, family)))
        )
        for derived, family in families.items():
            if derived in left or not _rebase(derived, old, new):
                used.update(*map(_names_in, family))
    by_id = {id(old): new for old, new in replacements.items()}
    for name, module in tuple(sys.modules.items()):
        names = getattr(module, "__dict__", None)
        if type(names) is not dict or _is_machinery(name):
            continue
        for key, value in tuple(names.items()):
            new_value = by_id.get(id(value))
            if new_value is not None and (id(names), key) not in used:
                names[key] = new_value


def _family(kind: type) -> set[type]:
    """Return a class and all that derive from it."""
    return {kind}.union(*map(_family, list[type](type.__subclasses__(kind))))


def _has_instances(kind: type) -> bool:
    return any(type(user) is kind for user in gc.get_referrers(kind))


def _rebase(kind: type, old: type, new: type) -> bool:
    try:
        kind.__bases__ = tuple(new if base is old else base for base in kind.__bases__)
    except TypeError:  # its bases cannot be put in an order
        return False
    return True


def _names_in(kind: type) -> set[tuple[int, str]]:
    """Return the names that the methods of a class look up, each with the id of the globals where they do."""
    functions = [getattr(inner, "__func__", inner) for inner in vars(kind).values()]
    return {
        (id(function.__globals__), name)
        for function in functions
        if isinstance(function, FunctionType)
        for name in function.__code__.co_names
    }


def _is_machinery(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in _MACHINERY)


def _redirect_constructor(original: Any, ours: type) -> None:
    """Let a call of the original, from wherever it is held, make an instance of tblog's class."""
    constructor = original.__init__

    @functools.wraps(constructor)
    def redirect(self: Any, *args: Any, **kwargs: Any) -> None:
        if type(self) is original:
            self.__class__ = ours
            self.__init__(*args, **kwargs)
        else:
            constructor(self, *args, **kwargs)

    _constructors[original] = constructor
    original.__init__ = redirect

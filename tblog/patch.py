"""`patch()` and `unpatch()`: make other libraries use tblog's `SummaryWriter`.

The originals live in two packages, `torch.utils.tensorboard` and `tensorboardX`. This module imports
neither. A package that is already loaded is changed at once, and any other when its import ends. Where
torch's cannot be imported because the `tensorboard` package is missing or broken, a module with tblog's
classes takes its place.

`tblog` imports this module, so this module imports almost nothing.
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

# The originals look up names in these modules. They keep their own classes.
_MACHINERY = ("tblog", "tensorboard", "tensorboardX.event_file_writer", "tensorboardX.record_writer")

_lock = threading.RLock()
_hook: ImportHook | None = None
_constructors: dict[type, Callable[..., None]] = {}


def patch() -> None:
    """Replace torch's and tensorboardX's classes with tblog's, in this process.

    `patch` replaces `SummaryWriter`, `FileWriter`, `RecordWriter` and `GlobalSummaryWriter` wherever a module
    has them as a global name, in loaded modules and in those loaded later. A class that derives from an
    original derives from tblog's class afterwards, unless it or one of its subclasses has instances. Code
    that holds an original elsewhere (in an attribute or a default argument) gets tblog's writer when it
    calls the class. The two `SummaryWriter` classes stay distinct, each with the flavor of its original.

    A second call does nothing. One `unpatch` undoes any number of calls. A forked process inherits the
    patch, a spawned one has to call `patch` itself. Open writers do not change.

    Example:
        >>> import tblog
        >>> tblog.patch()
        >>> from tensorboardX import SummaryWriter
        >>> issubclass(SummaryWriter, tblog.SummaryWriter)
        True
        >>> tblog.unpatch()
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
    """Undo `patch`: restore every name, base class and import. Without a patch, do nothing.

    Names that modules got after `patch` become the originals, too. The modules that stand in for torch's are
    removed, so the next import succeeds or fails as it would have before. Writers made under the patch stay
    tblog's. A derived class that has such writers keeps tblog's base until they are gone and `unpatch` is
    called again.

    Example:
        >>> import tblog
        >>> tblog.patch()
        >>> tblog.unpatch()
        >>> from tensorboardX import SummaryWriter
        >>> issubclass(SummaryWriter, tblog.SummaryWriter)
        False
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
            original.__init__ = constructor  # type: ignore[misc] # its own again


def _take_over(package: ModuleType) -> None:
    """Replace the originals of a loaded package."""
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
        if not originals:  # the package is a stand-in, which already holds tblog's classes
            return
        replaced.setdefault(package.__name__, {}).update(originals)  # the package may be reloaded
        _replace({original: ours[name] for name, original in originals.items()})
        for name, original in originals.items():
            if name != "RecordWriter":  # the originals still use their own
                _redirect_constructor(original, ours[name])


def _replace(replacements: Mapping[type, type]) -> None:
    """Replace each key with its value: as a base class, and in the globals of all modules.

    A class that has instances keeps its base, because the instances hold what that base made. The same
    holds if one of its subclasses has instances. Its subclasses and the global names by which its methods
    refer to the base then stay unchanged, too.
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
    """Return a class and all its subclasses."""
    return {kind}.union(*map(_family, list[type](type.__subclasses__(kind))))


def _has_instances(kind: type) -> bool:
    return any(type(user) is kind for user in gc.get_referrers(kind))


def _rebase(kind: type, old: type, new: type) -> bool:
    try:
        kind.__bases__ = tuple(new if base is old else base for base in kind.__bases__)
    except Exception:  # no consistent method resolution order, or its metaclass refuses
        return False
    return True


def _names_in(kind: type) -> set[tuple[int, str]]:
    """Return the global names that the methods of a class use, each with the id of its globals."""
    functions = [
        inner.__func__ if isinstance(inner, (classmethod, staticmethod)) else inner
        for inner in vars(kind).values()
    ]
    return {
        (id(function.__globals__), name)
        for function in functions
        if isinstance(function, FunctionType)
        for name in function.__code__.co_names
    }


def _is_machinery(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in _MACHINERY)


def _redirect_constructor(original: Any, ours: type) -> None:
    """Make every call of the original return an instance of tblog's class."""
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

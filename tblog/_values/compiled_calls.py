"""Keeps torch.compile out of the writer's calls. Each call is one graph break, and runs uncompiled.

The compiler would trace into each call, break the graph at every clock and lock in it, and recompile
the pieces for other types. The result would be right, but take seconds. `torch.compiler.disable` has
the same effect, but its wrapper would cost every call more than the call itself. This module
configures the compiler once.
"""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Any

from tblog._values.arrays import quick_tensor

_REASON = "a call of tblog's writer runs between compiled graphs"
_told: set[type] = set()


def keep_out(writer: type) -> None:
    """Make torch's compiler, if torch is imported, run tblog's public methods of a class uncompiled.

    The compiler still compiles methods of a user's own class and of its other base classes.
    """
    if writer in _told or not _torch_is_imported():
        return
    _told.add(writer)
    _skip(quick_tensor, quick_tensor)  # which the compiled fast path calls by itself
    for base in writer.__mro__:
        for name, method in vars(base).items():
            function = getattr(method, "__wrapped__", method)  # of the compiled fast path
            if isinstance(function, FunctionType) and not name.startswith("_") and _is_ours(function):
                _skip(method, function)


def _torch_is_imported() -> bool:
    """Return whether torch is there, and not half there: to import a part of it while another thread imports it may fail.

    The flag is how Python tells partially initialised modules
    (https://github.com/python/cpython/blob/v3.11.7/Lib/importlib/_bootstrap.py#L1165).
    """
    module = sys.modules.get("torch")
    return module is not None and not getattr(module.__spec__, "_initializing", False)


def _is_ours(method: FunctionType) -> bool:
    return method.__module__.partition(".")[0] == "tblog"


def _skip(method: Any, function: Any) -> None:
    """Set the marks of `torch.compiler.disable`, and let the interpreter run the function's frames and their callees.

    https://github.com/pytorch/pytorch/blob/d0f2af8b66b20da4baa50644c0cd3f887a2eae2e/torch/_C/_dynamo/eval_frame.pyi#L15
    """
    for each in (method, function):
        each._torchdynamo_disable = True  # noqa: SLF001 - the compiler looks for these names
        each._torchdynamo_disable_msg = _REASON  # noqa: SLF001
        each._torchdynamo_disable_recursive = True  # noqa: SLF001
    try:  # an older torch, or one without the compiler, may trace into calls
        from torch._C._dynamo import eval_frame as compiler

        skip = compiler._FrameAction.SKIP  # noqa: SLF001
        compiler.set_code_exec_strategy(function.__code__, compiler._FrameExecStrategy(skip, skip))  # noqa: SLF001
    except (ImportError, AttributeError):
        return

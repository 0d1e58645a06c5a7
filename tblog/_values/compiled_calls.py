"""Keeps torch.compile out of the writer's calls: each is one break of the graph, and is run as it is.

The compiler would trace into each call, break the graph at every clock and lock in it, and compile
the pieces anew for other types: right in the end, but seconds of work. `torch.compiler.disable` has
the same effect, by a wrapper that every call would pay for, with more than the call itself takes;
this tells the compiler once.
"""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Any

_REASON = "a call of tblog's writer is run between compiled graphs"
_told: set[type] = set()


def keep_out(writer: type) -> None:
    """Let torch's compiler, if torch is loaded, run the public methods that tblog gives a class as they are.

    Methods of a user's own class, and of others that it inherits, stay the compiler's business.
    """
    if writer in _told or "torch" not in sys.modules:
        return
    _told.add(writer)
    for base in writer.__mro__:
        for name, method in vars(base).items():
            if isinstance(method, FunctionType) and not name.startswith("_") and _is_ours(method):
                _skip(method)


def _is_ours(method: FunctionType) -> bool:
    return method.__module__.partition(".")[0] == "tblog"


def _skip(function: Any) -> None:
    """Set what `torch.compiler.disable` sets, and let the interpreter run the function's frames and their callees.

    https://github.com/pytorch/pytorch/blob/d0f2af8b66b20da4baa50644c0cd3f887a2eae2e/torch/_C/_dynamo/eval_frame.pyi#L15
    """
    function._torchdynamo_disable = True  # noqa: SLF001 - the compiler looks for these names
    function._torchdynamo_disable_msg = _REASON  # noqa: SLF001
    function._torchdynamo_disable_recursive = True  # noqa: SLF001
    try:  # an older torch, or one without a compiler, may trace into calls
        from torch._C._dynamo import eval_frame as compiler

        skip = compiler._FrameAction.SKIP  # noqa: SLF001
        compiler.set_code_exec_strategy(function.__code__, compiler._FrameExecStrategy(skip, skip))  # noqa: SLF001
    except (ImportError, AttributeError):
        return

"""Hooks on modules and parameters that are always removed again.

Runs on the caller's thread, inside forward and backward passes, so a hook must be cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tblog.errors import InvalidTypeError

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.utils.hooks import RemovableHandle


class Hooks:
    """Register hooks, and remove them when the `with` block ends, also if registering fails half-way.

    A hook is called only for the module that it was registered for. In a copy of the model that is made in the
    block (averaged weights, a file, a model sent to another process), the hooks do nothing.

        with Hooks() as hooks:
            hooks.forward(layer, lambda module, args, kwargs, output: ...)
            model(x)

    An adapter that is a context manager itself calls `remove()` instead, any number of times.
    """

    def __init__(self) -> None:
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove all hooks, the last one first."""
        while self._handles:
            self._handles.pop().remove()

    def forward(self, module: nn.Module, hook: Callable[..., Any]) -> None:
        """Call `hook(module, args, kwargs, output)` after forward. Its result, unless None, replaces the output."""
        with _refusal_explained(module):
            self._handles.append(module.register_forward_hook(_OwnHook(module, hook), with_kwargs=True))

    def forward_pre(self, module: nn.Module, hook: Callable[..., Any]) -> None:
        """Call `hook(module, args, kwargs)` before forward. It returns None, or new (args, kwargs)."""
        with _refusal_explained(module):
            self._handles.append(module.register_forward_pre_hook(_OwnHook(module, hook), with_kwargs=True))

    def after_accumulation(self, parameter: torch.Tensor, hook: Callable[[torch.Tensor], None]) -> None:
        """Call `hook(parameter)` after each gradient that is added to `parameter.grad`."""
        self._handles.append(parameter.register_post_accumulate_grad_hook(hook))


class _OwnHook:
    """A hook of one module. It ignores other modules that share the module's table of hooks."""

    def __init__(self, module: nn.Module, hook: Callable[..., Any]) -> None:
        self._module, self._hook = module, hook

    def __call__(self, called: nn.Module, *given: Any) -> Any:
        return self._hook(called, *given) if called is self._module else None

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickling and deep-copying replace the hook by a method that accepts anything and does nothing. It is not
        # one of tblog's, so that a saved model loads without tblog.
        return getattr, (nullcontext(), "__exit__")


@contextmanager
def _refusal_explained(module: nn.Module) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise InvalidTypeError(
            f"{type(module).__name__} accepts no hooks, which the adapter needs ({error}); "
            "give the module that was compiled to TorchScript"
        ) from error

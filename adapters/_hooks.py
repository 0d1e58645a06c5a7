"""Hooks on modules and parameters that always come off again.

Runs on the caller's thread, inside forward and backward passes: a hook given here must be cheap.
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
    """Register hooks that come off when the `with` block ends, also when registering fails half-way.

    A hook is called for the very module that it was given for. A copy of the model that is made in the
    block (an average of weights, a file, what another process gets) takes hooks along that do nothing.

        with Hooks() as hooks:
            hooks.forward(layer, lambda module, args, kwargs, output: ...)
            model(x)

    Where the block's end is not known in advance (an adapter that is a context manager itself), call
    `remove()`, any number of times.
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
        """Take off all hooks, the last one first."""
        while self._handles:
            self._handles.pop().remove()

    def forward(self, module: nn.Module, hook: Callable[..., Any]) -> None:
        """Call `hook(module, args, kwargs, output)` after forward; what it returns, if not None, replaces the output."""
        with _refusal_explained(module):
            self._handles.append(module.register_forward_hook(_OwnHook(module, hook), with_kwargs=True))

    def forward_pre(self, module: nn.Module, hook: Callable[..., Any]) -> None:
        """Call `hook(module, args, kwargs)` before forward; it returns None, or the new (args, kwargs)."""
        with _refusal_explained(module):
            self._handles.append(module.register_forward_pre_hook(_OwnHook(module, hook), with_kwargs=True))

    def after_accumulation(self, parameter: torch.Tensor, hook: Callable[[torch.Tensor], None]) -> None:
        """Call `hook(parameter)` each time a gradient has been added to `parameter.grad`."""
        self._handles.append(parameter.register_post_accumulate_grad_hook(hook))


class _OwnHook:
    """A hook of one module, which is not called for those that share the module's table of hooks."""

    def __init__(self, module: nn.Module, hook: Callable[..., Any]) -> None:
        self._module, self._hook = module, hook

    def __call__(self, called: nn.Module, *given: Any) -> Any:
        return self._hook(called, *given) if called is self._module else None

    def __reduce__(self) -> tuple[Any, ...]:
        # What is pickled or deeply copied is a method that takes anything and does nothing, and not one
        # of tblog's: a saved model shall load where tblog is not installed.
        return getattr, (nullcontext(), "__exit__")


@contextmanager
def _refusal_explained(module: nn.Module) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise InvalidTypeError(
            f"{type(module).__name__} takes no hooks, by which layers are watched ({error}); "
            "give the module that TorchScript was given"
        ) from error

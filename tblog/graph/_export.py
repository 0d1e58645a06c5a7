"""The first way: `torch.export` runs the model on placeholders and records each operation.

It computes nothing, so a large model costs little more than a small one. Each operation
has its module's path, shapes and dtypes. A model that depends on its data cannot be exported.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from tblog.graph._call import Call, flattened
from tblog.graph._preserve import lent
from tblog.graph._program import Program
from tblog.graph._sharded import refuse_placeholders

if TYPE_CHECKING:
    from tblog.graph._graph import Graph


def read_by_export(call: Call) -> Graph:
    """Return the graph of a call, read by `torch.export`."""
    refuse_placeholders(call.model)
    outputs: list[str] = []
    inputs = call.inputs
    with lent(call.model, runs=False, watched=False), _pass_through_seen(call.model), _quiet():
        flat = flattened(call, outputs)
        flat.forward = _refusing(flat.forward)
        try:
            program = torch.export.export(flat, tuple(call.fresh_tensors()), strict=False)
        except _RefusedError as refused:
            raise refused.why from None
        return Program(call.model, program).read([name for name, _ in inputs], outputs)


class _RefusedError(Exception):
    """The model cannot run on placeholders. For other errors, the exporter would print the whole program."""

    def __init__(self, why: Exception) -> None:
        super().__init__(str(why))
        self.why = why


def _refusing(forward: Callable[..., Any]) -> Callable[..., Any]:
    def forward_or_refuse(*tensors: torch.Tensor) -> Any:
        try:
            return forward(*tensors)
        except Exception as error:
            raise _RefusedError(error) from error

    return forward_or_refuse


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from warning, because one line says the same, and from recording unused stack traces."""
    thread = threading.get_ident()

    def of_others(record: logging.LogRecord) -> bool:
        return record.thread != thread

    loggers = [
        logging.getLogger(f"torch.{name}")
        for name in ("fx.experimental.symbolic_shapes", "_subclasses.fake_tensor")
    ]
    config: Any = torch.fx.config
    noted = getattr(config, "do_not_emit_stack_traces", None)  # recording them takes half of the time
    for logger in loggers:
        logger.addFilter(of_others)
    if noted is not None:
        config.do_not_emit_stack_traces = True
    try:
        yield
    finally:
        if noted is not None:
            config.do_not_emit_stack_traces = noted
        for logger in loggers:
            logger.removeFilter(of_others)


@contextmanager
def _pass_through_seen(model: nn.Module) -> Iterator[None]:
    """Make a module that returns its input leave an operation, which the program would not show otherwise."""
    thread = threading.get_ident()
    # The exporter may call a replacement of a module, which shares the module's attributes.
    modules = {id(vars(module)) for module in model.modules()}

    def leave_alias(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if (
            torch.compiler.is_dynamo_compiling()
        ):  # the body of a higher-order operator, which allows no side effects
            return None
        mine = id(vars(module)) in modules and threading.get_ident() == thread
        if mine and isinstance(output, torch.Tensor) and any(output is arg for arg in args):
            return torch.ops.aten.alias(output)
        return None

    handle = register_module_forward_hook(leave_alias)
    try:
        yield
    finally:
        handle.remove()

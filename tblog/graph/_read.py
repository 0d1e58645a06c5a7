"""Read a model by export, else by tracing, else by hooks. Runs on the caller's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tblog._locks import ForkSafeLock
from tblog.errors import InvalidValueError, reason, shortened
from tblog.graph._errors import GraphError

if TYPE_CHECKING:
    from tblog.graph._call import Call
    from tblog.graph._graph import Graph

Source: TypeAlias = Literal["export", "trace", "hooks"]

logger = logging.getLogger("tblog")

_WAYS: tuple[Source, ...] = ("export", "trace", "hooks")

_reading = ForkSafeLock()
"""Held while a model is read: torch's export fails if another thread exports at the same time (torch 2.15)."""


def read_graph(
    model: Any,
    input_to_model: Any = None,
    *,
    use_strict_trace: bool = True,
    source: Source | None = None,
) -> Graph:
    """Read the graph of a model, and leave the model exactly as it was.

    Args:
        model: a `torch.nn.Module` (without its data-parallel or compiled wrapper), a scripted module or function,
            or a function of tensors. It is read in eval mode, as torch does.
        input_to_model: a tensor, a tuple or list of positional arguments, or a mapping of keyword
            arguments. None if forward needs no argument. Arguments may be nested and have any type.
        use_strict_trace: the argument `strict` of `torch.jit.trace`, if that is used.
        source: the only way to try: "export", "trace" or "hooks". None tries them in this order, and logs
            in one line why a way failed.

    Returns:
        Plain data. Its `SerializeToString` returns the GraphDef, and its `str` is readable.

    Raises:
        GraphError: every way failed, and the message says why. Or a model that is being read called this.
        InvalidValueError: `source` is unknown, or the model needs an input and `input_to_model` is None.
        InvalidTypeError: `model` cannot be read.

    Example:
        >>> import torch
        >>> from tblog.graph import read_graph
        >>> graph = read_graph(torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.ReLU()), torch.zeros(1, 4))
        >>> [node.op for node in graph.nodes]
        ['input', 'aten::linear', 'aten::relu', 'output']
    """
    if source not in {None, *_WAYS}:
        raise InvalidValueError(
            f"add_graph: source was {shortened(source)}; give one of {', '.join(_WAYS)}, or None for all"
        )
    from tblog.graph._call import bind, settled
    from tblog.graph._wrappers import as_module

    call = bind(as_module(model), input_to_model)
    if _reading.is_mine():
        raise GraphError(
            f"the graph of {_name_of(call)} cannot be read from within a model whose graph is being read; "
            "call add_graph outside of forward"
        )
    reasons: list[str] = []
    ways = _WAYS if call.scripted is None else _WAYS[1:]  # TorchScript cannot be exported
    for way in ways if source is None else (source,):
        try:
            with _reading:
                call = settled(call)
                graph = _reader(way, strict=use_strict_trace, chosen=source is not None)(call)
        except Exception as error:
            reasons.append(f"{way}: {reason(error)}")
            failure = error
        else:
            graph.reasons = reasons
            for why in reasons:
                logger.warning("tblog: the graph of %s is read by %s; %s", _name_of(call), way, why)
            return graph
    raise GraphError(
        f"the graph of {_name_of(call)} could not be read ({_together(reasons)}). "
        "Check that the model runs on this input, on the device where its parameters are"
    ) from failure


def _name_of(call: Call) -> str:
    return type(call.model).__name__


def _together(reasons: list[str]) -> str:
    """Return the reasons in one line, each of them once, with the ways that it stopped."""
    ways: dict[str, list[str]] = {}
    for one in reasons:
        way, _, text = one.partition(": ")
        ways.setdefault(text, []).append(way)
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in ways.items())


def _reader(way: Source, *, strict: bool, chosen: bool) -> Callable[[Call], Graph]:
    if way == "export":
        from tblog.graph._export import read_by_export

        return read_by_export
    if way == "trace":
        from tblog.graph._trace import read_by_trace

        return lambda call: read_by_trace(call, strict=strict, faithful=not chosen)
    from tblog.graph._hooks import read_by_hooks

    return lambda call: read_by_hooks(call, chosen=chosen)

"""Models whose parameters are sharded over several processes and gathered while they run.

Lives here: which ways of reading work for them, and what they need around a run. FSDP and DTensor are recognised
by the names of their classes, because importing them takes a second.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch import nn

from tblog.graph._errors import GraphError


def is_fsdp(module: nn.Module) -> bool:
    """Return whether FSDP, version 1 or 2, gathers the parameters of a module before its forward."""
    names = {kind.__name__ for kind in type(module).__mro__}
    return not names.isdisjoint({"FSDPModule", "FullyShardedDataParallel"})


def refuse_placeholders(model: nn.Module) -> None:
    """Keep FSDP from gathering placeholders, which it would keep.

    Raises:
        GraphError: the model is sharded by FSDP.
    """
    if any(map(is_fsdp, model.modules())):
        raise GraphError("FSDP gathers the parameters only in a real run")


def refuse_lone_run(model: nn.Module) -> None:
    """Keep one process from waiting for the shards of others, which may not be running the model.

    Raises:
        GraphError: the parameters are on several processes.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_initialized() or distributed.get_world_size() == 1:
        return
    if any(map(is_fsdp, model.modules())) or any(
        type(one).__name__ == "DTensor" for one in model.parameters()
    ):
        raise GraphError(
            "the parameters are on several processes, which would have to run the model together; give the model "
            'before it is sharded, or source="hooks" in all processes'
        )


@contextmanager
def gathering(model: nn.Module) -> Iterator[None]:
    """Let FSDP gather for a run without a backward pass, and reshard afterwards."""
    gatherers: list[Any] = [module for module in model.modules() if is_fsdp(module)]
    if not gatherers:
        yield
        return
    try:
        with torch.no_grad():
            yield
    finally:
        for module in gatherers:
            if hasattr(module, "reshard"):  # version 2; version 1 reshards by itself
                module.reshard()


def gathers(frame: FrameType | None) -> bool:
    """Return whether the caller is FSDP's own code around a module's forward."""
    while frame is not None and frame.f_code.co_name != "_call_impl":
        if str(frame.f_globals.get("__name__")).startswith("torch.distributed."):
            return True
        frame = frame.f_back
    return False

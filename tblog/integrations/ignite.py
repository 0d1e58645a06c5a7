"""`TensorboardLogger`: Ignite's logger for TensorBoard, written through tblog.

It derives from Ignite's own, so all of Ignite's handlers can be attached to it. docs/frameworks.md says what differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tblog.errors import MissingDependencyError
from tblog.integrations._named_values import log_values
from tblog.writer import SummaryWriter

try:
    from ignite.handlers import tensorboard_logger as originals
except ModuleNotFoundError as error:
    raise MissingDependencyError("pytorch-ignite", "ignite", __name__) from error

__all__ = ["OutputHandler", "TensorboardLogger"]


class TensorboardLogger(originals.TensorboardLogger):
    """Log what handlers read from engines. `logger.writer` is a `tblog.SummaryWriter`.

    In a distributed training create it on rank zero only, as with Ignite's own.

    Args:
        *args: those of `tblog.SummaryWriter`.
        **kwargs: those of `tblog.SummaryWriter`, such as `log_dir`, and `resume` to continue a run.

    Example:
        >>> from ignite.engine import Engine, Events
        >>> from tblog.integrations.ignite import TensorboardLogger
        >>> trainer = Engine(lambda engine, batch: {"loss": 1 / batch})
        >>> with TensorboardLogger(log_dir="runs/one") as logger:
        ...     _ = logger.attach_output_handler(
        ...         trainer, Events.ITERATION_COMPLETED, tag="training", output_transform=lambda output: output
        ...     )
        ...     _ = trainer.run([1, 2, 4])
        >>> import tblog
        >>> tblog.read("runs").scalars.value
        array([1.  , 0.5 , 0.25])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.writer = SummaryWriter(*args, **kwargs)

    def _create_output_handler(self, *args: Any, **kwargs: Any) -> OutputHandler:
        return OutputHandler(*args, **kwargs)


class OutputHandler(originals.OutputHandler):
    """Log an engine's output, metrics and attributes as Ignite's handler does, without waiting for a GPU.

    A tensor of no dimension or of one stays on its device. A text is logged as a text.

    Example:
        >>> from ignite.engine import Engine, Events
        >>> from tblog.integrations.ignite import OutputHandler, TensorboardLogger
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> with TensorboardLogger(log_dir="runs/one") as logger:
        ...     handler = OutputHandler("training", output_transform=lambda output: {"loss": output})
        ...     _ = logger.attach(trainer, handler, Events.ITERATION_COMPLETED)
        ...     _ = trainer.run([0.5, 0.25])
        >>> import tblog
        >>> tblog.read("runs").tags
        {'scalars': ['training/loss']}
    """

    def __call__(self, engine: Any, logger: TensorboardLogger, event_name: Any) -> None:
        """Log once, at the step that `global_step_transform` gives."""
        step = self.global_step_transform(engine, event_name)
        log_values(logger.writer, dict(_flat(self.tag, self._found(engine))), step)

    def _found(self, engine: Any) -> dict[str, Any]:
        metrics = engine.state.metrics
        names = metrics if self.metric_names == "all" else self.metric_names or ()
        found = {name: metrics.get(name) for name in names}
        if self.output_transform is not None:
            output = self.output_transform(engine.state.output)
            found.update(output if isinstance(output, Mapping) else {"output": output})
        for name in self.state_attributes or ():
            found[name] = getattr(engine.state, name, None)
        return found


def _flat(tag: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the nested values by tag, their names joined by `/`."""
    if isinstance(value, Mapping):
        inner: Any = value.items()
    elif _is_row(value):
        inner = enumerate(value)
    else:
        yield tag, value
        return
    for key, each in inner:
        yield from _flat(f"{tag}/{key}", each)


def _is_row(value: Any) -> bool:
    return getattr(value, "ndim", None) == 1 or (isinstance(value, Sequence) and not isinstance(value, str))

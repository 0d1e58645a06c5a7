"""The replacements that `patch` installs: one class for each name of each package.

Two names never share a class, so that `isinstance` tells them apart and each name can be restored.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tblog._originals import TENSORBOARDX, TORCH
from tblog.errors import InvalidTypeError, shortened
from tblog.file_writer import FileWriter
from tblog.global_writer import GlobalSummaryWriter
from tblog.options import WriterOptions
from tblog.record_writer import RecordWriter
from tblog.writer import SummaryWriter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from tblog._delivery.channel import Channel

_LIKE_TORCH = WriterOptions(flavor="torch")
_LIKE_TENSORBOARDX = WriterOptions(flavor="tensorboardX")


class _PatchedWriter(SummaryWriter):
    """The common base of both writers. The pickle of a derived class records which base that class must have."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), _PatchedWriter, self.__getstate__())


def _unpickled(kind: type, base: type, state: Any) -> Any:
    if not issubclass(kind, base):
        raise InvalidTypeError(
            f"a {kind.__module__}.{kind.__qualname__} was pickled in a process that had called tblog.patch(), but "
            "has another base class in this process; call tblog.patch() here before you unpickle it"
        )
    writer: Any = kind.__new__(kind)
    writer.__setstate__(state)
    return writer


class TorchSummaryWriter(_PatchedWriter):
    """`tblog.SummaryWriter` with the signature and the flavor of `torch.utils.tensorboard`'s."""

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: object = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
        **more: Any,
    ) -> None:
        more.setdefault("options", _LIKE_TORCH)
        super().__init__(log_dir, comment, purge_step, max_queue, flush_secs, filename_suffix, **more)


class TensorboardXSummaryWriter(_PatchedWriter):
    """`tblog.SummaryWriter` with the signature and the flavor of `tensorboardX`'s."""

    def __init__(
        self,
        logdir: str | os.PathLike[str] | None = None,
        comment: object = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
        write_to_disk: bool = True,
        log_dir: str | os.PathLike[str] | None = None,
        comet_config: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        more.setdefault("options", _LIKE_TENSORBOARDX)
        super().__init__(
            log_dir if log_dir is not None else logdir,
            comment,
            purge_step,
            max_queue,
            flush_secs,
            filename_suffix,
            write_to_disk,
            comet_config=comet_config,
            **more,
        )


class _HookableFileWriter(FileWriter):
    """A `FileWriter` whose summaries pass through `add_event`, which tools hook.

    The tools see its events there, so it needs no mirror.
    """

    def add_summary(self, summary: Any, global_step: Any = None, walltime: Any = None) -> None:
        """Log a Summary message of any package."""
        from tensorboardX.proto.event_pb2 import Event

        event = Event()
        event.summary.ParseFromString(summary.SerializeToString())
        self.add_event(event, global_step, walltime)

    def _find_mirror(self, channel: Channel) -> None:
        del channel


class TorchFileWriter(_HookableFileWriter):
    """`tblog.FileWriter` under torch's name."""


class TensorboardXFileWriter(_HookableFileWriter):
    """`tblog.FileWriter` under tensorboardX's name."""


class TorchRecordWriter(RecordWriter):
    """`tblog.RecordWriter` under torch's name."""


class TensorboardXRecordWriter(RecordWriter):
    """`tblog.RecordWriter` under tensorboardX's name."""


class TensorboardXGlobalSummaryWriter(GlobalSummaryWriter):
    """`tblog.GlobalSummaryWriter` under tensorboardX's name and with its flavor."""

    def __init__(self, *args: Any, **more: Any) -> None:
        more.setdefault("options", _LIKE_TENSORBOARDX)
        super().__init__(*args, **more)


CLASSES: dict[str, dict[str, type]] = {
    TORCH: {
        "SummaryWriter": TorchSummaryWriter,
        "FileWriter": TorchFileWriter,
        "RecordWriter": TorchRecordWriter,
    },
    TENSORBOARDX: {
        "SummaryWriter": TensorboardXSummaryWriter,
        "FileWriter": TensorboardXFileWriter,
        "RecordWriter": TensorboardXRecordWriter,
        "GlobalSummaryWriter": TensorboardXGlobalSummaryWriter,
    },
}


def hparams(
    hparam_dict: Mapping[str, Any] | None = None,
    metric_dict: Mapping[str, Any] | None = None,
    hparam_domain_discrete: Mapping[str, Sequence[Any]] | None = None,
) -> tuple[Any, ...]:
    """Return the three Summary messages with a run's hyperparameters: experiment, start and end.

    Args:
        hparam_dict: bools, numbers, strings or None, by name.
        metric_dict: the metrics by tag. Their values are logged elsewhere.
        hparam_domain_discrete: all values that a hyperparameter can have, by name.

    Raises:
        TypeError: an argument is not a dict.
        ValueError: a hyperparameter has another type.
    """
    from tblog import summaries
    from tblog._values.arguments import plain_hparam
    from tblog.records import HparamsRecord

    for name, given in (("hparam_dict", hparam_dict), ("metric_dict", metric_dict)):
        if not isinstance(given, dict):
            raise InvalidTypeError(
                f"hparams: {name} was {shortened(given)} of type {type(given).__name__}; give a dict"
            )
    record = HparamsRecord(
        hparams={name: plain_hparam(name, value) for name, value in (hparam_dict or {}).items()},
        metrics=tuple(metric_dict or {}),
        domains=hparam_domain_discrete or {},
    )
    summaries.check(record)
    return tuple(summaries.encode(record, summaries.EncodeContext()))


def fill_torch_package(package: ModuleType) -> None:
    """Fill the module `torch.utils.tensorboard` if its own code could not run.

    This also makes its modules `writer` and `summary`. Messages and the functions that make them come from
    tensorboardX. What only the `tensorboard` package provides stays missing.
    """
    classes = CLASSES[TORCH]
    vars(package).update(classes, __all__=sorted(classes))
    _add_module(package, "writer", classes, {"event_pb2": "tensorboardX.proto.event_pb2"}.get)
    _add_module(package, "summary", {"hparams": hparams}, lambda name: f"tensorboardX.summary:{name}")


def _add_module(
    package: ModuleType, name: str, names: Mapping[str, Any], home: Callable[[str], str | None]
) -> None:
    full_name = f"{package.__name__}.{name}"

    def get_late(attribute: str) -> Any:
        module, _, inside = (home(attribute) or "").partition(":")
        if not module or attribute.startswith("__"):
            raise AttributeError(f"module {full_name!r} has no attribute {attribute!r}")
        found = import_module(module)
        return getattr(found, inside) if inside else found

    module = ModuleType(full_name, f"tblog's replacement of {full_name}.")
    module.__spec__ = spec_from_file_location(full_name, __file__)
    module.__file__ = __file__
    module.__package__ = package.__name__
    vars(module).update(names, __getattr__=get_late, __all__=sorted(names))
    sys.modules[full_name] = module
    setattr(package, name, module)


def forget_torch_package() -> None:
    """Undo `fill_torch_package`: remove the modules. Do nothing if torch's own are loaded."""
    writer = sys.modules.get(f"{TORCH}.writer")
    if writer is None or vars(writer).get("__file__") != __file__:
        return
    package = sys.modules[TORCH]
    for name in tuple(sys.modules):
        if name == TORCH or name.startswith(f"{TORCH}."):
            del sys.modules[name]
    parent = sys.modules.get("torch.utils")
    if parent is not None and vars(parent).get("tensorboard") is package:
        del vars(parent)["tensorboard"]

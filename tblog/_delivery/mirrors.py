"""Tools that mirror a run elsewhere, and listen to the originals' writers instead of to tblog's.

wandb, mlflow, clearml and others put hooks on the `FileWriter` and `EventFileWriter` classes of torch
and tensorboardX, in place of a class's name in a module, or of its methods. Where such a module is
loaded and hooked, a writer of tblog shows each event to an instance of the hooked class whose storage
is taken out: its hooks run, and it writes nothing.

Lives here: finding hooks, the instances that carry them, showing events to them.
Must not: import any of those packages; a package that is not loaded has no hooks. Runs on the caller's thread,
as the hooks do in the originals: some look for a run that belongs to the calling thread.
"""

from __future__ import annotations

import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from tblog._delivery.entries import Entry, Flush, HeavyRecord, LightRecord, RunScalar, ScalarDict
from tblog._delivery.event_encoder import EventEncoder
from tblog._originals import TENSORBOARDX, TORCH, original
from tblog._wire import events
from tblog.records import EmbeddingRecord, EventRecord

if TYPE_CHECKING:
    from types import ModuleType

    from tblog._reports import Reports
    from tblog.options import Flavor, WriterOptions

_TORCH = (TORCH, "torch.utils.tensorboard.writer")
_TENSORBOARDX = (TENSORBOARDX, "tensorboardX.writer")
_TENSORBOARD = ("tensorboard", "tensorboard.summary.writer.event_file_writer")
_PACKAGES = {"torch", "tensorboardX", "tensorboard", "tblog"}
_HOOKABLE = ("__init__", "add_event", "add_summary", "add_graph")


def find_mirror(flavor: Flavor, logdir: str, options: WriterOptions, reports: Reports) -> Mirror | None:
    """Return what shows a writer's events to the tools that listen, or None where none does.

    Args:
        flavor: whose hooks are looked for first; one family serves, so that no tool sees a run twice.
        logdir: the writer's directory, which the hooks receive.
        options: how events are encoded.
        reports: receives failures of the hooks.
    """
    own, other = (_TORCH, _TENSORBOARDX) if flavor == "torch" else (_TENSORBOARDX, _TORCH)
    for package, name in (own, other, _TENSORBOARD):
        module = sys.modules.get(name)
        if module is None:
            continue
        events = _class(module, "EventFileWriter")
        for files in (_class(module, "FileWriter"), original(package, "FileWriter")):
            if any(map(_is_hooked, filter(None, (files, events)))):
                return Mirror(_Originals(module, files, events), logdir, options, reports)
    return None


class _Originals(NamedTuple):
    """One family of the originals: where it lives, and its classes as the tools left them."""

    module: ModuleType
    files: type | None
    events: type | None


class Mirror:
    """Shows the events of one writer to the hooks in one module."""

    def __init__(self, originals: _Originals, logdir: str, options: WriterOptions, reports: Reports) -> None:
        self._originals = originals
        self._logdir = logdir
        self._reports = reports
        self._encoder = EventEncoder(logdir, options, reports.values_left_out)
        self._listeners: dict[str, Any] = {}
        self._tell("")

    def show(self, entry: Entry) -> list[Entry]:
        """Show an entry's events; return what goes to the queue in its place, encoded once."""
        if isinstance(entry, HeavyRecord) and isinstance(entry.record, EmbeddingRecord):
            return [entry]  # becomes files, and no event
        try:
            run, events = self._encode(entry)
        except Exception:
            return [entry]  # the worker meets the same error, and reports it
        shown: list[Entry] = []
        is_number = not isinstance(entry, (LightRecord, HeavyRecord))  # which never waits for room in bytes
        for event in events:
            self._tell(run, event)
            nbytes = 0 if is_number else len(event)
            shown.append(LightRecord(EventRecord(event=event), 0, 0.0, run, nbytes))
        return shown

    def _encode(self, entry: Entry) -> tuple[str, list[bytes]]:
        if isinstance(entry, (LightRecord, HeavyRecord)):
            return entry.run, self._encoder.encode(entry)
        assert not isinstance(entry, Flush)  # commands do not pass here
        run, scalar = (entry.run, entry.scalar) if isinstance(entry, RunScalar) else ("", entry)
        if isinstance(scalar, ScalarDict):
            tags, values, step, wall_time = scalar
        else:
            tag, value, step, wall_time = scalar
            tags, values = (tag,), (value,)
        return run, [events.event(wall_time, step, events.SUMMARY, _scalar_summary(tags, values))]

    def _tell(self, run: str, serialized: bytes = b"") -> None:
        """Let the hooks see an event, or at first a directory alone."""
        try:
            listener = self._listen(run)
            if not serialized:
                return
            event = self._originals.module.event_pb2.Event.FromString(serialized)
            if not hasattr(listener, "add_summary"):
                listener.add_event(event)
            elif event.WhichOneof("what") == "summary":
                listener.add_summary(event.summary, event.step, event.wall_time)
            else:
                listener.add_event(event, event.step, event.wall_time)
        except Exception as error:
            self._reports.once(
                "mirror",
                f"a tool that listens to {self._originals.module.__name__} failed to mirror {self._logdir}: {error!r}. "
                "The event file is not affected",
            )

    def _listen(self, run: str) -> Any:
        if run not in self._listeners:
            logdir = f"{self._logdir}/{run}" if run else self._logdir
            self._listeners[run] = _listener(self._originals, logdir)
        return self._listeners[run]


def _scalar_summary(tags: tuple[str, ...], values: tuple[Any, ...]) -> bytes:
    from tensorboardX.proto.summary_pb2 import Summary

    pairs = zip(tags, values, strict=True)
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=float(value)) for tag, value in pairs])
    serialized: bytes = summary.SerializeToString()
    return serialized


def _class(module: ModuleType, name: str) -> type | None:
    found = getattr(module, name, None)
    return found if isinstance(found, type) else None


def _is_hooked(kind: type) -> bool:
    return not _is_original(kind) or any(_is_foreign(kind, name) for name in _HOOKABLE)


def _is_original(kind: type) -> bool:
    return _is_ours(kind.__module__)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in _PACKAGES


def _is_foreign(kind: type, method: str) -> bool:
    """Return whether a method was put in its class by another package than those that define it."""
    for owner in kind.__mro__[:-1]:
        if method in vars(owner):
            function = vars(owner)[method]
            return not isinstance(function, FunctionType) or not _is_ours(function.__globals__["__name__"])
    return False


class _Silence:
    """Takes any call and does nothing: what hooked writers hold in place of a file or a queue."""

    def __getattr__(self, name: str) -> Any:
        return _do_nothing


def _do_nothing(*_args: Any, **_kwargs: Any) -> None:
    pass


def _listener(originals: _Originals, logdir: str) -> Any:
    """Return a hooked writer that passes a directory to the hooks, and writes nothing."""
    silence = _Silence()
    parts = {"_async_writer": silence, "_event_queue": silence, "_ev_writer": silence, "_closed": False}
    events = silence if originals.events is None else _silent(originals.events, logdir, parts)
    if originals.files is None:
        return events
    return _silent(originals.files, logdir, {"event_writer": events, "put": _do_nothing})


def _silent(kind: type, logdir: str, parts: dict[str, Any]) -> Any:
    """Make an instance of a hooked class without calling the original constructor.

    A class between the hook's class and the original, in the order of method resolution, replaces that
    constructor. A hook on the original's own constructor runs only if that runs; such an instance is
    closed at once, and leaves an event file without events.
    """
    base = next(owner for owner in kind.__mro__ if _is_original(owner))

    def start(self: Any, logdir: str, *_args: Any, **_kwargs: Any) -> None:
        self.__dict__.update(parts, _logdir=logdir)

    if _is_foreign(base, "__init__"):
        kind(logdir).close()
    quiet = type(base.__name__, (base,), {"__init__": start, "__module__": __name__})
    bases = (quiet,) if kind is base else (kind, quiet)
    return type(kind.__name__, bases, {"__module__": __name__})(logdir)

"""Hyperparameters of runs with their metrics, as one table.

https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/plugins/hparams/README.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tblog._wire import parsing as wire
from tblog._wire.parsing import MalformedError
from tblog.reading._exports import needed
from tblog.reading._run_log import RunLog

if TYPE_CHECKING:
    import pandas as pd

_EXPERIMENT, _START, _END = (
    f"_hparams_/{name}" for name in ("experiment", "session_start_info", "session_end_info")
)
_STATUS = {0: "unknown", 1: "success", 2: "failure", 3: "running"}


@dataclass
class Session:
    """One run with hyperparameters.

    Attributes:
        run: the run's name.
        group: the group of sessions with the same hyperparameters; the run's name if the run names none.
        status: "running" until the run says how it ended: "success", "failure" or "unknown".
        start_time: seconds since 1970 (UTC), 0 if unknown; `end_time` likewise.
        hparams: its hyperparameters: float, str or bool.
        metrics: the last value of each metric by tag, with its group, if it has one: "validation/loss".

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     writer.log_hparams({"lr": 0.1, "net": "small"})
        ...     writer.add_scalar("loss", 0.5, 1)
        >>> (session,) = tblog.read("runs").hparams
        >>> session.run, session.hparams, session.metrics
        ('seed1', {'lr': 0.1, 'net': 'small'}, {'loss': 0.5})
    """

    run: str
    group: str
    status: str = "running"
    start_time: float = 0.0
    end_time: float = 0.0
    hparams: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


class HParams(Sequence[Session]):
    """The runs with hyperparameters, by name, as on TensorBoard's HParams page.

    Example:
        >>> import tblog
        >>> for lr in (0.1, 0.01):
        ...     with tblog.SummaryWriter(f"runs/lr{lr}") as writer:
        ...         writer.log_hparams({"lr": lr})
        ...         writer.add_scalar("loss", lr / 2, 1)
        >>> table = tblog.read("runs").hparams
        >>> table
        <HParams: 2 runs, 1 hyperparameters, 1 metrics>
        >>> min(table, key=lambda session: session.metrics["loss"]).hparams
        {'lr': 0.01}
    """

    def __init__(self, sessions: list[Session]) -> None:
        self._sessions = sessions

    def __len__(self) -> int:
        return len(self._sessions)

    def __getitem__(self, index: Any) -> Any:
        return self._sessions[index]

    def __repr__(self) -> str:
        return f"<HParams: {len(self)} runs, {len(self.names)} hyperparameters, {len(self.metrics)} metrics>"

    @property
    def names(self) -> list[str]:
        """The hyperparameters of all runs, in their order."""
        return list(dict.fromkeys(name for session in self._sessions for name in session.hparams))

    @property
    def metrics(self) -> list[str]:
        """The metrics of all runs, in their order."""
        return list(dict.fromkeys(name for session in self._sessions for name in session.metrics))

    def to_pandas(self) -> pd.DataFrame:
        """Return one row for each run: run, then its hyperparameters, then the last values of its metrics.

        If a metric has the name of a hyperparameter, its column is "metric/" and the name.
        """
        pandas = needed("pandas", "pandas")
        names = self.names
        columns: dict[str, list[Any]] = {"run": [session.run for session in self._sessions]}
        columns |= {
            name if name != "run" else "hparam/run": [session.hparams.get(name) for session in self._sessions]
            for name in names
        }
        for metric in self.metrics:
            column = metric if metric not in columns else f"metric/{metric}"
            columns[column] = [session.metrics.get(metric, np.nan) for session in self._sessions]
        frame: pd.DataFrame = pandas.DataFrame(columns)
        return frame


def hparams(logs: Mapping[str, RunLog]) -> HParams:
    """Read the hyperparameters of runs."""
    contents = {
        run: {
            tag: log.metadata()[tag].content for tag in (_EXPERIMENT, _START, _END) if tag in log.metadata()
        }
        for run, log in logs.items()
    }
    sessions = [
        session
        for run, content in contents.items()
        if _START in content and (session := _session(run, content)) is not None
    ]
    stated: list[tuple[str, str]] = []
    order: list[str] = []
    for content in contents.values():
        names, metrics = _experiment(content.get(_EXPERIMENT, b""))
        order += names
        stated += metrics
    for session in sessions:
        known = [name for name in dict.fromkeys(order) if name in session.hparams]
        session.hparams = {name: session.hparams[name] for name in dict.fromkeys([*known, *session.hparams])}
        session.metrics = _metrics(session.run, dict.fromkeys(stated), logs)
    return HParams(sessions)


def _session(run: str, contents: dict[str, bytes]) -> Session | None:
    """Return the session that a run's start and end describe; None if the start cannot be read."""
    try:
        session = Session(run, run)
        start = wire.message(contents[_START], 3) or b""
        for entry in wire.fields(start):
            content = start[entry.start : entry.end]
            if entry.key == 1 and entry.wire == wire.BYTES:
                name = wire.text(wire.message(content, 1) or b"")
                session.hparams[name] = _value(wire.message(content, 2) or b"")
            elif entry.key == 4 and entry.wire == wire.BYTES and content:
                session.group = wire.text(content)
            elif entry.key == 5 and entry.wire == wire.FIXED64:
                session.start_time = wire.double(start, entry.start)
        end = wire.message(contents.get(_END, b""), 4)
        if end is not None:
            session.status = _STATUS[0]
            for entry in wire.fields(end):
                if entry.key == 1 and entry.wire == wire.VARINT:
                    session.status = _STATUS.get(entry.number, _STATUS[0])
                elif entry.key == 2 and entry.wire == wire.FIXED64:
                    session.end_time = wire.double(end, entry.start)
    except MalformedError:
        return None
    session.hparams = dict(sorted(session.hparams.items()))
    return session


def _value(raw: bytes) -> Any:
    """Return a google.protobuf.Value that is a number, a text or a bool."""
    for entry in wire.fields(raw):
        if entry.key == 2 and entry.wire == wire.FIXED64:
            return wire.double(raw, entry.start)
        if entry.key == 3 and entry.wire == wire.BYTES:
            return wire.text(raw[entry.start : entry.end])
        if entry.key == 4 and entry.wire == wire.VARINT:
            return bool(entry.number)
    return None


def _experiment(content: bytes) -> tuple[list[str], list[tuple[str, str]]]:
    """Return an experiment's names of hyperparameters, and the (group, tag) of its metrics."""
    try:
        experiment = wire.message(content, 2) or b""
        names = [wire.text(wire.message(info, 1) or b"") for info in wire.messages(experiment, 4)]
        metrics = [wire.message(info, 1) or b"" for info in wire.messages(experiment, 5)]
        return names, [
            (wire.text(wire.message(name, 1) or b""), wire.text(wire.message(name, 2) or b""))
            for name in metrics
        ]
    except MalformedError:
        return [], []


def _metrics(
    run: str, stated: Mapping[tuple[str, str], None], logs: Mapping[str, RunLog]
) -> dict[str, float]:
    """Return the last value of each metric of a run: of the experiment's metrics, or of all scalars without any."""
    if not stated:
        return _last(logs[run])
    found = {}
    for group, tag in stated:
        below = "/".join(part for part in (run if run != "." else "", group) if part and part != ".") or "."
        value = _last(logs[below]).get(tag) if below in logs else None
        if value is not None:
            found[f"{group}/{tag}" if group else tag] = value
    return found


def _last(log: RunLog) -> dict[str, float]:
    names, columns = log.scalars()
    tags, last = np.unique(columns.tags[::-1], return_index=True)
    values = columns.values[::-1][last]
    return {names[tag]: float(value) for tag, value in zip(tags, values, strict=True)}

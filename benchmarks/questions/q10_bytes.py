"""10: How many bytes on disk does a scalar take, by a call of its own and in a batch of 50?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import _check, _data, _picture
from benchmarks._question import Plan, Question, Results, Row, Sample, Trial
from benchmarks.peers import peer, peers_of

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

_SINGLE, _BATCH = "one call each", "batches of 50"
_TARGET_BYTES = 49.4
_WIDTH = 50


def _trials(plan: Plan) -> list[Trial]:
    sizes = {"scalars": 2_000 if plan.quick else 20_000}
    chosen = peers_of(10, quick=plan.quick)
    return [*(Trial(p.name, _SINGLE, sizes) for p in chosen), Trial("tblog", _BATCH, sizes)]


def _tags() -> list[str]:
    # As long as the tag of the single calls, so that the two can be compared.
    return [f"loss/{index:05d}" for index in range(_WIDTH)]


def _measure(trial: Trial, logdir: Path) -> Sample:
    scalars = trial.sizes["scalars"]
    values, tags = _data.floats(scalars), _tags()
    writer = peer(trial.writer).open(str(logdir))
    if trial.case == _SINGLE:
        for step, value in enumerate(values):
            writer.add_scalar(tags[0], value, step)
    else:
        for step, low in enumerate(range(0, scalars, _WIDTH)):
            writer.add_scalar_dict(dict(zip(tags, values[low : low + _WIDTH], strict=True)), step)
    writer.close()
    return {"bytes": sum(path.stat().st_size for path in logdir.iterdir()) / scalars}


def _check_files(trial: Trial, logdir: Path) -> int:
    values, tags = _data.array(trial.sizes["scalars"]), _tags()
    if trial.case == _SINGLE:
        return _check.scalars(logdir, {tags[0]: values})
    return _check.scalars(logdir, dict(zip(tags, values.reshape(-1, _WIDTH).T, strict=True)))


def _rows(results: Results) -> list[Row]:
    names = [key.removesuffix(f" {_SINGLE}") for key in results.rounds if key.endswith(_SINGLE)]
    beside = "; ".join(
        f"{name} {results.value(f'{name} {_SINGLE}', 'bytes', 1, 'bytes')}"
        for name in names
        if name != "tblog"
    )
    return [
        Row(
            "bytes of a scalar, one call each",
            f"at most {_TARGET_BYTES}",
            results.figure(f"tblog {_SINGLE}", "bytes"),
            _TARGET_BYTES,
            2 * _TARGET_BYTES,
            "bytes",
            beside,
        ),
        Row(
            "bytes of a scalar in a batch of 50, against torch's",
            "at most 1/2",
            results.ratio(f"tblog {_BATCH}", "bytes", f"torch {_SINGLE}"),
            0.5,
            1.0,
            "fraction",
            f"{results.value(f'tblog {_BATCH}', 'bytes', 1, 'bytes')}; {beside}",
        ),
    ]


def _draw(results: Results, axes: Axes) -> None:
    entries = [(key.replace(" ", ": ", 1), results.figure(key, "bytes")) for key in results.rounds]
    _picture.bars(axes, sorted(entries, key=lambda e: not e[0].startswith("tblog")), "bytes")


QUESTION = Question(
    number=10,
    name="bytes",
    asks="How many bytes on disk does a scalar take?",
    trials=_trials,
    measure=_measure,
    check=_check_files,
    rows=_rows,
    draw=_draw,
)

"""8: What does the import cost, and what a program that logs one scalar?

Each import runs in an interpreter of its own, several in a trial; the median counts. An uncounted one runs first and
leaves the bytecode that an installation has. `import tblog` loads no names yet, so importing `SummaryWriter` from it is
measured too.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

from benchmarks import _check, _picture
from benchmarks._question import Plan, Question, Results, Row, Sample, Trial
from benchmarks.peers import peer, peers_of

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

_NUMPY, _TBLOG = "numpy", "tblog-module"
_PLAIN = {_NUMPY: "import numpy", _TBLOG: "import tblog"}


def _trials(plan: Plan) -> list[Trial]:
    sizes = {"starts": 1 if plan.quick else 5}
    chosen = [p.name for p in peers_of(8, quick=plan.quick)]
    return [Trial(name, sizes=sizes) for name in (*_PLAIN, *chosen)]


def _measure(trial: Trial, logdir: Path) -> Sample:
    statement = _PLAIN.get(trial.writer) or peer(trial.writer).import_line
    starts = range(trial.sizes["starts"])
    _secs(statement)
    sample = {"import": statistics.median(_secs(statement) for _ in starts)}
    if trial.writer not in _PLAIN:
        whole = f"{statement}; w = SummaryWriter({str(logdir)!r}); w.add_scalar('loss', 1.5, 0); w.close()"
        sample["one scalar"] = _secs(whole)
    return sample


def _secs(statement: str) -> float:
    program = f"""
        import time
        start = time.perf_counter()
        {statement}
        print(time.perf_counter() - start)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout)


def _check_scalar(trial: Trial, logdir: Path) -> int:
    import numpy as np

    return 0 if trial.writer in _PLAIN else _check.scalars(logdir, {"loss": np.array([1.5])})


def _rows(results: Results) -> list[Row]:
    numpy = f"import numpy {results.value(_NUMPY, 'import', 1e3, 'ms')}"
    ours, theirs = (
        results.value("tblog", "one scalar", 1e3, "ms"),
        results.value("torch", "one scalar", 1e3, "ms"),
    )
    peers = [n for n in results.rounds if n not in {*_PLAIN, "tblog"}]
    beside = "".join(f"; {peer(n).label} {results.value(n, 'import', 1e3, 'ms')}" for n in peers)
    return [
        Row(
            "import tblog, against import numpy",
            "at most x1.2",
            results.ratio(_TBLOG, "import", _NUMPY),
            1.2,
            4.0,
            "factor",
            f"{results.value(_TBLOG, 'import', 1e3, 'ms')}; {numpy}",
        ),
        Row(
            "from tblog import SummaryWriter, against import numpy",
            "at most x1.5",
            results.ratio("tblog", "import", _NUMPY),
            1.5,
            6.0,
            "factor",
            f"{results.value('tblog', 'import', 1e3, 'ms')}; {numpy}{beside}",
        ),
        Row(
            "a program that logs one scalar, import to close, against torch",
            "-",
            results.ratio("tblog", "one scalar", "torch"),
            None,
            2.0,
            "fraction",
            f"{ours}; torch {theirs}",
        ),
    ]


def _draw(results: Results, axes: Axes) -> None:
    entries = [("import numpy", results.figure(_NUMPY, "import", 1e3))]
    entries += [("tblog: import tblog", results.figure(_TBLOG, "import", 1e3))]
    for name in sorted(set(results.rounds) - set(_PLAIN), key=lambda name: name != "tblog"):
        entries += [
            (f"{name}: import SummaryWriter", results.figure(name, "import", 1e3)),
            (f"{name}: the same, one scalar, close", results.figure(name, "one scalar", 1e3)),
        ]
    _picture.bars(axes, entries, "ms")


QUESTION = Question(
    number=8,
    name="import",
    asks="What does the import cost?",
    trials=_trials,
    measure=_measure,
    check=_check_scalar,
    rows=_rows,
    draw=_draw,
)

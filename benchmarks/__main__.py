"""Answer the questions: `python -m benchmarks [questions...] [--quick] [--repeats N]`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks import _machine, _picture, _table
from benchmarks._results import ResultFile
from benchmarks._runner import ROOT, run
from benchmarks.questions import numbers, question

_RESULTS = ROOT / "benchmarks" / "results"


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks; return 1 if a trial failed or, in the quick mode, a wide limit was missed."""
    options = _parser().parse_args(arguments)
    repeats = options.repeats or (1 if options.quick else 5)
    machine = _machine.describe()
    asked = [question(number) for number in options.questions or numbers()]
    answers = list(run(asked, repeats=repeats, quick=options.quick))
    machine["load after"] = " ".join(f"{load:.2f}" for load in os.getloadavg())
    result = ResultFile.of(machine, answers, repeats=repeats, quick=options.quick)
    print(_table.for_terminal(result), *_table.notes(result), sep="\n")
    _keep(result, options.results or (_RESULTS / "local" if options.quick else _RESULTS))
    failed = any(answer.failures for answer in answers)
    collapsed = result.bad_rows() if options.quick else []
    for row in collapsed:
        print(f"collapsed: {row.what} ({row.detail})", file=sys.stderr)
    return int(failed or bool(collapsed))


def _keep(result: ResultFile, folder: Path) -> None:
    stamp = result.machine["date"].replace(" UTC", "").replace(" ", "_").replace(":", "")
    path = folder / f"{stamp}{'_quick' if result.quick else ''}.json"
    result.write(path)
    pictures = path.with_suffix("")
    pictures.mkdir(exist_ok=True)
    for stored in result.questions:
        _picture.draw_question(stored, pictures)
    print(f"Kept in {path} and {pictures}/")


def _number(text: str) -> int:
    if text not in map(str, numbers()):
        raise argparse.ArgumentTypeError(f"there is no question {text!r}; give numbers from {numbers()}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "questions", nargs="*", type=_number, metavar="N", help="questions by number; all if none"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes and wide limits: is anything broken?"
    )
    parser.add_argument("--repeats", type=int, help="rounds of each trial (5; 1 with --quick)")
    parser.add_argument(
        "--results", type=Path, help="folder for the result file and the pictures (benchmarks/results)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

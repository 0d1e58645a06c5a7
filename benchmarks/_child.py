"""The process in which one trial is measured: `python -m benchmarks._child ORDER ANSWER`.

ORDER is a JSON file that names the question and the trial. The sample goes to ANSWER as JSON, so a writer's
output can do no harm. This file imports little: each question imports what it measures.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks._question import Trial
from benchmarks.questions import question


def _answer(order: dict[str, Any]) -> dict[str, float]:
    asked = question(order["question"])
    if order["trial"] is None:
        return asked.prepare()
    return asked.measure(Trial(**order["trial"]), Path(order["logdir"]))


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(_answer(json.loads(Path(sys.argv[1]).read_text()))))

"""A training whose log directory is in an object store.

Run as `remote.py WRITER URL OUT HANG_SECS`. `training.Training` documents the contents of OUT at the end; if the
writer cannot be made, OUT holds the report of a training that never began.
"""

from __future__ import annotations

import sys

from tests.faults.training import Training, report_refusal

NUMBERS = 100


def main(name: str, url: str, out: str, hang_secs: str) -> None:
    """Log, flush, log and close."""
    try:
        training = Training(name, url, out, float(hang_secs))
    except Exception as error:
        report_refusal(out, error)
        return
    training.log(NUMBERS)
    training.confirm()
    training.log(NUMBERS)
    training.end()


if __name__ == "__main__":
    main(*sys.argv[1:])

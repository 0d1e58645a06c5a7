"""Write TensorBoard event files from PyTorch training code.

`SummaryWriter` replaces torch's and tensorboardX's. A name is loaded when it is first used:
importing tblog imports neither torch nor tensorboardX.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Imported now, unlike the others: the function must replace the module of the same name for good.
from tblog.patch import patch, unpatch

if TYPE_CHECKING:
    from tblog import errors, records
    from tblog.file_writer import FileWriter
    from tblog.global_writer import GlobalSummaryWriter
    from tblog.options import WriterOptions
    from tblog.reading import read
    from tblog.record_writer import RecordWriter
    from tblog.reporting import report
    from tblog.stats import Stats
    from tblog.writer import SummaryWriter

__version__ = "0.1.0"

# Type checkers read this list and the imports above, and the interpreter the table below. A test checks that they agree.
__all__ = [
    "FileWriter",
    "GlobalSummaryWriter",
    "RecordWriter",
    "Stats",
    "SummaryWriter",
    "WriterOptions",
    "__version__",
    "errors",
    "patch",
    "read",
    "records",
    "report",
    "unpatch",
]

_HOMES = {
    "FileWriter": "tblog.file_writer",
    "GlobalSummaryWriter": "tblog.global_writer",
    "RecordWriter": "tblog.record_writer",
    "Stats": "tblog.stats",
    "SummaryWriter": "tblog.writer",
    "WriterOptions": "tblog.options",
    "errors": "tblog.errors",
    "read": "tblog.reading",
    "records": "tblog.records",
    "report": "tblog.reporting",
}


if not TYPE_CHECKING:  # a type checker would accept every misspelt name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'tblog' has no attribute {name!r}")
        home = importlib.import_module(_HOMES[name])
        value = home if home.__name__ == f"tblog.{name}" else getattr(home, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

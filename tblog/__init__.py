"""Write TensorBoard event files from Python training code, at next to no cost to the loop.

`SummaryWriter` takes the place of torch's and of tensorboardX's. Names are loaded when they are
first used: importing tblog imports neither torch nor tensorboardX.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Not late as the others: the function takes the name of its module, and must do so once and for all.
from tblog.patch import patch, unpatch

if TYPE_CHECKING:
    from tblog import records
    from tblog.file_writer import FileWriter
    from tblog.global_writer import GlobalSummaryWriter
    from tblog.options import WriterOptions
    from tblog.reading import read
    from tblog.record_writer import RecordWriter
    from tblog.writer import SummaryWriter

__version__ = "0.1.0"

__all__ = [
    "FileWriter",
    "GlobalSummaryWriter",
    "RecordWriter",
    "SummaryWriter",
    "WriterOptions",
    "__version__",
    "patch",
    "read",
    "records",
    "unpatch",
]

_HOMES = {
    "FileWriter": "tblog.file_writer",
    "GlobalSummaryWriter": "tblog.global_writer",
    "RecordWriter": "tblog.record_writer",
    "SummaryWriter": "tblog.writer",
    "WriterOptions": "tblog.options",
    "read": "tblog.reading",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in {"records", "errors"}:
        value = importlib.import_module(f"tblog.{name}")
    else:
        raise AttributeError(f"module 'tblog' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

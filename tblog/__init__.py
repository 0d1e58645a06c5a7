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
    from tblog import records
    from tblog.file_writer import FileWriter
    from tblog.global_writer import GlobalSummaryWriter
    from tblog.options import WriterOptions
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
    "records",
    "unpatch",
]

_HOMES = {
    "FileWriter": "tblog.file_writer",
    "GlobalSummaryWriter": "tblog.global_writer",
    "RecordWriter": "tblog.record_writer",
    "SummaryWriter": "tblog.writer",
    "WriterOptions": "tblog.options",
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

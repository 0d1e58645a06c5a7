"""A file that gets its name when it is complete, so that nobody reads half of it, and an error leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def completed(path: str, partial: str) -> Iterator[str]:
    """Yield the name to write to, and move that file to `path` at the end of the block.

    Args:
        path: the file; one that is there is replaced.
        partial: a name on the same file system that nothing else uses.

    Raises:
        OSError: it cannot be written or moved. A file that was at `path` is as it was.
    """
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise

"""Being a user whom the rights of files stop, also where the tests run as root."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

_NOBODY = 65534


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a test's folder the working directory, open to all users: pytest closes its parent to others."""
    folder.chmod(0o755)
    monkeypatch.chdir(folder)


@contextlib.contextmanager
def no_rights() -> Iterator[None]:
    """Give up root's rights in this block; a user without them stays the same."""
    user = os.geteuid()
    if not user:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)

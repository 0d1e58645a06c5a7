"""What some tests need and some machines lack: there these tests are skipped and say why; in CI they fail."""

from __future__ import annotations

import importlib.util
import os
from typing import NoReturn

import pytest


def need_package(name: str, extra: str = "test") -> None:
    """Skip the test where a package is missing: some have nothing for the newest version of Python."""
    if importlib.util.find_spec(name) is None:
        do_without(
            f'{name} is not installed; pip install "tblog[{extra}]", if it has a wheel for this version of Python'
        )


def do_without(reason: str) -> NoReturn:
    """Skip the test, or fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)

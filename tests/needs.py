"""What some tests need and some machines lack: without it these tests skip with a reason, and fail in CI."""

from __future__ import annotations

import importlib.util
import os
from typing import NoReturn

import pytest


def need_package(name: str, extra: str = "test") -> None:
    """Skip the test if a package is missing: some have no release for the newest Python."""
    if importlib.util.find_spec(name) is None:
        do_without(
            f'{name} is not installed; pip install "tblog[{extra}]", if it has a wheel for this version of Python'
        )


def do_without(reason: str) -> NoReturn:
    """Skip the test, or fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)

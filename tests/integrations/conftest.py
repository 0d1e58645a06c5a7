"""Shared by the tests of tblog.integrations: a program in a fresh process, where the framework is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.frameworks.conftest import OFFLINE
from tests.needs import need_package
from tests.processes import run_program


@pytest.fixture(autouse=True)
def _need_framework(request: pytest.FixtureRequest) -> None:
    """Skip if the framework that names the test file is missing; in CI, fail."""
    need_package(request.path.stem.removeprefix("test_"), "frameworks")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs programs one after another in `tmp_path`."""

    def run(*sources: str, **environment: str) -> str:
        return run_program("\n".join(sources), tmp_path, timeout=280, environment={**OFFLINE, **environment})

    return run

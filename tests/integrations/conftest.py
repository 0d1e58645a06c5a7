"""What the tests of tblog.integrations share: a program in a fresh process, where the framework is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.frameworks.conftest import OFFLINE
from tests.needs import need_package
from tests.processes import run_program


@pytest.fixture(autouse=True)
def _need_framework(request: pytest.FixtureRequest) -> None:
    """Skip where the framework that a test file is named after is missing; in CI, fail."""
    need_package(request.path.stem.removeprefix("test_"), "frameworks")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs programs, one after the other, with `tmp_path` as their directory."""

    def run(*sources: str, **environment: str) -> str:
        return run_program("\n".join(sources), tmp_path, timeout=280, environment={**OFFLINE, **environment})

    return run

"""Integrations whose framework is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import ROOT, run_program, site_packages_without

MODULES = sorted(path.stem for path in Path(ROOT / "tblog/integrations").glob("[a-z]*.py"))


@pytest.fixture(autouse=True)
def _need_framework():
    """Need no framework."""


def test_an_integration_says_what_brings_its_framework(tmp_path):
    """Without the framework, the import raises a ModuleNotFoundError that names the extra."""
    packages = tmp_path / "packages"
    packages.mkdir()
    site_packages_without({*MODULES, "pytorch_lightning"}, packages)
    printed = run_program(
        f"""
import importlib
for name in {MODULES}:
    try:
        importlib.import_module("tblog.integrations." + name)
    except ModuleNotFoundError as error:
        print(error)
""",
        tmp_path,
        packages=packages,
    )
    assert len(MODULES) == 7
    for name, line in zip(MODULES, printed.splitlines(), strict=True):
        assert line.startswith(f"tblog.integrations.{name} needs the package ")
        assert line.endswith(f'pip install "tblog[{name}]"')

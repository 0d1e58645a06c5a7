"""The docstring examples of tblog.integrations each run in a fresh process, and every class has one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.needs import need_package
from tests.processes import ROOT
from tests.slow import slow_but

pytestmark = pytest.mark.frameworks

MODULES = sorted(path.stem for path in Path(ROOT / "tblog/integrations").glob("[a-z]*.py"))

# Frameworks print to standard error, which doctest does not compare.
EXAMPLES = """
import doctest, importlib, os, sys
module = importlib.import_module("tblog.integrations." + sys.argv[1])
runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
for name in module.__all__:
    home = sys.modules[getattr(module, name).__module__]
    (example, *_) = doctest.DocTestFinder().find(getattr(module, name), name, module=home, globs={})
    assert example.examples, name + " has no example"
    os.mkdir(name)
    os.chdir(name)
    runner.run(example)
    os.chdir("..")
sys.exit(runner.summarize().failed)
"""


@pytest.fixture(autouse=True)
def _need_framework(request: pytest.FixtureRequest) -> None:
    """Skip the example if its framework is missing; in CI, fail."""
    need_package(request.getfixturevalue("module"), "frameworks")


@pytest.mark.parametrize("module", slow_but(["accelerate"], MODULES))
def test_the_examples_of_an_integration_run(module, run):
    """A user who pastes an example sees what the docstring shows."""
    run(f"import sys; sys.argv[1:] = [{module!r}]", EXAMPLES, KERAS_BACKEND="torch")

"""The docstring examples of the public modules run, and every public class and function has one.

An example starts from nothing: it imports what it uses, so that a reader can paste it.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import tblog
import tblog.adapters
from tests.needs import need_package

# Packages that some examples need and that lack a wheel for some Python versions.
NEEDS = {"tblog.adapters.cam": "pytorch_grad_cam", "tblog.graph._onnx": "onnx"}


def _public_modules() -> list[str]:
    """Return the modules that a user may import: the package's top-level modules and the adapters."""
    found = [
        f"{package.__name__}.{module.name}"
        for package in (tblog, tblog.adapters)
        for module in pkgutil.iter_modules(package.__path__)
        if not module.name.startswith("_")
    ]
    return sorted({"tblog", *found})


def _public_names() -> dict[str, object]:
    """Return the public classes and functions of these modules, by the module that defines them."""
    public = {}
    for module_name in _public_modules():
        module = importlib.import_module(module_name)
        offered = getattr(module, "__all__", None)
        for name in offered or vars(module):
            value = getattr(module, name)
            home = getattr(value, "__module__", None)
            if name.startswith("_") or not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            if offered or home == module_name:
                public[f"{home}.{name}"] = value
    return public


def _modules_with_examples() -> list[str]:
    return sorted({*_public_modules(), *(name.rpartition(".")[0] for name in _public_names())})


@pytest.mark.parametrize("name", _modules_with_examples())
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example prints what its docstring shows, in its own directory."""
    if name in NEEDS:
        need_package(NEEDS[name])
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    report: list[str] = []
    for example in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name), globs={}):
        folder = tmp_path / example.name
        folder.mkdir()
        monkeypatch.chdir(folder)
        runner.run(example, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


def test_every_public_class_and_function_has_an_example() -> None:
    """A reader sees each public name in use. tests/integrations has the same test for tblog.integrations."""
    assert [name for name, value in _public_names().items() if ">>>" not in (value.__doc__ or "")] == []

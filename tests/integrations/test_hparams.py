"""Framework configurations as hyperparameters."""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np
import pytest

from tblog.integrations._hparams import flat_hparams


@pytest.fixture(autouse=True)
def _need_framework():
    """Need no framework."""


@dataclasses.dataclass
class Data:
    """A configuration in a class of its own."""

    size: int = 2
    names: tuple[str, ...] = ("a", "b")


def test_nested_configurations_become_one_level():
    """Mappings, namespaces, dataclasses and lists of them are flattened, with keys joined by slashes."""
    config = {"lr": 0.1, 5: {"deep": {"er": True}}, "data": Data(), "stages": [{"n": 1}, {"n": 2}]}
    config["cli"] = argparse.Namespace(seed=3, note=None)
    assert flat_hparams(config) == {
        "lr": 0.1,
        "5/deep/er": True,
        "data/size": 2,
        "data/names": "('a', 'b')",
        "stages/0/n": 1,
        "stages/1/n": 2,
        "cli/seed": 3,
    }


def test_any_value_becomes_a_hyperparameter():
    """Arrays of one element become numbers, classes become names, and anything else becomes text."""
    config = {"a": np.float32(0.5), "b": np.array([2]), "c": np.zeros(2), "d": dict, "e": [], "f": 10**400}
    assert flat_hparams(config) == {
        "a": 0.5,
        "b": 2,
        "c": "[0. 0.]",
        "d": "dict",
        "e": "[]",
        "f": str(10**400),
    }


def test_a_configuration_that_holds_itself_ends():
    """Circular references are left out."""
    config = {"lr": 0.1}
    config["self"] = config
    assert flat_hparams(config) == {"lr": 0.1}

"""Hyperparameters equal torch's, except that booleans stay booleans."""

from __future__ import annotations

import numpy as np
import pytest
import tensorboardX.summary
import torch
import torch.utils.tensorboard.summary
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from tblog.errors import InvalidTypeError, InvalidValueError
from tblog.records import HparamsRecord
from tblog.summaries import check
from tests.encoded import encoded, parsed

HPARAMS = {"lr": 0.1, "layers": 3, "name": "adam", "nothing": None, "naïve": -0.0, "": ""}
METRICS = ("accuracy", "loss/val")


def told(summaries):
    """Return tag and parsed plugin data of each summary."""
    found = []
    for summary in summaries:
        (value,) = summary.value
        assert value.metadata.plugin_data.plugin_name == "hparams"
        found.append((value.tag, HParamsPluginData.FromString(value.metadata.plugin_data.content)))
    return found


def torchs(hparams, metrics, domains=None):
    """Return what torch writes."""
    made = torch.utils.tensorboard.summary.hparams(hparams, dict.fromkeys(metrics, 0), domains)
    return told(map(parsed, made))


@pytest.mark.parametrize("metrics", [(), METRICS])
@pytest.mark.parametrize(
    "domains", [{}, {"lr": [0.1, 0.01], "name": ["adam", "sgd"]}], ids=["no domains", "domains"]
)
def test_numbers_and_strings_are_torchs(domains, metrics):
    """Experiment, session start and session end, each in its own summary; None is left out."""
    ours = told(encoded(HparamsRecord(hparams=HPARAMS, metrics=metrics, domains=domains)))
    assert ours == torchs(HPARAMS, metrics, domains)
    assert len(ours) == 3


def test_booleans_are_tensorboardxs():
    """A boolean stays a boolean; torch writes it as a number."""
    hparams = {"bias": True, "nesterov": False, "lr": 0.5}
    theirs = told(map(parsed, tensorboardX.summary.hparams(hparams, {"loss": 0})))
    assert told(encoded(HparamsRecord(hparams=hparams, metrics=["loss"]))) == theirs


def test_domains_of_booleans_are_booleans():
    """A domain keeps the type of its hyperparameter, and whole numbers may stand among others."""
    record = HparamsRecord(hparams={"bias": True, "lr": 0.1}, domains={"bias": [True, False], "lr": (0.1, 1)})
    experiment = told(encoded(record))[0][1].experiment
    domains = {info.name: list(info.domain_discrete) for info in experiment.hparam_infos}
    assert domains == {"bias": [True, False], "lr": [0.1, 1.0]}
    assert [type(value) for value in domains["bias"]] == [bool, bool]


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([2.5]), 2.5),
        (torch.tensor(4), 4),
        (torch.tensor([True]), True),
        (np.str_("a"), "a"),
    ],
)
def test_what_holds_one_value_is_that_value(given, plain):
    """Scalars and arrays of one element, of numpy and torch, keep their type too."""
    ours = told(encoded(HparamsRecord(hparams={"h": given})))
    assert ours == told(encoded(HparamsRecord(hparams={"h": plain})))


@pytest.mark.parametrize(
    "value", [[1, 2], {"a": 1}, np.zeros(3), torch.zeros(2), object(), 1j, 10**400, "\ud800"]
)
def test_other_values_are_refused(value):
    """A list, or a value that a message cannot hold, raises the originals' ValueError and names it."""
    with pytest.raises(InvalidValueError, match="'h'"):
        check(HparamsRecord(hparams={"h": value}))


@pytest.mark.parametrize("domains", [{"lr": 0.1}, {"lr": ["a"]}, {"unknown": [1]}, {"name": [1]}])
def test_domains_that_do_not_fit_are_refused(domains):
    """A domain is a list of values of the hyperparameter's type; otherwise torch's TypeError is raised."""
    with pytest.raises(InvalidTypeError, match=str(next(iter(domains)))):
        check(HparamsRecord(hparams=HPARAMS, domains=domains))

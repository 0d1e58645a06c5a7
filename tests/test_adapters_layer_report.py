"""Tests of adapters/_layer_report.py and _layer_chart.py: findings, table, chart and warnings."""

from __future__ import annotations

import logging
import re

import numpy as np
import pytest
import torch
from torch import nn

from tblog.adapters._captions import BACKGROUND, WIDTH
from tblog.adapters._colormaps import NON_FINITE
from tblog.adapters._layer_chart import _GOOD, _MARKED, LayerChart
from tblog.adapters._layer_report import Layer, LayerReport, LayerTable, Warnings
from tblog.adapters.parameters import ParameterWatch
from tblog.records import Deferred, ImageRecord, ScalarRecord, TextRecord

torch.set_num_threads(1)

FINE = {"gradient_norm": 1.0, "update_ratio": 1e-3, "dead_activations": 0.1, "nonfinite_gradients": 0.0}


def _report(layers, *, told=None, step=0, kind="Linear", trained=True):
    """Return a report of layers by name, with healthy figures except for those given."""
    quantities = {quantity: {} for figures in layers.values() for quantity in FINE | figures}
    for name, figures in layers.items():
        for quantity, value in (FINE | figures).items():
            if value is not None:
                quantities[quantity][name] = value
    return LayerReport(
        step,
        [Layer(name, kind, has_parameters=True, is_trained=trained) for name in layers],
        quantities,
        told or Warnings("watch/table", scales=False),
    )


@pytest.mark.parametrize(
    ("figures", "found"),
    [
        ({}, []),
        ({"update_ratio": 9e-7}, ["update ratio below 1e-6"]),
        ({"update_ratio": 0.2}, ["update ratio above 0.1"]),
        ({"update_ratio": float("nan")}, []),
        ({"gradient_norm": 9e-5}, ["gradient norm below 1e-4 of the greatest"]),
        ({"gradient_norm": 0.0}, ["the gradient is 0"]),
        ({"gradient_norm": None, "update_ratio": None}, ["no gradient came"]),
        ({"dead_activations": 0.5}, ["half of the units or more are dead"]),
        ({"dead_gradients": 0.9}, ["half of the units or more are dead"]),
        ({"nonfinite_gradients": 0.01}, ["NaN or infinity in the gradients"]),
        (
            {"nonfinite_parameters": 1.0, "update_ratio": 1e-9},
            ["NaN or infinity in the parameters", "update ratio below 1e-6"],
        ),
    ],
)
def test_what_is_wrong_with_a_layer_is_found(figures, found):
    """Each figure beyond its bound is a finding, and the other layers have none."""
    broken, other = _report({"broken": figures, "other": {}}).rows()
    assert list(broken.findings) == found
    assert not other.findings


def test_layers_that_are_not_trained_have_no_gradient_to_miss():
    """A frozen layer is marked as frozen, and has no finding."""
    report = _report({"frozen": {"gradient_norm": None, "update_ratio": None}}, trained=False)
    assert "| `frozen` | Linear |  |  | 10 % | 0 % | frozen |" in str(LayerTable(report))
    assert str(LayerTable(report)).startswith("**the layer**: nothing found")


def test_rows_of_an_embedding_that_are_not_in_the_batch_are_not_dead():
    """Their gradient is 0, as expected."""
    (row,) = _report({"words": {"dead_gradients": 0.99}}, kind="Embedding").rows()
    assert not row.findings


def test_a_step_that_changed_nothing_blames_no_layer():
    """With a learning rate of 0 or a skipped step, one message says so instead."""
    report = _report({name: {"update_ratio": 0.0} for name in "ab"})
    assert not any(row.findings for row in report.rows())
    assert str(LayerTable(report)).startswith("**all layers**: unchanged: the learning rate is 0")


def test_the_table_marks_the_rows_with_findings_and_says_them_first():
    """The text begins with each finding's layers; the worst rows are bold; figures have three digits."""
    text = str(LayerTable(_report({"in": {"update_ratio": 2e-7}, "mid": {}, "out": {"update_ratio": 3e-8}})))
    head, rows = text.split("\n\n")
    assert head == "**layers in, out**: update ratio below 1e-6"
    assert (
        "| **`in`** | Linear | **1.00e+00** | **2.00e-07** | **10 %** | **0 %** | **update ratio below 1e-6** |"
        in rows
    )
    assert "| `mid` | Linear | 1.00e+00 | 1.00e-03 | 10 % | 0 % |  |" in rows


class TestWarnings:
    """What is logged as a warning, and when."""

    def _look(self, caplog, *reports, scales=False):
        told = Warnings("watch/table", scales=scales)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "tblog"):
            for step, layers in enumerate(reports):
                _report(layers, told=told, step=step).rows()
        return [record.getMessage() for record in caplog.records]

    def test_what_two_steps_in_a_row_show_is_reported_once(self, caplog):
        """The message names these layers, and no layer that only one step showed."""
        small = {"update_ratio": 1e-8}
        first, then = {"0": small, "1": small, "2": small}, {"0": small, "1": {}, "2": small}
        (message,) = self._look(caplog, first, then, then, then)
        assert "layers 0, 2 of the watched model: update ratio below 1e-6 (at step 1" in message
        assert "'watch/table'" in message

    def test_what_one_step_shows_is_not_reported(self, caplog):
        """For example, the first step of a learning-rate warm-up."""
        assert self._look(caplog, {"0": {"update_ratio": 1e-8}, "1": {}}, {"0": {}, "1": {}}) == []

    def test_nan_is_reported_at_once_unless_a_scaler_looks_for_it(self, caplog):
        """A GradScaler finds its scale through infinite gradients; with one, the warning takes two steps in a row."""
        broken = {"0": {"nonfinite_gradients": 1.0}}
        assert (
            "layer 0 of the watched model: NaN or infinity in the gradients" in self._look(caplog, broken)[0]
        )
        assert self._look(caplog, broken, scales=True) == []
        assert len(self._look(caplog, broken, broken, scales=True)) == 1


class TestChart:
    """The picture of all layers."""

    def test_bars_rise_with_the_figures_and_marked_ones_have_a_colour_of_their_own(self):
        """Each panel has one bar for each layer, in the model's order."""
        layers = {
            str(index): {"gradient_norm": 10.0**-index, "update_ratio": 0.05 * 10.0**-index}
            for index in range(9)
        }
        chart = LayerChart(report=_report(layers))
        picture = chart.numpy()
        assert isinstance(chart, Deferred)
        assert picture.shape[1] == WIDTH
        bars = [(picture == color).all(axis=2) for color in (_GOOD, _MARKED)]
        heights = (bars[0] | bars[1]).sum(axis=0)
        edges = np.flatnonzero(np.diff((heights > 0).astype(int)))
        assert len(edges) == 2 * 9
        tops = [heights[start + 1 : end].max() for start, end in edges.reshape(-1, 2)]
        assert tops == sorted(tops, reverse=True)
        marked = np.flatnonzero(bars[1].any(axis=0))
        first_marked = 5  # 1e-5 of the greatest
        assert edges[2 * first_marked] < marked.min() <= edges[2 * first_marked] + 1

    @pytest.mark.parametrize("number", [1, 3, 41, 60, 400])
    def test_any_number_of_layers_has_room(self, number):
        """The picture is as wide as all others and no higher than a card, even with hundreds of layers."""
        layers = {f"encoder.layers.{index}.self_attention.out_proj": {} for index in range(number)}
        layers[next(iter(layers))] = {"dead_activations": 1.0}
        picture = LayerChart(report=_report(layers)).numpy()
        assert picture.shape[1] == WIDTH
        assert picture.shape[0] < 650
        assert (picture == _MARKED).all(axis=2).any()

    def test_figures_without_a_logarithm_are_drawn(self):
        """Zero has a mark at the bottom, NaN a bar in its own colour, and a missing figure nothing."""
        layers = {
            "zero": {"gradient_norm": 0.0},
            "nan": {"gradient_norm": float("nan")},
            "none": {"gradient_norm": None},
        }
        picture = LayerChart(report=_report(layers)).numpy()
        assert (picture == NON_FINITE).all(axis=2).any()
        nothing = LayerChart(report=_report({"none": {"gradient_norm": None, "update_ratio": None}})).numpy()
        assert not (nothing == _GOOD).all(axis=2).any()
        assert (nothing != BACKGROUND).any()


def test_a_vanishing_gradient_is_answered_in_one_picture_one_table_and_one_warning(caplog):
    """The gradient does not reach the first of seven sigmoid layers, and all three outputs say so."""
    torch.manual_seed(0)
    layers = [part for _ in range(6) for part in (nn.Linear(32, 32), nn.Sigmoid())]
    model = nn.Sequential(*layers, nn.Linear(32, 10))
    optimizer, inputs = torch.optim.SGD(model.parameters(), 0.01), torch.rand(16, 32)
    with ParameterWatch(model, every=1) as watch, caplog.at_level(logging.WARNING, "tblog"):
        for _ in range(2):
            nn.functional.cross_entropy(model(inputs), torch.arange(16) % 10).backward()
            optimizer.step()
            optimizer.zero_grad()
            records = watch.records()
            (table,) = [str(record.text) for record in records if isinstance(record, TextRecord)]
    norms = {record.tag: float(record.value) for record in records if isinstance(record, ScalarRecord)}
    assert norms["watch_gradient_norm/0"] < 1e-4 * norms["watch_gradient_norm/12"]
    assert table.startswith("**layers 0, 2")
    (picture,) = [record.image.numpy() for record in records if isinstance(record, ImageRecord)]
    assert (picture == _MARKED).all(axis=2).any()
    messages = [record.getMessage() for record in caplog.records]
    assert sum("gradient norm below 1e-4 of the greatest" in message for message in messages) == 1


def test_the_layout_overlays_the_layers():
    """Custom Scalars gets one chart for each quantity, with the tags of all layers."""
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with ParameterWatch(model, every=1, tag="a.b") as watch:
        model(torch.rand(3, 2)).sum().backward()
        torch.optim.SGD(model.parameters(), 0.1).step()
        tags = [record.tag for record in watch.records()]
    (charts,) = watch.layout().values()
    assert list(watch.layout()) == ["a.b"]
    assert {"gradient norm of each layer", "update ratio of each layer"} < set(charts)
    for kind, (pattern,) in charts.values():
        assert kind == "Multiline"
        assert any(re.match(pattern, tag) for tag in tags)
        assert not re.match(pattern, "aXb_gradient_norm/0")
    assert ParameterWatch(model, gradients=False, activations=False).layout() == {
        "watch": {
            "update ratio of each layer": ["Multiline", ["^watch_update_ratio/"]],
            "parameter norm of each layer": ["Multiline", ["^watch_parameter_norm/"]],
        }
    }

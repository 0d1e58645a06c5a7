"""The records of a watched step: an overview of the model under one tag, and the figures of each layer.

Lives here: the tags. TensorBoard groups tags by their first part and opens the first groups. The overview is a group
of its own before the details.
Runs on the training thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from tblog._values.arrays import snapshot
from tblog.adapters._layer_chart import LayerChart
from tblog.adapters._layer_report import LayerReport, LayerTable
from tblog.adapters._step_figures import StepFigures
from tblog.records import HistogramRecord, ImageRecord, Record, ScalarRecord, TextRecord


def overview(tag: str, what: str) -> str:
    """Return a tag for the whole model, such as "watch/table"."""
    return f"{tag}/{what}" if tag else what


def detail(tag: str, quantity: str) -> str:
    """Return the first part of the tags of a quantity, such as "watch_gradient_norm"."""
    return f"{tag}_{quantity}" if tag else quantity


def step_records(tag: str, figures: StepFigures, report: LayerReport) -> Iterator[Record]:
    """Return the image, the table, and a scalar or histogram for each figure."""
    if any(report.tells):
        yield ImageRecord(tag=overview(tag, "layers"), image=LayerChart(report=report), dataformats="HWC")
    yield TextRecord(tag=overview(tag, "table"), text=LayerTable(report))
    for name, value in figures.totals.items():
        yield ScalarRecord(tag=overview(tag, name), value=value)
    for quantity, layers in figures.layers.items():
        for layer, value in layers.items():
            yield ScalarRecord(tag=f"{detail(tag, quantity)}/{layer}", value=value)
    for name, values in figures.histograms.items():
        own = detail(tag, name)
        yield HistogramRecord(tag=own, values=snapshot(values, own))


def layout(tag: str, quantities: Sequence[str]) -> dict[str, dict[str, list[Any]]]:
    """Return a layout for Custom Scalars: a chart for each quantity, with a line for each layer."""
    return {
        tag or "layers": {
            f"{quantity.replace('_', ' ')} of each layer": [
                "Multiline",
                [f"^{re.escape(detail(tag, quantity))}/"],
            ]
            for quantity in quantities
        }
    }

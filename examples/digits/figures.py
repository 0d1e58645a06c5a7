"""The matplotlib figures: the confusion matrix, and the misclassified digits."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

from digits.data import CLASSES, Split
from digits.training import Evaluation


def confusion_matrix(labels: Tensor, predictions: Tensor) -> Tensor:
    """Count how often each class (row) was predicted as each class (column), (10, 10)."""
    size = len(CLASSES)
    return torch.bincount(labels * size + predictions, minlength=size * size).reshape(size, size)


def confusion_figure(data: Split, evaluation: Evaluation) -> Figure:
    """Draw the confusion matrix with its counts."""
    counts = confusion_matrix(data.labels, evaluation.predictions)
    figure = Figure(figsize=(4, 3.6), layout="constrained")
    axes = figure.add_subplot(xlabel="predicted", ylabel="true", title="validation digits")
    # The off-diagonal cells matter most: a root scale makes a single mistake visible.
    axes.imshow(counts.sqrt().numpy(), cmap="Blues")
    axes.set_xticks(range(len(CLASSES)), CLASSES)
    axes.set_yticks(range(len(CLASSES)), CLASSES)
    dark = float(counts.max()) ** 0.5 / 2
    for row, column in counts.nonzero().tolist():
        count = int(counts[row, column])
        colour = "white" if count**0.5 > dark else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=colour)
    return figure


def mistakes_figure(data: Split, evaluation: Evaluation, rows: int = 2, columns: int = 4) -> Figure:
    """Draw the misclassified digits, the most confident mistakes first, each with its two labels."""
    confidence = evaluation.probabilities.amax(1)
    wrong = (evaluation.predictions != data.labels).nonzero().flatten()
    shown = wrong[confidence[wrong].argsort(descending=True)][: rows * columns]
    figure = Figure(figsize=(1.2 * columns, 1.6 * rows + 0.4), layout="constrained")
    figure.suptitle(f"{len(wrong)} of {len(data)} validation digits are taken for another")
    for place, index in enumerate(shown.tolist(), start=1):
        axes = figure.add_subplot(rows, columns, place)
        axes.imshow(data.images[index, 0].numpy(), cmap="gray_r")
        axes.set_axis_off()
        predicted = CLASSES[int(evaluation.predictions[index])]
        axes.set_title(
            f"{CLASSES[int(data.labels[index])]} taken for {predicted}\n{confidence[index]:.0%} sure",
            fontsize=8,
        )
    return figure

"""Log a matplotlib figure as an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tblog import SummaryWriter


def main(log_dir: str | Path = "runs/figure") -> None:
    """Log a plot of a wave."""
    x = np.linspace(0, 10, 200)
    figure = Figure(layout="constrained")
    axes = figure.add_subplot(xlabel="x", title="a damped wave")
    axes.plot(x, np.exp(-x / 5) * np.sin(3 * x))
    with SummaryWriter(log_dir) as writer:
        writer.add_figure("wave", figure)


if __name__ == "__main__":
    main()

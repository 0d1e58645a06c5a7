"""Draws matplotlib figures in the call, because it is not safe to draw a figure on another thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tblog.errors import InvalidTypeError, InvalidValueError, MissingDependencyError, shortened

if TYPE_CHECKING:
    from numpy.typing import NDArray


def draw(figure: Any, *, close: bool) -> NDArray[np.uint8]:
    """Draw a figure, or a list of figures of one size, with the Agg canvas.

    Args:
        figure: a `matplotlib.figure.Figure`, or a list of them.
        close: whether to close each figure in pyplot afterwards.

    Returns:
        RGB pixels, (H, W, 3), or (N, H, W, 3) for a list.

    Raises:
        InvalidTypeError: it is not a figure, or an empty list.
        InvalidValueError: the figures of a list differ in size.
        MissingDependencyError: matplotlib is not installed.
    """
    if isinstance(figure, (list, tuple)) and figure:
        pictures = [draw(one, close=close) for one in figure]
        sizes = sorted({(picture.shape[1], picture.shape[0]) for picture in pictures})
        if len(sizes) > 1:
            raise InvalidValueError(
                f"add_figure got figures of {' and '.join(f'{width}x{height}' for width, height in sizes)} pixels; "
                "give figures of one size, or log them one by one"
            )
        return np.stack(pictures)
    _require_figure(figure)
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    pixels: NDArray[np.uint8] = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    if close:
        _close(figure)
    return pixels


def dismiss(figure: Any, *, close: bool) -> None:
    """Check what `draw` is given, and close it, without drawing: another rank does.

    Raises:
        The errors of `draw`, but that figures may differ in size.
    """
    for one in figure if isinstance(figure, (list, tuple)) and figure else [figure]:
        _require_figure(one)
        if close:
            _close(one)


def _require_figure(figure: Any) -> None:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingDependencyError("matplotlib", "demo", "add_figure") from error
    if not isinstance(figure, Figure):
        raise InvalidTypeError(
            f"add_figure got {shortened(figure)} of type {type(figure).__name__}; "
            "give a matplotlib.figure.Figure, or a list of them"
        )


def _close(figure: Any) -> None:
    from matplotlib import pyplot as plt

    plt.close(figure)

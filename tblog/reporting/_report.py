"""The report: the contents of runs as one page.

Lives here: what users call. Must not: know how a kind is packed, or the HTML.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from tblog._files.completing import check_output, written
from tblog.reading import Runs, read
from tblog.reading._selection import Names, Steps
from tblog.reporting import _curves, _kinds, _page
from tblog.reporting._packing import Blocks

_FRAME_HEIGHT = 620


class Report:
    """A page of runs. Made by `tblog.report`.

    Attributes:
        html: the whole page.
        path: the path of its file, None if none was written.

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs") as writer:
        ...     writer.add_scalar("loss", 1.0, 0)
        >>> tblog.report("runs").html[:15]
        '<!DOCTYPE html>'
    """

    def __init__(self, html: str, path: str | None) -> None:
        self.html = html
        self.path = path

    def __repr__(self) -> str:
        return f"<Report{f' {self.path!r}' if self.path is not None else ''}: {len(self.html):,} characters>"

    def _repr_html_(self) -> str:
        """Return a frame that holds the page. Without an origin, its scripts do not reach the notebook."""
        frame = f'<iframe title="tblog report" sandbox="allow-scripts" width="100%" height="{_FRAME_HEIGHT}"'
        return f'{frame} style="border: 1px solid #8888" srcdoc="{escape(self.html)}"></iframe>'


def report(
    source: Runs | str | os.PathLike[str] | Iterable[str] | Mapping[str, str],
    output: str | os.PathLike[str] | None = None,
    *,
    title: str | None = None,
    run: Names = None,
    tag: Names = None,
    steps: Steps = None,
) -> Report:
    """Make one HTML page that shows runs in a browser, without a server and without a network.

    In a notebook, the returned object displays the page.

    Long curves are thinned: each bucket keeps its smallest and its largest value exactly. Of many images, texts and
    histograms, evenly spaced steps are kept. The page says how much it shows.

    Args:
        source: what `tblog.read` takes, such as a log directory; or the runs that it returned.
        output: where the file goes; without it, none is written. One that is there is replaced once the new one is
            complete.
        title: the page's title; the name of the log directory if it is not given.
        run: which runs, as in `tblog.read`.
        tag: which tags, as in `tblog.read`.
        steps: which steps, as in `tblog.read`.

    Returns:
        The page, and the path of its file.

    Raises:
        FileNotFoundError: there is nothing at `source`.
        OSError: the file cannot be written.

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     for step in range(3):
        ...         writer.add_scalar("loss", 1 / (step + 1), step)
        >>> tblog.report("runs", "report.html").path
        'report.html'
    """
    if output is not None:
        check_output(os.fspath(output))
    if isinstance(source, Runs):
        runs = (
            source
            if (run, tag, steps) == (None, None, None)
            else source.filter(run=run, tag=tag, steps=steps)
        )
        name = "Runs"
    else:
        runs = read(source, run=run, tag=tag, steps=steps)
        name = title_of(source) if isinstance(source, (str, os.PathLike)) else "Runs"
    blocks = Blocks()
    index = _index(runs, blocks)
    index["title"] = title or name
    index["made"] = time.strftime("%Y-%m-%d %H:%M")
    # The name of a directory may have bytes that are not UTF-8.
    page = Report(
        _page.html(index, blocks).encode(errors="replace").decode(),
        os.fspath(output) if output is not None else None,
    )
    if page.path is not None:
        _write(page.path, page.html)
    return page


def title_of(place: str | os.PathLike[str]) -> str:
    """Return the title of a page of the runs at a place: its name, or the whole pattern."""
    text = os.fspath(place)
    is_pattern = glob.has_magic(text) and not os.path.exists(text)
    return text if is_pattern else os.path.basename(os.path.abspath(text))


def _index(runs: Runs, blocks: Blocks) -> dict[str, Any]:
    """Return what the page needs before it unpacks a block."""
    names = list(runs)
    return {
        "runs": names,
        "scalars": _curves.scalars(runs.scalars, blocks, names),
        **_kinds.kinds(runs, blocks, names),
    }


def _write(path: str, text: str) -> None:
    """Write a file in one step."""
    with (
        written(path) as part,
        open(part, "w", encoding="utf-8", newline="\n") as file,
    ):
        file.write(text)

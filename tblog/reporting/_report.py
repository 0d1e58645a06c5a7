"""The report: what runs hold, as one page.

Lives here: what users call. Must not: know how a kind is packed, or the HTML.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

from tblog._files.completing import completed
from tblog.reading import Runs, read
from tblog.reading._selection import Names, Steps
from tblog.reporting import _curves, _media, _page
from tblog.reporting._packing import Blocks


def report(
    source: Runs | str | os.PathLike[str] | Iterable[str] | Mapping[str, str],
    output: str | os.PathLike[str],
    *,
    title: str | None = None,
    run: Names = None,
    tag: Names = None,
    steps: Steps = None,
) -> str:
    """Write one HTML file that shows runs in a browser, without a server and without a network.

    Long curves are thinned: each bucket keeps its smallest and its largest value exactly. Of many images, texts and
    histograms, evenly spaced steps are kept. The page says how much it shows.

    Args:
        source: what `tblog.read` takes, such as a log directory, or the runs that it returned.
        output: the path of the file. An existing file is replaced once the new one is complete.
        title: the page's title. None takes the name of the log directory.
        run: which runs, as in `tblog.read`.
        tag: which tags, as in `tblog.read`.
        steps: which steps, as in `tblog.read`.

    Returns:
        The path of the file.

    Raises:
        FileNotFoundError: there is nothing at `source`.
        OSError: the file cannot be written.

    Example:
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     for step in range(3):
        ...         writer.add_scalar("loss", 1 / (step + 1), step)
        >>> tblog.report("runs", "report.html")
        'report.html'
    """
    if isinstance(source, Runs):
        runs = (
            source
            if (run, tag, steps) == (None, None, None)
            else source.filter(run=run, tag=tag, steps=steps)
        )
        name = "Runs"
    else:
        runs = read(source, run=run, tag=tag, steps=steps)
        name = os.path.basename(os.path.abspath(source)) if isinstance(source, (str, os.PathLike)) else "Runs"
    blocks = Blocks()
    index = _index(runs, blocks)
    index["title"] = title or name
    index["made"] = time.strftime("%Y-%m-%d %H:%M")
    path = os.fspath(output)
    _write(path, _page.html(index, blocks))
    return path


def _index(runs: Runs, blocks: Blocks) -> dict[str, Any]:
    """Return what the page needs before it unpacks a block."""
    names = list(runs)
    return {
        "runs": names,
        "scalars": _curves.scalars(runs.scalars, blocks, names),
        **_media.kinds(runs, blocks, names),
    }


def _write(path: str, text: str) -> None:
    """Write a file in one step."""
    with (
        completed(path, f"{path}.{os.getpid()}.part") as part,
        open(part, "w", encoding="utf-8", errors="replace", newline="\n") as file,
    ):
        file.write(text)

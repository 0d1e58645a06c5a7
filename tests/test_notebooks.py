"""The documentation's notebook runs, and shows what its stored outputs show."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from tests.notebooks import NOTEBOOK, executed


def shown(notebook: NotebookNode) -> list[dict[str, str]]:
    """Return the outputs of each code cell, by type."""
    return [
        {kind: text for output in cell.outputs for kind, text in output.data.items()}
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.slow
def test_the_documentations_notebook_runs_and_shows_what_it_says(tmp_path: Path) -> None:
    """No cell raises; a writer, runs, a run, tables and a report display as in the documentation."""
    kept, again = nbformat.read(NOTEBOOK, as_version=4), executed(NOTEBOOK, tmp_path)
    assert [sorted(one) for one in shown(again)] == [sorted(one) for one in shown(kept)]
    training, writer, runs, run, last, hparams, report = shown(again)
    assert training == {}
    assert [runs, run, hparams] == [*shown(kept)[2:4], shown(kept)[5]]
    assert "411 logged, 411 written" in writer["text/plain"]
    assert "accuracy" in last["text/html"]
    assert report["text/html"].startswith("<iframe")
    assert list(tmp_path.iterdir()) == [tmp_path / "runs"]

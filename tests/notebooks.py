"""Runs the documentation's notebook: `python -m tests.notebooks` runs it again and saves the cells' outputs."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import nbclient
import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
TIMEOUT_SECS = 120


def executed(path: Path, folder: Path) -> NotebookNode:
    """Return a notebook after running its cells in a folder; a cell that raises is an error.

    Args:
        path: the notebook, which is not changed.
        folder: where its program runs, and leaves what it writes.
    """
    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call] # it states none
    client = nbclient.NotebookClient(
        notebook, timeout=TIMEOUT_SECS, record_timing=False, resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env={**os.environ, "PYTHONPATH": str(ROOT)})
    return notebook


def main() -> None:
    """Run the notebook, and save it with its outputs."""
    with tempfile.TemporaryDirectory() as folder:
        notebook = executed(NOTEBOOK, Path(folder))
    nbformat.write(notebook, NOTEBOOK)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()

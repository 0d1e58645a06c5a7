"""Write a result file's table and figures into the pages: `python -m benchmarks.report RESULT.json`.

The whole table goes to benchmarks/README.md, and the few decisive figures go to the README.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import _few, _picture, _table
from benchmarks._results import ResultFile
from benchmarks._runner import ROOT

_BEGIN, _END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"


def section(result: ResultFile, picture: str) -> str:
    """Return the part between the marks of benchmarks/README.md: picture, table and notes, as Markdown."""
    parts = [f"![What logging costs: tblog beside its peers]({picture})", _table.for_markdown(result)]
    return "\n\n".join([*parts, *_table.notes(result)])


def put_into(readme: Path, text: str) -> None:
    """Replace the text between the two marks of a page; ValueError if they are missing."""
    old = readme.read_text()
    if old.count(_BEGIN) != 1 or old.count(_END) != 1 or old.index(_BEGIN) > old.index(_END):
        raise ValueError(
            f"{readme.name} has not the lines {_BEGIN} and {_END}, once and in this order; add them"
        )
    head, rest = old.split(_BEGIN)
    tail = rest.split(_END)[1]
    readme.write_text(f"{head}{_BEGIN}\n{text}\n{_END}{tail}")


def main(arguments: list[str] | None = None) -> int:
    """Redraw the pictures of a result file and write its table and figures into the pages."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md", help="the page of the few figures")
    parser.add_argument(
        "--page", type=Path, default=ROOT / "benchmarks" / "README.md", help="that of the table"
    )
    options = parser.parse_args(arguments)
    result = ResultFile.read(options.result)
    folder = options.result.with_suffix("")
    folder.mkdir(exist_ok=True)
    for stored in result.questions:
        _picture.draw_question(stored, folder)
    picture = options.result.parent / "readme.png"
    _picture.draw_readme(result, picture)
    put_into(options.page, section(result, _relative(picture, options.page.parent)))
    put_into(options.readme, _few.for_markdown(result))
    return 0


def _relative(path: Path, folder: Path) -> str:
    return path.resolve().relative_to(folder.resolve()).as_posix()


if __name__ == "__main__":
    sys.exit(main())

"""The page: its parts, its data and its security policy.

The page has nothing logged as HTML. Data is base64 or JSON without `<`, and the scripts write texts only into text
nodes. The policy allows these scripts and no others, and no loading of anything.

Lives here: HTML. Must not: know what the data mean.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib import resources
from typing import Any

from tblog.reporting._packing import Blocks, to_json

_STYLES = ("uPlot.min.css", "report.css")
_SCRIPTS = (
    "unpack.js",
    "elements.js",
    "ticks.js",
    "chart.js",
    "zoom.js",
    "settings.js",
    "lines.js",
    "cards.js",
    "scalars.js",
    "histograms.js",
    "steps.js",
    "pr_curves.js",
    "hparams.js",
    "parallel.js",
    "main.js",
)
_ENDS = "</script", "<!--", "<script"


def html(index: dict[str, Any], blocks: Blocks) -> str:
    """Return the page.

    Args:
        index: what the page needs when it opens: its title, the runs, and what there is of each kind.
        blocks: the data, which the page unpacks on demand.
    """
    style = "\n".join(map(_part, _STYLES))
    library = f"{_part('uPlot.iife.min.js')}\n/*\n{_part('uPlot.LICENSE')}*/"
    script = '(() => {\n"use strict";\n' + "\n".join(map(_part, _SCRIPTS)) + "})();"
    for code in (library, script):
        assert not any(end in code.lower() for end in _ENDS), (
            "a script must not contain the end of its element"
        )
    policy = (
        f"default-src 'none'; script-src {_hash(library)} {_hash(script)}; style-src {_hash(style)}; "
        "img-src data:; media-src data:; base-uri 'none'; form-action 'none'"
    )
    data = "\n".join(
        f'<script type="text/plain" id="block{number}">{text}</script>'
        for number, text in enumerate(blocks.texts)
    )
    known = to_json(index).replace("<", "\\u003c")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="tblog">
<title>{escape(index["title"])}</title>
<style>{style}</style>
</head>
<body>
{_part("body.html")}
<noscript>This report draws its curves by a script, which the browser did not run.</noscript>
<script type="application/json" id="index">{known}</script>
{data}
<script>{library}</script>
<script>{script}</script>
</body>
</html>
"""


def _part(name: str) -> str:
    return resources.files("tblog.reporting").joinpath("page", name).read_text(encoding="utf-8")


def _hash(code: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"

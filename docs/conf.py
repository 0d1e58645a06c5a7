"""How `make docs` builds the site: the pages of this folder, and a reference made from the docstrings."""

from __future__ import annotations

import re
from pathlib import Path

import tblog

project = "tblog"
author = "the tblog developers"
release = version = tblog.__version__
copyright = author  # noqa: A001 - the name that Sphinx reads

# myst_nb is myst_parser, and shows notebooks as they ran: nothing is run here.
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"tblog {release}"
html_theme_options = {
    "sidebar_hide_name": False,
    "top_of_page_buttons": [],  # the link to a page's source leaves a phone too little room for the title
}
html_static_path = ["_static"]
html_css_files = ["site.css"]
exclude_patterns = ["_build"]

default_role = "code"  # `name` in a docstring is code

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"
suppress_warnings = ["myst.header"]  # pages that are read in a checkout, too, may begin below a title

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say shapes and dtypes, which the types cannot
autodoc_preserve_defaults = True
# The reference needs none of the frameworks: their classes are stand-ins while tblog.integrations is read.
autodoc_mock_imports = [
    "accelerate",
    "ignite",
    "keras",
    "lightning",
    "pyarrow",
    "ray",
    "stable_baselines3",
    "transformers",
]
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]+)(#[^)]*)?\)")
_DOCS = Path(__file__).parent


def _without_links_into_the_checkout(_app: object, page: str, source: list[str]) -> None:
    """Turn links to files outside of this folder, which the site does not have, into their names."""
    folder = (_DOCS / page).parent

    def name(link: re.Match[str]) -> str:
        target = (folder / link[2]).resolve()
        if target.is_relative_to(_DOCS):
            return link[0]
        return link[1] if link[1].startswith("`") else f"{link[1]} (`{target.relative_to(_DOCS.parent)}`)"

    source[0] = _OUTSIDE.sub(name, source[0])


def _with_code_blocks(
    _app: object, _what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Say of what is indented behind an empty line that it is code: docstrings are written to be read by `help()`."""
    shown: list[str] = []
    last = ""  # the last line that is not empty
    for line in lines:
        if line.startswith("    ") and last and not last.startswith(" ") and shown[-1] == "":
            shown += [".. code-block:: python", ""]
        shown.append(line)
        last = line or last
    lines[:] = shown


def setup(app: object) -> None:
    """Have Sphinx call what is above."""
    app.connect("source-read", _without_links_into_the_checkout)  # type: ignore[attr-defined]
    app.connect("autodoc-process-docstring", _with_code_blocks, priority=400)  # type: ignore[attr-defined] # before napoleon

"""The page of the package index; everything else about the package stands in setup.cfg.

The page is README.md. An index resolves no relative link, so pictures are left out there, and a link becomes
its words and the path of the file, which the source distribution holds.
"""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import setup


def index_page(readme: str) -> str:
    """Return a README without links into the repository."""
    without_pictures = re.sub(r"!\[[^]]*\]\((?!https?://)[^)]+\)\n\n?", "", readme)
    return re.sub(r"\[([^]]+)\]\((?!https?://|#)([^)]+)\)", _in_words, without_pictures)


def _in_words(link: re.Match[str]) -> str:
    words, path = link.groups()
    return words if words == path else f"{words} (`{path}`)"


if __name__ == "__main__":
    setup(long_description=index_page(Path(__file__).with_name("README.md").read_text(encoding="utf-8")))

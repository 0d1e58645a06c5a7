"""The page of the package index and the compiled module; everything else about the package stands in setup.cfg.

The page is README.md. An index resolves no relative link, so pictures are left out there, and a link becomes
its words and the path of the file, which the source distribution holds.
"""

from __future__ import annotations

import os
import re
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

NATIVE_FILES = (
    *("calls.c", "counts.c", "crc32c.c", "encode.c", "fast_method.c"),
    *("lane.c", "module.c", "numbers.c"),
)


def index_page(readme: str) -> str:
    """Return a README without links into the repository."""
    without_pictures = re.sub(r"!\[[^]]*\]\((?!https?://)[^)]+\)\n\n?", "", readme)
    return re.sub(r"\[([^]]+)\]\((?!https?://|#)([^)]+)\)", _in_words, without_pictures)


def _in_words(link: re.Match[str]) -> str:
    words, path = link.groups()
    return words if words == path else f"{words} (`{path}`)"


class BuildForLaterPythons(build_ext):
    """Names the compiled module as every Python looks for it that may install the wheel."""

    def get_ext_filename(self, fullname: str) -> str:
        """Return the path without the platform: on 3.15 setuptools names it, and 3.11 does not look for that."""
        return re.sub(r"\.abi3-[^.]+", ".abi3", super().get_ext_filename(fullname))


def native() -> dict[str, object]:
    """Return what builds the compiled module: nothing where TBLOG_PURE=1 refuses it.

    Nothing, too, for a Python without the interpreter lock, which loads no module of this stable ABI.
    """
    if os.environ.get("TBLOG_PURE", "") not in {"", "0"} or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return {}
    module = Extension(
        "tblog._native._compiled",
        [f"tblog/_native/{name}" for name in NATIVE_FILES],
        depends=["tblog/_native/native.h"],
        define_macros=[("Py_LIMITED_API", "0x030B0000")],  # of Python 3.11: one build for all later ones
        py_limited_api=True,
        optional=True,  # without a compiler, tblog is installed without it
    )
    return {
        "ext_modules": [module],
        "cmdclass": {"build_ext": BuildForLaterPythons},
        "options": {"bdist_wheel": {"py_limited_api": "cp311"}},
    }


if __name__ == "__main__":
    page = index_page(Path(__file__).with_name("README.md").read_text(encoding="utf-8"))
    setup(long_description=page, **native())

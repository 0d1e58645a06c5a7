"""Where an embedding's files lie, and the configuration in which TensorBoard's projector finds them."""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING

from tblog._stores import is_remote

if TYPE_CHECKING:
    from collections.abc import Iterable

CONFIG_NAME = "projector_config.pbtxt"

_NOT_IN_NAMES = re.compile(r"[%/\\\x00-\x1f]|^\.{1,2}$")


def folder_of(tag: str, step: int) -> str:
    """Return the folder of an embedding's files, relative to the log directory, as both originals name it.

    A character of the tag that would lead out of the folder, or that no file name can hold, is
    written as % and two hexadecimal digits.
    """
    name = _NOT_IN_NAMES.sub(lambda found: "".join(f"%{ord(letter):02x}" for letter in found[0]), tag)
    return f"{str(step).zfill(5)}/{name}"


class Entry:
    """One embedding in the making: its files first, then its entry in the configuration."""

    def __init__(self, tag: str, step: int) -> None:
        self.image_side: int | None = None
        self._name = f"{tag}:{str(step).zfill(5)}"
        self._folder = folder_of(tag, step)
        self._written: set[str] = set()

    def write_file(self, logdir: str, name: str, parts: Iterable[bytes]) -> None:
        """Write one of the embedding's files.

        Raises:
            OSError: it cannot be written.
        """
        folder = os.path.join(logdir, self._folder)
        os.makedirs(folder, exist_ok=True)
        _replace(os.path.join(folder, name), parts)
        self._written.add(name)

    def enter(self, logdir: str) -> None:
        """Add the entry to the configuration of the log directory, which is read again and written whole.

        Raises:
            OSError: it cannot be read or written.
        """
        path, entry = os.path.join(logdir, CONFIG_NAME), self._text().encode()
        earlier = b""
        if os.path.exists(path):
            with open(path, "rb") as file:
                earlier = file.read()
        if entry not in earlier:
            separator = b"\n" if earlier and not earlier.endswith(b"\n") else b""
            _replace(path, [earlier, separator, entry])

    def _text(self) -> str:
        lines = ["embeddings {", f"  tensor_name: {_quoted(self._name)}"]
        for field, name in (("tensor_path", "tensors.tsv"), ("metadata_path", "metadata.tsv")):
            if name in self._written:
                lines.append(f"  {field}: {_quoted(f'{self._folder}/{name}')}")
        if self.image_side is not None:
            lines += ["  sprite {", f"    image_path: {_quoted(f'{self._folder}/sprite.png')}"]
            lines += [f"    single_image_dim: {self.image_side}"] * 2
            lines.append("  }")
        return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    from google.protobuf.text_encoding import CEscape

    return f'"{CEscape(text, as_utf8=False)}"'


def _replace(path: str, parts: Iterable[bytes]) -> None:
    """Write a file beside its place and move it there: nobody reads half of it."""
    beside = f"{path}.{os.getpid()}-{threading.get_ident()}.tmp"
    try:
        with open(beside, "wb") as file:
            file.writelines(parts)
        os.replace(beside, path)
    except BaseException:
        if os.path.exists(beside):
            os.unlink(beside)
        raise
    if is_remote(path):
        from tensorboardX.embedding import maybe_upload_file

        maybe_upload_file(path)

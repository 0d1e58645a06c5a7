"""Embeddings: the files beside the event files that TensorBoard's projector shows.

https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/plugins/projector/projector_config.proto
"""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tblog.reading._items import UnreadableError
from tblog.reading._sources import FileSystem

CONFIG = "projector_config.pbtxt"

_TOKEN = re.compile(
    r'\s*(?:#[^\n]*\n\s*)*([A-Za-z_][\w.]*|"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[-+.\w]+|[{}:<>\[\],;])'
)
_MOST = 1 << 20


class Embedding:
    """One embedding of a run's directory. Its files are read when you ask for their content.

    Attributes:
        name: the tensor's name; with tblog and torch the tag and step ("words:00000").
        tensor_path: the file of its vectors. `metadata_path` is the file of its labels, `sprite_path` the picture of
            its points' images; each is None without such a file.
        sprite_size: width and height of one image in the picture.

    Example:
        >>> import numpy as np
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     writer.add_embedding(np.eye(3), metadata=["a", "b", "c"], tag="words")
        >>> (words,) = tblog.read("runs")["seed1"].embeddings
        >>> words.name, words.vectors.shape, words.metadata
        ('words:00000', (3, 3), [['a'], ['b'], ['c']])
    """

    def __init__(self, files: FileSystem, directory: str, config: dict[str, Any]) -> None:
        self._files = files
        self.name = _text(config, "tensor_name")
        self.tensor_path = _path(directory, _text(config, "tensor_path"))
        self.metadata_path = _path(directory, _text(config, "metadata_path"))
        sprite = (config.get("sprite") or [{}])[-1]
        sprite = sprite if isinstance(sprite, dict) else {}
        self.sprite_path = _path(directory, _text(sprite, "image_path"))
        self.sprite_size = tuple(_numbers(sprite, "single_image_dim"))
        self._shape = tuple(_numbers(config, "tensor_shape"))

    def __repr__(self) -> str:
        return f"<Embedding {self.name!r}: {self.tensor_path}>"

    @property
    def vectors(self) -> NDArray[np.float32]:
        """The vectors, float32 (points, dimensions); raises UnreadableError if the file holds none."""
        if self.tensor_path is None:
            raise UnreadableError(f"{CONFIG} names no tensor_path for the embedding {self.name!r}")
        raw = self._read(self.tensor_path)
        try:
            if self.tensor_path.endswith(".bytes"):
                return np.frombuffer(raw, "<f4").reshape(self._shape)
            rows = [line.split(b"\t") for line in raw.splitlines() if line.strip()]
            return np.array(rows).astype(np.float32).reshape(len(rows), -1)
        except ValueError as error:
            raise UnreadableError(f"{self.tensor_path} holds no vectors: {error}") from error

    @property
    def metadata(self) -> list[list[str]]:
        """The labels: the columns of each line. With more than one column, the header comes first."""
        if self.metadata_path is None:
            return []
        lines = self._read(self.metadata_path).decode(errors="replace").splitlines()
        return [line.split("\t") for line in lines]

    @property
    def sprite(self) -> bytes:
        """The encoded picture of the points' images, b"" without one."""
        return self._read(self.sprite_path) if self.sprite_path else b""

    def _read(self, path: str) -> bytes:
        try:
            with self._files.open(path) as file:
                return file.read()
        except OSError as error:
            raise UnreadableError(f"a file of the embedding {self.name!r} cannot be read: {error}") from error


def embeddings(files: FileSystem, directory: str) -> list[Embedding]:
    """Return the embeddings that the projector's file in a directory lists; none without such a file."""
    path = f"{directory}/{CONFIG}"
    if not files.exists(path):
        return []
    with files.open(path) as file:
        text = file.read(_MOST).decode(errors="replace")
    found = _messages(_TOKEN.findall(text)).get("embeddings", [])
    return [Embedding(files, directory, one) for one in found if isinstance(one, dict)]


def _messages(marks: list[str]) -> dict[str, list[Any]]:
    """Read protobuf's text format: {field: [values and messages]}. Anything else is left out."""
    top: dict[str, list[Any]] = {}
    stack = [top]
    name = ""
    for mark in marks:
        if mark == "{":
            message: dict[str, list[Any]] = {}
            stack[-1].setdefault(name, []).append(message)
            stack.append(message)
        elif mark == "}":
            if len(stack) > 1:
                stack.pop()
        elif mark[0] in "\"'":
            stack[-1].setdefault(name, []).append(_unquoted(mark[1:-1]))
        elif mark[0].isdigit() or mark[0] in "-+.":
            stack[-1].setdefault(name, []).append(mark)
        elif mark[0].isalpha() or mark[0] == "_":
            name = mark
    return top


def _unquoted(text: str) -> str:
    """Return a string of protobuf's text format without its escapes; bytes are UTF-8."""
    escapes = {"n": "\n", "t": "\t", "r": "\r"}

    def one(found: re.Match[str]) -> str:
        escape = found.group(1)
        return chr(int(escape, 8) & 0xFF) if escape[0].isdigit() else escapes.get(escape, escape)

    plain = re.sub(r"\\([0-7]{1,3}|.)", one, text)
    if re.search(r"\\[0-7]", text):
        return plain.encode("latin-1", "replace").decode(errors="replace")
    return plain


def _text(config: dict[str, Any], name: str) -> str:
    value = (config.get(name) or [""])[-1]
    return value if isinstance(value, str) else ""


def _numbers(config: dict[str, Any], name: str) -> list[int]:
    return [
        int(value)
        for value in config.get(name, [])
        if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value)
    ]


def _path(directory: str, given: str) -> str | None:
    if not given:
        return None
    return given if os.path.isabs(given) else f"{directory}/{given}"

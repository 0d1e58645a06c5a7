"""Images and sounds as encoded bytes that a browser can show and play.

Lives here: types of encoded bytes, and the bound on a page's bytes. Must not: decode any.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tblog.reading import Audio, Image, UnreadableError
from tblog.reporting._packing import Blocks
from tblog.reporting._steps import NoRoomError, series

MOST_IMAGES, MOST_SOUNDS = 20, 10
"""Steps of one tag of one run."""
IMAGE_BYTES, SOUND_BYTES = 50_000_000, 20_000_000
"""Of all of them in one page, which becomes larger by a third of it."""

# SVG is not among them: a picture is pixels here.
_STARTS = {
    b"\x89PNG": "image/png",
    b"GIF8": "image/gif",
    b"\xff\xd8\xff": "image/jpeg",
    b"OggS": "audio/ogg",
    b"fLaC": "audio/flac",
    b"ID3": "audio/mpeg",
}
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}


def images(items: Iterable[Image], blocks: Blocks, runs: list[str]) -> list[dict[str, Any]]:
    """Pack images; each step has (type, block) of each picture."""
    room = _Room("image/", IMAGE_BYTES, blocks)
    return series(items, MOST_IMAGES, runs, lambda item: room.take(item.all_encoded))


def sounds(items: Iterable[Audio], blocks: Blocks, runs: list[str]) -> list[dict[str, Any]]:
    """Pack sounds; each step has (type, block) of each clip."""
    room = _Room("audio/", SOUND_BYTES, blocks)
    return series(items, MOST_SOUNDS, runs, lambda item: room.take(item.all_encoded))


class _Room:
    """The room of one kind on a page."""

    def __init__(self, kind: str, size: int, blocks: Blocks) -> None:
        self._kind, self._left, self._blocks = kind, size, blocks

    def take(self, contents: list[bytes]) -> list[list[Any]]:
        """Pack the contents of a step; raise UnreadableError if no browser shows any, NoRoomError if they are too many."""
        typed = [(kind, content) for content in contents if (kind := _type(content)).startswith(self._kind)]
        if not typed:
            raise UnreadableError(f"nothing in it is {self._kind}*")
        size = sum(len(content) for _, content in typed)
        if size > self._left:
            raise NoRoomError
        self._left -= size
        return [[kind, self._blocks.add(content)] for kind, content in typed]


def _type(content: bytes) -> str:
    """Return the type of encoded bytes, recognised by the first ones, or "" if browsers do not know it."""
    if content.startswith(b"RIFF"):
        return _RIFF.get(content[8:12], "")
    return next((kind for start, kind in _STARTS.items() if content.startswith(start)), "")

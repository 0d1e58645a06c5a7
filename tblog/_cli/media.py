"""Images and sounds of runs as files, in a new directory: RUN/TAG/step-12.png.

A run and a tag may be called anything, so each part of their names is escaped: no file lies outside of the directory.

Lives here: names of files, and what is in them. Must not: read event files.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from tblog._cli import output
from tblog._cli.new_directory import new_directory
from tblog.reading import Audio, Image, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENDINGS = {
    b"\x89PNG": "png",
    b"GIF8": "gif",
    b"\xff\xd8\xff": "jpg",
    b"RIFF....WEBP": "webp",
    b"RIFF....WAVE": "wav",
    b"OggS": "ogg",
    b"fLaC": "flac",
    b"ID3": "mp3",
}
_PLAIN = frozenset("-_.+=,()@ ")
_MOST_BYTES = 200
"""The longest part of a path; file systems take 255."""


def write_media(items: Sequence[Image | Audio], target: str) -> tuple[int, int]:
    """Write each item to files of a new directory; return how many files there are, and how many items are unreadable.

    Raises:
        CommandError: there is something at `target`.
        OSError: it cannot be written. Nothing of it is left.
    """
    taken: set[str] = set()
    files = unreadable = 0
    with new_directory(target) as partial:
        for item in output.with_progress(items, "writing files"):
            try:
                contents = item.all_encoded
            except UnreadableError as error:
                output.tell(str(error))
                unreadable += 1
                continue
            for content in contents:
                path = _free(f"{_folder(item)}/step-{item.step}", _ending(content), taken)
                whole = os.path.join(partial, path)
                os.makedirs(os.path.dirname(whole), exist_ok=True)
                with open(whole, "xb") as file:
                    file.write(content)
                files += 1
    return files, unreadable


def _folder(item: Image | Audio) -> str:
    """Return the directory of a tag; the run "." is the new directory itself."""
    run = [] if item.run == "." else item.run.split("/")
    return "/".join(map(_escaped, [*run, *item.tag.split("/")]))


def _free(stem: str, ending: str, taken: set[str]) -> str:
    """Return a name that nothing else has, also where large and small letters are the same."""
    number, path = 1, f"{stem}.{ending}"
    while path.lower() in taken:
        number += 1
        path = f"{stem}-{number}.{ending}"
    taken.add(path.lower())
    return path


def _escaped(part: str) -> str:
    """Return a part of a name as one of a path: letters and digits stay, other bytes are %20 and the like."""
    if not part:
        return "%empty"
    raw = "".join(
        one
        if one.isalnum() or one in _PLAIN
        else "".join(f"%{byte:02X}" for byte in one.encode(errors="surrogatepass"))
        for one in part
    )
    safe = f"%2E{raw[1:]}" if raw.startswith(".") else raw
    encoded = safe.encode()
    if len(encoded) <= _MOST_BYTES:
        return safe
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    return f"{encoded[: _MOST_BYTES - 17].decode(errors='ignore')}~{digest}"


def _ending(content: bytes) -> str:
    for magic, ending in _ENDINGS.items():
        if all(
            content[at : at + 1] == magic[at : at + 1] or magic[at] == ord(".") for at in range(len(magic))
        ):
            return ending
    return "bin"

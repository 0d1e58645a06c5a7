"""What the scalar encoder caches for each tag: the bytes that do not vary.

The prefix of a tag is what stands between the step and the value of an event: the start of the
summary, with the tag in it. A template is a framed record with zeros for all that varies; there is
one for each tag and width of the step's field.

Lives here: bytes and numbers by tag, within bounds. Must not: know values, steps or times.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from tblog._wire import events
from tblog._wire.framing import FOOTER_BYTES, crc32c, header

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Bounds of the cache. When one is reached, the cache is cleared.
MAX_TAGS = 32_768
MAX_HELD_BYTES = 16 << 20

_MAX_STEP_WIDTH = 8


class TagTable:
    """What the columns need to know about each tag, by its id. Clears itself when it holds too much.

    Attributes:
        prefix_bytes: the length of its prefix.
        prefix_words: the first 8 bytes of its prefix.
        prefix_crcs: what the prefix, followed by a value, adds to the checksum of a record.
    """

    def __init__(self) -> None:
        self.prefix_bytes = np.empty(MAX_TAGS, np.int64)
        self.prefix_words = np.empty(MAX_TAGS, np.uint64)
        self.prefix_crcs = np.empty(MAX_TAGS, np.uint32)
        self._forget()

    def _forget(self) -> None:
        self._ids: dict[str, int] = {}
        self._prefixes: list[bytes] = []
        self._templates: list[dict[str, bytes]] = [{} for _ in range(_MAX_STEP_WIDTH + 1)]
        self._held_bytes = 0

    def ids(self, tags: Sequence[str]) -> NDArray[np.int64]:
        """Return the ids of two tags or more; learns those that are new."""
        if self._held_bytes > MAX_HELD_BYTES:
            self._forget()
        try:
            ids = itemgetter(*tags)(self._ids)
        except KeyError:
            new = set(tags).difference(self._ids)
            if len(self._ids) + len(new) > MAX_TAGS:
                self._forget()
                new = set(tags)
            for tag in new:
                self._learn(tag)
            ids = itemgetter(*tags)(self._ids)
        return np.frombuffer(struct.pack(f"{len(tags)}q", *ids), np.int64)

    def prefix(self, tag: str) -> bytes:
        """Return the bytes between a step and a value."""
        if tag not in self._ids:
            self.ids([tag, tag])  # `itemgetter` returns a tuple for two and more
        return self._prefixes[self._ids[tag]]

    def templates(self, tags: Sequence[str], widths: NDArray[np.int64]) -> Sequence[bytes]:
        """Return framed records with zeros for all that varies; the ids of the tags were asked for."""
        by_width = self._templates
        try:
            if np.logical_and.reduce(widths == widths[0]):
                records: tuple[bytes, ...] = itemgetter(*tags)(by_width[widths[0]])
                return records
            return [by_width[width][tag] for tag, width in zip(tags, widths.tolist(), strict=True)]
        except KeyError:
            for tag, width in zip(tags, widths.tolist(), strict=True):
                if tag not in by_width[width]:
                    by_width[width][tag] = self._template(tag, width)
            return self.templates(tags, widths)

    def _template(self, tag: str, width: int) -> bytes:
        prefix = self.prefix(tag)
        head = bytes([events.TIME_KEY]).ljust(events.TIME_BYTES + width, b"\0")
        event = head + prefix + bytes(events.VALUE_BYTES)
        template = header(len(event)) + event + bytes(FOOTER_BYTES)
        self._held_bytes += len(template)
        return template

    def _learn(self, tag: str) -> None:
        summary = events.summary([events.value(tag)])
        prefix = summary[: -events.VALUE_BYTES]
        i = len(self._prefixes)
        self.prefix_bytes[i] = len(prefix)
        self.prefix_words[i] = int.from_bytes(prefix[:8], "little")
        self.prefix_crcs[i] = crc32c()(summary) ^ crc32c()(bytes(len(summary)))
        self._prefixes.append(prefix)
        self._held_bytes += len(prefix)
        self._ids[tag] = i

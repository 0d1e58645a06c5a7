"""What was cut out of event files, kept beside them under names that no loader reads.

`events.out.tfe-<why>-<when>-at-<byte>-<checksum>.<the rest of the event file's name>` holds an event file's bytes
from that byte on. The checksum covers the bytes before. As long as the event file still begins with these, they and
the kept bytes are the old file. Everything that one writer or one command kept has the same time.

Lives here: these names, cutting out and keeping, finding. Must not: decide what to cut out, or restore it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple

from tblog._files.folders import folders_below
from tblog._files.in_use import WATCH_SECS
from tblog._files.rewrite import HeldFile, beside, chunks_of, unless_in_use, write_file
from tblog._files.walk import walk
from tblog._wire.event_heads import event_head
from tblog._wire.framing import crc32c

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Why = Literal["cut", "undone", "repair", "edit"]
"""Cut off by a run that resumed; set aside for what a restore put back; a whole file, before its repair or an edit."""

_TIME = "%Y%m%d-%H%M%S-%f"
_MARK = re.compile(r"tfe-(cut|undone|repair|edit)-(\d{8}-\d{6}-\d{6})-at-(\d+)-([0-9a-f]{8})")


class Kept(NamedTuple):
    """A file that holds what was cut out of an event file.

    Attributes:
        path: path of this file.
        event_path: path of the event file.
        why: why it was cut out.
        when: identifies the writer or command that did it; see `stamp`.
        start: its position in the event file, in bytes.
        crc: checksum of the bytes before.
    """

    path: str
    event_path: str
    why: Why
    when: str
    start: int
    crc: int


class Extent(NamedTuple):
    """What kept files hold: bytes, records of summaries, and their first and last step."""

    nbytes: int = 0
    records: int = 0
    first: int = 0
    last: int = 0

    def and_then(self, other: Extent) -> Extent:
        """Return the sum of both."""
        if not (self.records and other.records):
            shown = self if self.records else other
            return shown._replace(nbytes=self.nbytes + other.nbytes)
        return Extent(
            self.nbytes + other.nbytes,
            self.records + other.records,
            min(self.first, other.first),
            max(self.last, other.last),
        )


def together(extents: Iterable[Extent]) -> Extent:
    """Return the sum of all."""
    return reduce(Extent.and_then, extents, Extent())


def in_words(extent: Extent) -> str:
    """Say how much that is."""
    if not extent.records:
        return "damaged bytes"
    steps = (
        f"step {extent.first}" if extent.first == extent.last else f"steps {extent.first} to {extent.last}"
    )
    return f"{extent.records:,} record{'' if extent.records == 1 else 's'} of {steps}"


def stamp() -> str:
    """Return the current time, in UTC, which identifies what one writer or one command keeps."""
    return datetime.now(UTC).strftime(_TIME)


def _is_stamp(text: str) -> bool:
    try:
        datetime.strptime(text, _TIME)  # noqa: DTZ007 - whether it is a time, in no matter which zone
    except ValueError:
        return False
    return True


def local_time(when: str) -> str:
    """Return a stamp for people to read."""
    moment = datetime.strptime(when, _TIME).replace(tzinfo=UTC)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


_NOTHING = Extent()


@dataclass(frozen=True)
class TakenOut:
    """What was taken out of an event file.

    Attributes:
        kept: the file that has it, "" if nothing was worth keeping.
        extent: how much it is.
    """

    kept: str = ""
    extent: Extent = _NOTHING


def take_out(
    path: str, keeps: Callable[[bytes], bool], why: Why, when: str, patience: float = WATCH_SECS
) -> TakenOut:
    """Replace an event file by one with only the wanted records, and keep the rest of the old one.

    A file that a writer has open, or that does not start with a record, does not change. A torn record at the
    end is not kept.

    Args:
        path: the event file.
        keeps: returns whether a record stays, by its data.
        why: why the others are cut out.
        when: identifies the writer or command; see `stamp`.
        patience: see `HeldFile.may_change`.

    Raises:
        OSError: this failed. The file has not changed.
    """
    with unless_in_use(path) as held:
        if held is None or not held.is_event_file():
            return TakenOut()
        start, is_worth_it, extent = _survey(held.file, keeps)
        if start is None or not held.may_change(patience):
            return TakenOut()
        kept = _keep_rest(held, start, why, when) if is_worth_it else ""
        if held.rewrite_records(data for data in _records(held.file) if keeps(data)):
            return TakenOut(kept, extent)
        if kept:
            os.unlink(kept)
        return TakenOut()


def _records(file: BinaryIO) -> Iterator[bytes]:
    return (piece.data for piece in walk(file) if piece.data is not None)


def _survey(file: BinaryIO, keeps: Callable[[bytes], bool]) -> tuple[int | None, bool, Extent]:
    """Return the position of the first byte to cut out, whether it is worth keeping, and how much it is."""
    start, damaged, is_worth_it, extent = None, False, False, Extent()
    for piece in walk(file):
        stays = piece.data is not None and keeps(piece.data)
        if start is None and not stays:
            start = piece.start
        if piece.data is None:
            damaged = True
            continue
        is_worth_it = is_worth_it or damaged or not stays
        if not stays:
            extent = extent.and_then(_of_record(piece.data))
    return start, is_worth_it, extent


def _keep_rest(held: HeldFile, start: int, why: Why, when: str) -> str:
    """Keep an event file's bytes from a position on; return the name of the file that has them."""
    crc = _crc(held.chunks(0, start))
    kept = beside(held.path, f"{why}-{when}-at-{start}-{crc:08x}")
    for earlier in kept_in(os.path.dirname(held.path)):
        if earlier[1:] == (held.path, why, earlier.when, start, crc) and _has_rest(earlier.path, held, start):
            os.rename(earlier.path, kept)  # left by an attempt that was killed before it changed the file
            return kept
    write_file(kept, held.chunks(start))
    return kept


def keep_whole(path: str, why: Why, when: str) -> str:
    """Give an event file a second name, and return it.

    Raises:
        OSError: that cannot be done.
    """
    kept = beside(path, f"{why}-{when}-at-0-{0:08x}")
    try:
        os.link(path, kept)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        shutil.copy2(path, kept)
    return kept


def move_aside(path: str, why: Why, when: str) -> str:
    """Give a whole event file a name that no loader reads, and return it.

    Raises:
        OSError: that cannot be done.
    """
    kept = beside(path, f"{why}-{when}-at-0-{0:08x}")
    os.rename(path, kept)
    return kept


def kept_in(folder: str) -> list[Kept]:
    """Return what is kept in a directory, in the order of the names."""
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder or ".") as entries:
        for name in sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False)):
            mark = _MARK.search(name)
            if mark is not None and _is_stamp(mark[2]):
                why, when, start, crc = mark.groups()
                event_path = os.path.join(folder, name.replace(mark[0], "tfevents"))
                path = os.path.join(folder, name)
                found.append(Kept(path, event_path, why, when, int(start), int(crc, 16)))  # type: ignore[arg-type]
    return found


def kept_below(logdir: str, refused: Callable[[OSError], object]) -> dict[tuple[str, Why], list[Kept]]:
    """Return what is kept in a log directory and all runs below it, by its time and why; see `folders_below`."""
    found: dict[tuple[str, Why], list[Kept]] = {}
    for folder in folders_below(logdir, refused):
        for kept in kept_in(folder):
            found.setdefault((kept.when, kept.why), []).append(kept)
    return dict(sorted(found.items()))


def extent_of(path: str) -> Extent:
    """Say what a kept file holds."""
    found = Extent(os.path.getsize(path))
    with open(path, "rb") as file:
        for piece in walk(file):
            if piece.data is not None:
                found = found.and_then(_of_record(piece.data))
    return found


def _of_record(data: bytes) -> Extent:
    head = event_head(data)
    return Extent(0, 1, head.step, head.step) if head.has_summary else Extent()


def fits(kept: Kept, file: BinaryIO) -> bool:
    """Return whether an event file still begins with the bytes that came before the kept ones."""
    size = os.fstat(file.fileno()).st_size
    return size >= kept.start and _crc(chunks_of(file, 0, kept.start)) == kept.crc


def _crc(chunks: Iterable[bytes]) -> int:
    return reduce(lambda crc, chunk: crc32c()(chunk, crc), chunks, 0)


def _has_rest(path: str, held: HeldFile, start: int) -> bool:
    if os.path.getsize(path) != os.fstat(held.file.fileno()).st_size - start:
        return False
    with open(path, "rb") as other:
        return all(one == two for one, two in zip(chunks_of(other), held.chunks(start), strict=True))

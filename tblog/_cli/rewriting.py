"""Rewriting event files: into a new log directory, or in place, as resume and repair do.

A new log directory gets its name when it is complete. In place, a file is replaced in one step and kept beside the new
one, under a name that no loader reads. If a writer uses one of the files, nothing is changed.

Lives here: files and directories. Must not: know what is edited.
"""

from __future__ import annotations

import copy
import os
import shlex
from typing import TYPE_CHECKING, BinaryIO, Protocol

from tblog._cli import output
from tblog._cli.applying import applied, touched
from tblog._cli.arguments import DONE, NOTHING
from tblog._cli.new_directory import keep_apart, new_directory
from tblog._cli.stretches import Records, stretches
from tblog._files.kept import keep_whole, stamp
from tblog._files.rewrite import chunks_of, unless_in_use, write_file
from tblog.reading._tags import Tags

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from _typeshed import ReadableBuffer

    from tblog._cli.applying import Decisions
    from tblog._cli.stretches import Values


def _progress(what: str, paths: Sequence[str]) -> output.Progress:
    return output.Progress(what, sum(map(os.path.getsize, paths)))


class Edit(Protocol):
    """What is done to the values of one run, in the order of its files; it may remember what it saw."""

    def __call__(self, values: Values, names: list[str]) -> Decisions:
        """Decide about the values of the next stretch; `names` are the tags by their numbers."""


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for the place of the result."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("-o", "--output", metavar="NEWDIR", help="a new log directory; DIR stays as it is")
    where.add_argument(
        "--in-place",
        action="store_true",
        help="change the files of DIR, which no writer may be using; tblog kept DIR restores the old ones",
    )


def rewrite(
    runs: Mapping[str, Sequence[str]], given: argparse.Namespace, edit_of: Callable[[str], Edit | None]
) -> int:
    """Rewrite the event files of runs to the place that the arguments name; return the exit status.

    Args:
        runs: the paths of each run's files, in TensorBoard's order.
        given: the arguments; see `add_target`.
        edit_of: returns the edit of a run, None for no change; called once for each run.
    """
    if given.in_place:
        return _in_place(runs, given.dir, edit_of)
    keep_apart(given.dir, given.output)
    write_new(runs, given.output, edit_of)
    return DONE


def write_new(runs: Mapping[str, Sequence[str]], target: str, edit_of: Callable[[str], Edit | None]) -> None:
    """Write event files to a new log directory, and copy those of runs without an edit byte for byte.

    Raises:
        CommandError: `target` exists.
        OSError: it cannot be written. Nothing of it stays.
    """
    files = [(name, path) for name, paths in runs.items() for path in paths]
    edits = {name: edit_of(name) for name in runs}
    taken: set[str] = set()
    with (
        new_directory(target) as partial,
        _progress("writing files", [path for _, path in files]) as progress,
    ):
        for name, path in files:
            folder, edit = os.path.join(partial, name), edits[name]
            os.makedirs(folder, exist_ok=True)
            with open(path, "rb") as file:
                chunks = _edited_chunks(file, edit, progress) if edit else _copied_chunks(file, progress)
                write_file(_free(os.path.join(folder, os.path.basename(path)), taken), chunks, mode_of=path)
    output.tell(
        f"{output.counted(len(files), 'event file')} of {output.counted(len(runs), 'run')} in {target}"
    )


def _free(path: str, taken: set[str]) -> str:
    """Return a free name in the new directory, which sorts behind a file that has the name already."""
    number, free = 1, path
    while free in taken:
        number, free = number + 1, f"{path}.{number + 1}"
    taken.add(free)
    return free


def _in_place(runs: Mapping[str, Sequence[str]], place: str, edit_of: Callable[[str], Edit | None]) -> int:
    edits = {name: edit for name in runs if (edit := edit_of(name)) is not None}
    files = [(path, edits[name]) for name in edits for path in runs[name]]
    plans: list[tuple[str, Edit]] = []
    with _progress("reading files", [path for path, _ in files]) as progress:
        for path, edit in files:
            before = copy.deepcopy(edit)
            if _changes(path, edit, progress):
                plans.append((path, before))
    if not plans:
        output.tell("nothing matches, nothing is changed")
        return NOTHING
    if not are_free([path for path, _ in plans]):
        return NOTHING
    when, done = stamp(), 0
    # The last file first: if this is killed, metadata that moves to a later file is there before it is removed.
    with _progress("writing files", [path for path, _ in plans]) as progress:
        try:
            for path, edit in plans[::-1]:
                done += _replace(path, when, edit, progress)
        finally:
            if done:
                tell_of_kept(done, place, when)
    return DONE if done == len(plans) else NOTHING


def tell_of_kept(done: int, place: str, when: str) -> None:
    """Print how many files were changed, and how to undo it."""
    undo = f"; to undo it: tblog kept {shlex.quote(place)} --restore --cut {when}" if done else ""
    output.tell(f"{output.counted(done, 'file')} changed{undo}")


def _changes(path: str, edit: Edit, progress: output.Progress) -> bool:
    """Read a file to its end, and return whether a record changes."""
    is_changed, tags = False, Tags(lambda _: True)
    with open(path, "rb") as file:
        for part in stretches(file, tags):
            if isinstance(part, Records):
                is_changed |= bool(touched(part, edit(part.values, tags.names)).any())
            progress.add(part.nbytes)
    return is_changed


def are_free(paths: Sequence[str]) -> bool:
    """Return whether all files may be changed, and print each that may not."""
    left = [path for path in paths if not _is_free(path)]
    if left:
        output.tell(f"nothing is changed, because a writer may be using {output.counted(len(left), 'file')}")
    return not left


def _is_free(path: str) -> bool:
    with unless_in_use(path) as held:
        return held is not None and held.is_event_file() and held.may_change()


def _replace(path: str, when: str, edit: Edit, progress: output.Progress) -> bool:
    """Edit a file in place and keep the old one beside it; return whether this happened."""
    with unless_in_use(path) as held:
        if held is None or not held.may_change():
            return False
        aside, is_done = keep_whole(path, "edit", when), False
        try:
            is_done = held.rewrite(_edited_chunks(held.file, edit, progress))
        finally:
            if not is_done:
                os.unlink(aside)
        return is_done


def _edited_chunks(file: BinaryIO, edit: Edit, progress: output.Progress) -> Iterator[ReadableBuffer]:
    """Yield the bytes of an edited file; what is damaged stays as it is."""
    tags = Tags(lambda _: True)
    for part in stretches(file, tags):
        if isinstance(part, Records):
            yield applied(part, tags.names, edit(part.values, tags.names)).data
        else:
            yield from chunks_of(file, part.start, part.end)
        progress.add(part.nbytes)


def _copied_chunks(file: BinaryIO, progress: output.Progress) -> Iterator[ReadableBuffer]:
    for chunk in chunks_of(file):
        progress.add(len(chunk))
        yield chunk

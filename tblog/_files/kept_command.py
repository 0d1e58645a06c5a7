"""What `python -m tblog.check` does with kept files: lists, restores and removes them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tblog._files.kept import Kept, Why, extent_of, in_words, kept_below, kept_in, local_time, together
from tblog._files.restore import NotRestoredError, restore
from tblog._terminal import say

if TYPE_CHECKING:
    from collections.abc import Callable

_WHY: dict[Why, str] = {
    "cut": "cut off when the run was resumed",
    "undone": "set aside by a restore",
    "repair": "before a repair",
    "edit": "before an edit in place",
}


def list_kept(path: str, when: str | None, _refuse: Callable[[str], object]) -> int:
    """Print what is kept; return the exit status."""
    found = found_of(path, when)
    for (time, why), files in found.items():
        say(f"{time}  {local_time(time)}  {_WHY[why]}")
        for kept in files:
            extent = extent_of(kept.path)
            say(f"{extent.nbytes:15,} bytes, {in_words(extent)}: {kept.path}")
    say(
        f"{len(found)} kept; --restore puts one back, --remove-kept removes all or that of --cut TIME"
        if found
        else "nothing is kept here"
    )
    return 0


def restore_kept(path: str, when: str | None, refuse: Callable[[str], object]) -> int:
    """Restore what was cut out at one time; return the exit status."""
    found = found_of(path, when)
    times = {time for time, _ in found}
    if len(times) != 1:
        refuse(
            f"several are kept; say which one by --cut, one of {', '.join(sorted(times))}"
            if times
            else f"nothing of {when} is kept in {path}; tblog kept {path} lists what is"
            if when
            else f"nothing is kept in {path}"
        )
    (_, files), *_ = found.items()  # an unfinished restore continues: "cut" comes before "undone"
    failed = 0
    for folder in sorted({os.path.dirname(kept.path) for kept in files}):
        try:
            back, aside = restore([kept for kept in files if os.path.dirname(kept.path) == folder])
        except (NotRestoredError, OSError) as error:
            failed += 1
            say(f"{folder}: not restored: {error}")
            continue
        say(f"{folder}: {in_words(back)} restored")
        if aside.records:
            say(
                f"{'':4}{in_words(aside)} that were in their place set aside; the same command brings them back"
            )
    return 1 if failed else 0


def remove_kept(path: str, when: str | None, _refuse: Callable[[str], object]) -> int:
    """Delete what is kept, or what was cut out at one time; return the exit status."""
    found = found_of(path, when)
    if not found:
        say("nothing is kept here")
    for files in found.values():
        extent = together(extent_of(kept.path) for kept in files)
        for kept in files:
            os.unlink(kept.path)
        say(f"removed {len(files):,} of {files[0].when}, {_WHY[files[0].why]}: {in_words(extent)}")
    return 0


COMMANDS: dict[str, Callable[[str, str | None, Callable[[str], object]], int]] = {
    "list_kept": list_kept,
    "restore": restore_kept,
    "remove_kept": remove_kept,
}


def _say_unread(error: OSError) -> None:
    say(f"{error.filename}: cannot be read: {error.strerror}")


def found_of(
    path: str, when: str | None = None, refused: Callable[[OSError], object] = _say_unread
) -> dict[tuple[str, Why], list[Kept]]:
    """Return what is kept below a directory, by time and reason; for a file, what was cut out together with it.

    Args:
        path: the directory or the file.
        when: only what was cut out at this time.
        refused: called with the error of each directory that cannot be listed.
    """
    if not os.path.isfile(path):
        times = None
    else:
        folder, name = os.path.split(path)
        times = {
            kept.when
            for kept in kept_in(folder)
            if name in {os.path.basename(kept.path), os.path.basename(kept.event_path)}
        }
        path = folder or "."
        if not times:
            return {}
    return {
        key: files
        for key, files in kept_below(path, refused).items()
        if (times is None or key[0] in times) and (when is None or key[0] == when)
    }

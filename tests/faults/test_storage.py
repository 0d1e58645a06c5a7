"""A writer's files on storage that fails at random, again and again, compared with what was logged.

`TBLOG_FUZZ_EXAMPLES` asks for more examples than the few of `make test`.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tblog._files import event_file, handles, unsynced
from tblog._files.run_files import RunFiles
from tblog._wire import events, framing
from tests.faults.storage import FAULTS, FaultyStorage
from tests.sinks import Clock

EXAMPLES = int(os.environ.get("TBLOG_FUZZ_EXAMPLES", "300"))
RUNS = ["", "a", os.path.join("b", "c")]
STEPS = [
    "append",
    "append",
    "append",
    "write",
    "write",
    "sync",
    "recover",
    "release",
    "close a handle",
    "wait",
    "faults",
]


class Lost:
    """The reports of a writer, which count what no file has."""

    def __init__(self) -> None:
        self.count = 0

    def lost(self, _path: str, records: int) -> None:
        """Count what the storage lost."""
        self.count += records

    def refused(self, _error: OSError, _run: str, records: int) -> None:
        """Count what no file can take."""
        self.count += records

    def once(self, *_: object) -> None:
        """Do nothing: this is no loss."""


class Log:
    """Appends records of all sizes to a writer's files, and looks for them there."""

    def __init__(self, seed: int, folder: Path, *, confirms: bool) -> None:
        self.random = Random(seed)
        self.storage = FaultyStorage(self.random, confirms=confirms)
        self.clock = Clock()
        self.lost = Lost()
        self.folder = folder
        self.files = RunFiles(str(folder), "", None, self.lost, self.clock, self.storage.open)
        self.files.ignore_neighbours()
        self.frames: dict[bytes, tuple[str, int]] = {}

    def append(self) -> None:
        """Append some records of one run, as the lanes do."""
        run, first = self.random.choice(RUNS), len(self.frames)
        frames = [self._frame(first + number) for number in range(self.random.randint(1, 4))]
        self.frames |= {frame: (run, first + number) for number, frame in enumerate(frames)}
        kind = self.random.choice([bytes, bytearray, memoryview])
        self.files.append(run, kind(b"".join(frames)), len(frames))

    def _frame(self, number: int) -> bytes:
        return framing.frame(
            events.head(1.0, number) + self.random.randbytes(self.random.choice([0, 1, 5, 40, 900]))
        )

    def take(self, step: str) -> None:
        """Do one step of a writer's, or of its surroundings."""
        if step == "append":
            self.append()
        elif step == "wait":
            self.clock.turn(2)
        elif step == "close a handle":  # as another writer does that needs one
            handles._close(1, tuple(handles._idle))
        elif step == "faults":
            chosen = self.random.sample(FAULTS, self.random.randint(0, 5))
            self.storage.chances = {fault: self.random.choice([0.3, 0.9, 1.0]) for fault in chosen}
            self.storage.largest = self.random.choice([1 << 40, 1 << 40, self.random.randint(60, 1500)])
        elif step == "release":
            for file in self.files._files.values():
                file.release()
        else:
            with contextlib.suppress(OSError):
                getattr(self.files, step)()

    def check_kept(self) -> None:
        """Check that what is kept until the next sync is what was written."""
        for file in self.files._files.values():
            kept = file._unsynced
            assert len(kept.content()) == kept.size
            if kept.size and kept.is_whole:
                assert kept.content() == self.storage.taken[file.path][kept.start :]
        assert unsynced._room._taken == sum(file._unsynced.size for file in self.files._files.values())

    def found(self, run: str) -> list[int]:
        """Return the records in a run's files that a reader finds; damage may only be at the end of a file."""
        numbers = []
        for path, content in self.storage.files.items():
            if os.path.dirname(path) != os.path.join(str(self.folder), run).rstrip(os.sep):
                continue
            start = 0
            while (end := framing.record_end(content, start)) is not None:
                frame = bytes(content[start:end])
                if start:
                    assert self.frames[frame][0] == run
                    numbers.append(self.frames[frame][1])
                else:
                    assert b"brain.Event" in frame
                start = end
        return numbers


@pytest.mark.parametrize("confirms", [False, True], ids=["local", "factory"])
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 1 << 32),
    steps=st.lists(st.sampled_from(STEPS), min_size=10, max_size=80),
    recovers=st.booleans(),
)
def test_each_record_is_in_one_file_once_in_order_or_counted_as_lost(
    tmp_path_factory, confirms, seed, steps, recovers
):
    """Whatever fails in whatever order. Where the storage recovers, the newest file of each run is whole.

    What a factory's file did not confirm is in a new file again, and may be in both.
    """
    with pytest.MonkeyPatch.context() as patch:
        random = Random(seed)
        patch.setattr(unsynced, "_room", unsynced._Room())
        patch.setattr(unsynced, "MAX_BYTES", random.choice([0, 60, 1000, 5000]))
        patch.setattr(unsynced, "JOINED_BYTES", random.choice([0, 50, 200, 10_000]))
        patch.setattr(event_file, "MAX_FACTORY_BYTES", random.choice([100, 2000]))
        patch.setattr(event_file, "PIECE_BYTES", random.choice([30, 333, 100_000]))
        log = Log(seed, tmp_path_factory.getbasetemp() / "faulty", confirms=confirms)
        for step in steps:
            log.take(step)
            log.check_kept()
        if recovers:
            log.storage.recover()
        lost = log.files.close()[0] + log.lost.count
        assert unsynced._room._taken == 0
    found = {run: log.found(run) for run in RUNS}
    if confirms:
        found = {run: list(dict.fromkeys(numbers)) for run, numbers in found.items()}
    for numbers in found.values():
        assert numbers == sorted(set(numbers))
    assert log.files.written + lost == len(log.frames)
    assert sum(map(len, found.values())) >= log.files.written
    if recovers:
        for file in log.files._files.values():
            if file.path:
                assert log.storage.files[file.path] == log.storage.taken[file.path]

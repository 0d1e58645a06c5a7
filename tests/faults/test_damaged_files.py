"""Whatever is in a log directory, check, repair and resume finish, and lose nothing readable.

`TBLOG_FUZZ_EXAMPLES` asks for more examples than the few of `make test`.
"""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event

from tblog import SummaryWriter
from tblog._files.kept import kept_in
from tblog._files.walk import walk
from tblog._wire.events import first_event
from tblog._wire.framing import frame
from tblog.check import check, main
from tests.faults.damage import files, number
from tests.processes import run_python
from tests.reading import event_files, events, points, rust_points
from tests.slow import slow_but

EXAMPLES = int(os.environ.get("TBLOG_FUZZ_EXAMPLES", "60"))
HANG_SECS = 120
fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def put(folder, data, name="events.out.tfevents.1"):
    """Put a file into a folder."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    os.utime(folder / name, (0, 0))  # an old file: nobody waits to see whether it still grows
    return folder / name


def records(data):
    """Return the data of all whole records, by trying every byte offset: no reader can find more."""
    found, at, lost = [], 0, False
    while at < len(data):
        end = at + 16 + struct.unpack_from("<Q", data, at)[0] if at + 16 <= len(data) else len(data) + 1
        if (
            end <= len(data)
            and data[at:end] == frame(data[at + 12 : end - 4])
            and (end > at + 16 or not lost)
        ):
            found.append(data[at + 12 : end - 4])
            at, lost = end, False
        else:
            at, lost = at + 1, True
    return found


def is_event(data):
    """Return whether TensorBoard's own message can parse the bytes."""
    try:
        Event.FromString(data)
    except DecodeError:
        return False
    return True


def told(data):
    """Return a record's contents, without what a repair corrects: times, and limits and counts of histograms."""
    event = Event.FromString(data)
    values = [
        (value.tag, value.simple_value, max(value.histo.bucket, default=0)) for value in event.summary.value
    ]
    return event.step, event.file_version, event.session_log.status, values


def shown(found):
    """Return what the Rust loader shows of each tag: a new point replaces those at its step and beyond."""
    kept = {}
    for tag, series in found.items():
        kept[tag] = []
        for step, value in series:
            kept[tag] = [point for point in kept[tag] if point[0] < step] + [(step, value)]
    return kept


@fuzz
@given(data=files())
def test_a_repair_keeps_every_record_that_holds_an_event_and_a_second_one_does_nothing(new_folder, data):
    """No file crashes it; the old file is kept, and TensorBoard's own loader reads the new one to its end."""
    path = put(new_folder(), data)
    before = [told(record) for record in records(data) if is_event(record)]
    main([str(path.parent), "--repair"])
    assert not any(report.needs_repair for report in check(str(path.parent)))
    after = path.read_bytes()
    others = {other.name: other.read_bytes() for other in path.parent.iterdir() if other != path}
    if not before:
        assert (after, others) == (data, {})
        return
    kept = [told(record) for record in records(after)]
    assert kept == before or kept[1:] == before
    assert len(events(path)) == len(kept)
    assert after == data or list(others.values()) == [data]
    assert not any("tfevents" in name for name in others)
    main([str(path.parent), "--repair"])
    assert path.read_bytes() == after
    assert {other.name for other in path.parent.iterdir()} == {path.name, *others}


def test_what_a_repair_leaves_is_read_to_its_end_by_both_loaders(new_folder):
    """Runs of damaged files in one log directory, each followed by another file."""
    logdir = new_folder()

    @fuzz
    @given(data=files(with_no_events=False))
    def put_one(data):
        folder = logdir / f"run{len(list(logdir.iterdir()))}"
        put(folder, data)
        put(folder, first_event(1.0) + frame(number(31)), "events.out.tfevents.2")

    put_one()
    main([str(logdir), "--repair"])
    expected = {}
    for run in logdir.iterdir():
        unreadable = [path for path in event_files(run) if not records(path.read_bytes())]
        for path in unreadable:  # the Python loader never leaves such a file
            path.unlink()
        expected[run.name] = shown(points(run))
    assert rust_points(logdir, expected) == expected


@pytest.mark.parametrize("record", [b"\xff", number(1)[:-2], number(1).replace(b"x", b"\xff")])
def test_a_record_that_holds_no_event_is_left_out_by_a_repair_since_both_loaders_stop_there(tmp_path, record):
    """Garbage, a truncated message and a tag that is not text, each with valid checksums."""
    path = put(tmp_path, b"".join([first_event(1.0), frame(number(0)), frame(record), frame(number(2))]))
    with pytest.raises(DecodeError):
        events(path)
    assert main([str(tmp_path), "--repair"]) == 0
    expected = {"x": [(0, 0.0), (2, 2.0)]}
    assert points(tmp_path) == expected
    assert rust_points(tmp_path, {".": expected}) == {".": expected}


@fuzz
@given(data=files(), step=st.one_of(st.just(True), st.integers(0, 20)))
def test_a_run_resumed_on_damaged_files_keeps_all_that_is_readable_before_its_step(new_folder, data, step):
    """Without a step, files are cut only at their torn ends; a file that is not an event file is not touched.

    Everything else that is cut off is kept, and can be restored byte for byte.
    """
    path = put(new_folder(), data)
    found = records(data)
    starts_whole = bool(found) and data.startswith(frame(found[0]))
    with SummaryWriter(path.parent, resume=step) as writer:
        assert step is True or writer.next_step == step
        writer.add_scalar("x", 50, 50)
    (new,) = (each for each in event_files(path.parent) if each != path)
    assert points_of(new) == [(50, 50.0)]
    after = path.read_bytes()
    kept = [Path(each.path) for each in kept_in(str(path.parent))]
    assert set(path.parent.iterdir()) == {path, new, *kept}
    if not starts_whole:
        assert after == data
    elif step is True:
        assert data.startswith(after)
        assert records(after) == found
    else:
        lasting = [record for record in found if not is_event(record) or not is_beyond(record, step)]
        assert [record for record in records(after) if is_event(record)] == [*filter(is_event, lasting)]
    if kept:
        os.utime(path, (0, 0))
        assert main([str(path.parent), "--restore"]) == 0
        assert path.read_bytes() == data
    else:
        assert data.startswith(after)
        assert records(after) == found


def is_beyond(record, step):
    """Return whether a record is a summary at or after the step."""
    event = Event.FromString(record)
    return event.HasField("summary") and event.step >= step


def points_of(path):
    """Return the points of one file."""
    return [
        (event.step, event.summary.value[0].simple_value) for event in events(path) if event.summary.value
    ]


LURES = """
import os, socket, sys
from pathlib import Path
from tblog import SummaryWriter
from tblog.check import main
folder = Path(sys.argv[1])
os.mkfifo(folder / "events.out.tfevents.2.fifo")
(folder / "events.out.tfevents.3.folder").mkdir()
(folder / "events.out.tfevents.4.dangling").symlink_to("nowhere")
(folder / "events.out.tfevents.5.itself").symlink_to("events.out.tfevents.5.itself")
(folder / "events.out.tfevents.6.endless").symlink_to("/dev/zero")
(folder / "events.out.tfevents.7.up").symlink_to("..")
(folder / "events.out.tfevents.8.fifo").symlink_to("events.out.tfevents.2.fifo")
socket.socket(socket.AF_UNIX).bind(str(folder / "events.out.tfevents.9"))
for _ in range(2):
    main([str(folder), "--repair"])
for step in (True, 1):
    with SummaryWriter(folder, resume=step) as writer:
        writer.add_scalar("x", 1.0, 1)
"""


@pytest.mark.slow
def test_pipes_folders_and_links_with_the_names_of_event_files_are_passed_by(tmp_path, monkeypatch):
    """Nothing waits at a pipe or reads a device; the real file beside them is repaired and resumed."""
    monkeypatch.chdir(tmp_path)
    run = Path("run")  # the path of a socket must be short
    put(run, first_event(1.0) + frame(number(0)) + b"\x01")
    assert run_python(LURES, run, timeout=HANG_SECS).returncode == 0
    found = [
        point
        for path in event_files(run)
        if path.is_file() and not path.is_symlink()
        for point in points_of(path)
    ]
    assert found == [(0, 0.0), (1, 1.0)]


def test_a_link_to_an_event_file_is_repaired_without_touching_what_it_leads_to(tmp_path):
    """The link's target may be somebody else's archive."""
    archived = put(tmp_path / "archive", first_event(1.0) + frame(number(0)) + b"\x01")
    before = archived.read_bytes()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / archived.name).symlink_to(archived)
    assert main([str(tmp_path / "run"), "--repair"]) == 0
    assert archived.read_bytes() == before
    assert points(tmp_path / "run") == {"x": [(0, 0.0)]}


def test_what_only_has_the_name_of_an_event_file_is_left_as_it_is(tmp_path, caplog):
    """A compressed copy beside the run: a resumed run reports it, and a repair finds nothing to keep."""
    import gzip

    copy = put(tmp_path, gzip.compress(bytes(range(256)) * 100), "events.out.tfevents.0.gz")
    before = copy.read_bytes()
    for step in (True, 5):
        SummaryWriter(tmp_path, resume=step).close()
    assert main([str(tmp_path), "--repair"]) == 1
    assert copy.read_bytes() == before
    assert "does not start with a record" in caplog.text


def test_a_file_that_gets_shorter_while_it_is_read_is_read_to_its_end():
    """Its writer may truncate a torn record at that moment."""

    class Shrinking(io.BytesIO):
        def seek(self, offset, whence=0):
            return super().seek(offset, whence) + (extra if whence == 2 else 0)

    data = first_event(1.0) + frame(number(0))
    for extra in (1, 12, 15, 40, 1 << 21):
        for cut in range(1, 40):
            pieces = list(walk(Shrinking(data[:-cut])))
            assert pieces[-1].end == len(data) - cut + extra
            assert [piece.start for piece in pieces[1:]] == [piece.end for piece in pieces[:-1]]


COSTLY = """
import os, resource, sys
from pathlib import Path
from tblog import SummaryWriter
from tblog._wire.events import first_event
from tblog._wire.framing import frame
from tblog._files.kept import kept_in
from tblog._wire.events import event as event_bytes
from tblog.check import main
from tests.faults.damage import header, nested, number

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

def huge(path, length, size):
    with open(path, "wb") as file:
        file.write(first_event(1.0) + header(length))
        file.truncate(size)

folder = Path(sys.argv[1])
path = folder / "events.out.tfevents.1"
make = {
    "a length that fits, and no data": lambda: huge(path, 80 << 20, 100 << 20),
    "zeros": lambda: huge(path, 1 << 40, 100 << 20),
    "many lengths": lambda: path.write_bytes(first_event(1.0) + header(100_000) * 16_000),
    "deep nesting": lambda: path.write_bytes(first_event(1.0) + frame(nested(20_000)) + frame(number(0))),
    "many values": lambda: path.write_bytes(first_event(1.0) + frame(event_bytes(1.0, 0, 5, b"\\x0a\\x00" * 100_000))),
    "many records": lambda: path.write_bytes(first_event(1.0) + frame(b"") * 100_000),
}[sys.argv[2]]
path.write_bytes(first_event(1.0) + frame(number(0)) + b"\\x01")
main([str(folder), "--repair"])
SummaryWriter(folder, resume=3).close()
make()
before = peak()
resource.setrlimit(resource.RLIMIT_CPU, (100, 100))
main([str(folder), "--repair"])
make()
SummaryWriter(folder, resume=3).close()
print(peak() - before)
"""


LARGE = (
    "a length that fits, and no data",
    "zeros",
    "many lengths",
    "deep nesting",
    "many values",
    "many records",
)


@pytest.mark.parametrize("what", slow_but(["many values"], LARGE))
def test_no_file_makes_the_check_a_repair_or_a_resumed_run_costly(tmp_path, what):
    """Memory does not grow with a length that a file merely claims, and time is bounded."""
    done = run_python(COSTLY, tmp_path, what, timeout=HANG_SECS)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) < 64

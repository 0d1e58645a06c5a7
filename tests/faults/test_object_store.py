"""Runs in an object store, by fsspec, against a loopback server: unconfirmed records do not count as written."""

from __future__ import annotations

import io
import os
import socket
import traceback
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

import tblog
from tblog import FileWriter, RecordWriter, SummaryWriter
from tblog._files import file_systems as _file_systems
from tblog._files import handles as _handles
from tblog._files.walk import walk
from tblog._wire.events import FIRST_EVENT_BYTES
from tblog.errors import WriteError
from tblog.options import WriterOptions
from tests.command import tblog_here as command
from tests.faults.stores import BUCKET, keys, stored_steps
from tests.processes import run_program
from tests.reading import points
from tests.waiting import wait_until


def test_a_run_in_an_object_store_is_whole_and_tensorboard_reads_it(store):
    """Scalars, runs below and texts, read by TensorBoard's own access to object stores."""
    with SummaryWriter(f"s3://{BUCKET}/run") as writer:
        for step in range(100):
            writer.add_scalar("x", step, step)
        writer.add_text("text", "word", 0)
        writer.add_scalars("pair", {"a": 1.0}, 0)
    assert stored_steps(store) == list(range(100))
    assert len(keys(store)) == 2  # one of each run; the constructor has tried the store with the first
    loaded = EventAccumulator(f"s3://{BUCKET}/run")
    loaded.Reload()
    assert [event.step for event in loaded.Scalars("x")] == list(range(100))


def test_a_flush_uploads_what_was_logged_before_it(store):
    """A process killed after a flush has lost nothing before it."""
    with SummaryWriter(f"s3://{BUCKET}/run") as writer:
        for step in range(10):
            writer.add_scalar("x", step, step)
        writer.flush()
        assert stored_steps(store) == list(range(10))


def test_a_run_has_few_objects_and_its_bytes_are_sent_a_few_times_at_most(proxy, store):
    """A flush is one request, which sends new records and those of the newest object."""
    with SummaryWriter(f"s3://{BUCKET}/run") as writer:
        for step in range(40):
            for part in range(50):
                writer.add_scalar("x", step, step * 50 + part)
            writer.flush()
    assert stored_steps(store) == list(range(2000))
    assert len(keys(store)) == 8
    assert proxy.requests == {"PUT": 41}
    assert writer.stats.bytes <= proxy.bytes <= 4 * writer.stats.bytes


def test_a_megabyte_is_sent_once(proxy, store):
    """The object that it makes grows no more."""
    with SummaryWriter(f"s3://{BUCKET}/run") as writer:
        for step in range(4):
            writer.add_text("x", "x" * 1_100_000, step)
            writer.flush()
    assert len(keys(store)) == 4
    assert FIRST_EVENT_BYTES + writer.stats.bytes == proxy.bytes


def test_a_segment_ends_at_its_size(store):
    """It is sent without a flush, so that unconfirmed data are bounded."""
    options = WriterOptions(segment_bytes=10_000)
    with SummaryWriter(f"s3://{BUCKET}/run", flush_secs=10_000, options=options) as writer:
        for wave in range(4):
            for step in range(500 * wave, 500 * wave + 500):
                writer.add_scalar("x", step, step)
            wait_until(lambda: writer.stats.written > 500 * wave)  # noqa: B023 - it is called here
        assert writer.stats.written == len(stored_steps(store))
    assert stored_steps(store) == list(range(2_000))
    assert 4 <= len(keys(store)) <= writer.stats.bytes / 10_000 + 2


@pytest.mark.parametrize("given", [{"flush_secs": 0.2}, {"options": WriterOptions(segment_secs=0.2)}])
def test_a_segment_ends_at_its_age(store, given):
    """The age comes from the options, or else flush_secs; if nothing is logged, nothing is sent."""
    with SummaryWriter(f"s3://{BUCKET}/run", **given) as writer:
        writer.add_scalar("x", 0, 0)
        wait_until(lambda: stored_steps(store) == [0])
        writer.add_scalar("x", 1, 1)
        wait_until(lambda: stored_steps(store) == [0, 1])
    assert len(keys(store)) == 2


REFUSALS = {
    "no credentials": (
        rf"s3://{BUCKET}",
        r"NoCredentialsError: .+\. Give credentials that are valid: AWS_ACCESS_KEY_ID",
    ),
    "no bucket": ("s3://missing", r"NoSuchBucket: .+does not exist\. Create the bucket, or name another"),
    "no endpoint": (
        rf"s3://{BUCKET}",
        r"EndpointConnectionError: .+\. Check the network and the endpoint, S3_ENDPOINT",
    ),
    "credentials in the endpoint": (rf"s3://{BUCKET}", "Cannot combine AUTHORIZATION header with .+ in URL"),
    "no name": ("s3://", r"'s3:///run' names no bucket; give s3://BUCKET/PATH"),
    "a URL of pathlib": (f"s3:/{BUCKET}", r"names no bucket; give s3://BUCKET/PATH, as a str"),
    "credentials in the URL": (
        f"s3://key:secret@{BUCKET}",
        rf"'s3://{BUCKET}/run' names no bucket; .+credentials in the",
    ),
}


@pytest.fixture(params=REFUSALS)
def refusing(request, store, monkeypatch):  # noqa: ARG001 - the store is there
    """Return a log directory that the store refuses, and the expected message."""
    if request.param == "no credentials":
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    if request.param == "no endpoint":
        for name in ("S3_ENDPOINT", "AWS_ENDPOINT_URL"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
    if request.param == "credentials in the endpoint":
        for name in ("S3_ENDPOINT", "AWS_ENDPOINT_URL"):
            monkeypatch.setenv(name, "http://key:secret@127.0.0.1:9")
    base, message = REFUSALS[request.param]
    return f"{base}/run", message


@pytest.mark.parametrize("writer", [SummaryWriter, FileWriter, RecordWriter])
def test_a_store_that_refuses_is_an_error_at_the_constructor(refusing, store, writer, tmp_path, monkeypatch):
    """The error says what happened, what was given and what to do, and contains no credentials."""
    url, message = refusing
    monkeypatch.chdir(tmp_path)
    with pytest.raises((OSError, ValueError), match=message) as refusal:
        writer(url)
    assert "secret" not in str(refusal.value)
    assert keys(store) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("account")
def test_a_store_that_is_silent_is_an_error_at_the_constructor_soon(monkeypatch):
    """The store accepts the connection, but never answers."""
    assert _file_systems.REQUEST_SECS <= 20
    monkeypatch.setattr(_file_systems, "REQUEST_SECS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("S3_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(
            OSError, match=r"TimeoutError: no answer within 0.201 s\. Check the network and the"
        ):
            SummaryWriter(f"s3://{BUCKET}/run")


@pytest.mark.usefixtures("account")
def test_the_global_writer_says_what_the_store_refused(tmp_path):
    """The process that makes the writer raises the error of the writer's process."""
    told = run_program(
        """
        from tblog import GlobalSummaryWriter
        try:
            GlobalSummaryWriter("s3://missing/run")
        except OSError as error:
            print(error)
        """,
        tmp_path,
    )
    assert "NoSuchBucket" in told
    assert "Create the bucket" in told


def test_only_what_the_store_confirmed_counts_as_written(server, store, caplog):
    """In `stats`, in messages, and in `flush` with strict options; at close, the rest is lost and counted."""
    writer = SummaryWriter(f"s3://{BUCKET}/run", options=WriterOptions(strict=True, exit_timeout_secs=0.1))
    writer.add_scalar("x", 0, 0)
    writer.flush()
    confirmed = writer.stats
    assert (confirmed.written, confirmed.bytes) == (
        1,
        sum(store.head_object(Bucket=BUCKET, Key=key)["ContentLength"] for key in keys(store)),
    )
    for step in range(1, 101):
        writer.add_scalar("x", step, step)
    with server.away():
        with pytest.raises(WriteError, match="EndpointConnectionError"):
            writer.flush()
        stats = writer.stats
        assert (stats.queued, stats.written, stats.dropped, stats.failed) == (101, 1, 0, 0)
        assert stats.bytes == confirmed.bytes
        with pytest.raises(WriteError):
            writer.close()
    assert (writer.stats.written, writer.stats.dropped) == (1, 100)
    told = [record.getMessage() for record in caplog.records]
    assert any("Training goes on; 100 records wait" in message for message in told)
    assert any("was closed, and 100 records were lost" in message for message in told)
    assert stored_steps(store) == [0]


def test_a_store_that_is_away_for_a_while_loses_nothing(server, store, caplog):
    """Failed uploads are retried; training goes on, and one message reports it."""
    with SummaryWriter(f"s3://{BUCKET}/run") as writer:
        writer.add_scalar("x", 0, 0)
        writer.add_scalars("pair", {"a": 0.0}, 0)
        writer.flush()
        with server.away():
            for step in range(1, 50):
                writer.add_scalar("x", step, step)
            writer.add_scalars("pair", {"a": 1.0, "b": 1.0}, 1)  # one has an object, the other needs one
            writer.flush()
            writer.flush()
            assert writer.stats.written == 2
        writer.add_scalar("x", 50, 50)
        writer.flush()
        assert (writer.stats.written, writer.stats.dropped) == (54, 0)
    assert stored_steps(store) == list(range(51))
    assert stored_steps(store, "pair") == [0, 1, 1]
    assert sum("cannot write" in record.getMessage() for record in caplog.records) == 1


def test_a_bucket_that_is_missing_for_a_while_loses_nothing(store, caplog):
    """A refusal is handled like no answer."""
    with SummaryWriter(f"s3://{BUCKET}/run") as writer:
        store.delete_object(Bucket=BUCKET, Key=keys(store)[0])
        store.delete_bucket(Bucket=BUCKET)
        writer.add_scalar("x", 0, 0)
        writer.flush()
        assert writer.stats.written == 0
        store.create_bucket(Bucket=BUCKET)
    assert writer.stats.written == 1
    assert stored_steps(store) == [0]
    assert sum("NoSuchBucket" in record.getMessage() for record in caplog.records) == 1


def test_more_runs_below_than_files_may_be_open_keep_their_objects(store, monkeypatch):
    """A segment is not an open file, so none is closed early for lack of handles."""
    monkeypatch.setattr(_handles, "_most", lambda: 1)
    with SummaryWriter(f"s3://{BUCKET}/run") as writer:
        for step in range(3):
            for key in range(5):
                writer.add_scalars("pair", {str(key): key}, step)
    assert len(keys(store)) == 6
    assert sorted(stored_steps(store, "pair")) == sorted([*range(3)] * 5)


def test_a_program_that_ends_without_a_close_has_uploaded_everything(store, tmp_path):
    """The interpreter's exit can start no threads, so an upload must not need one."""
    run_program(
        f"""
        from tblog import SummaryWriter
        writer = SummaryWriter("s3://{BUCKET}/run")
        for step in range(100):
            writer.add_scalar("x", step, step)
        """,
        tmp_path,
    )
    assert stored_steps(store) == list(range(100))


def test_a_program_that_ends_while_the_store_is_away_says_what_is_lost(store, tmp_path):
    """It reports how many records are lost, without a finaliser's traceback."""
    told = run_program(
        f"""
        import os
        from tblog import RecordWriter, SummaryWriter, WriterOptions
        os.dup2(1, 2)
        writer = SummaryWriter("s3://{BUCKET}/run", options=WriterOptions(exit_timeout_secs=1))
        records = RecordWriter("s3://{BUCKET}/records")
        records.write(b"one")
        for step in range(100):
            writer.add_scalar("x", step, step)
        os.environ["S3_ENDPOINT"] = "http://127.0.0.1:9"
        """,
        tmp_path,
    )
    assert "s3://runs/run was closed, and 100 records were lost: " in told
    assert "what was written to s3://runs/records since its last flush is lost: " in told
    assert "Traceback" not in told
    assert stored_steps(store) == []


def test_a_record_writer_stores_its_records(store):
    """At each flush and at close; an unclosed writer stores them when it is collected."""
    writer = RecordWriter(f"s3://{BUCKET}/records")
    assert keys(store) == ["records"]
    writer.write(b"one")
    writer.flush()
    writer.write(b"two")
    del writer
    content = store.get_object(Bucket=BUCKET, Key="records")["Body"].read()
    assert [piece.data for piece in walk(io.BytesIO(content))] == [b"one", b"two"]


def test_a_record_writer_raises_what_the_store_refuses_and_may_try_again(server, store):
    """`flush` and `close` return once the store has confirmed."""
    writer = RecordWriter(f"s3://{BUCKET}/records")
    writer.write(b"one")
    with server.away():
        for attempt in (writer.flush, writer.close):
            with pytest.raises(OSError, match="Check the network"):
                attempt()
    writer.close()
    assert writer.closed
    assert store.head_object(Bucket=BUCKET, Key="records")["ContentLength"] == 19


def test_an_embedding_in_a_store_is_there_and_keeps_the_others_entries(store, tmp_path, monkeypatch):
    """Its files and an entry beside those of earlier writers are stored, and nothing goes to a local directory."""
    monkeypatch.chdir(tmp_path)
    for step in range(2):
        with SummaryWriter(f"s3://{BUCKET}/run") as writer:
            writer.add_embedding(
                np.eye(3), metadata=list("abc"), label_img=np.zeros((3, 1, 4, 4)), global_step=step
            )
        assert writer.stats.written == 1
    objects = {key for key in keys(store) if "tfevents" not in key}
    files = {
        f"run/{step:05d}/default/{name}"
        for step in range(2)
        for name in ("metadata.tsv", "sprite.png", "tensors.tsv")
    }
    assert objects == {*files, "run/projector_config.pbtxt"}
    text = store.get_object(Bucket=BUCKET, Key="run/projector_config.pbtxt")["Body"].read()
    entries = text_format.Parse(text, ProjectorConfig()).embeddings
    assert [entry.tensor_name for entry in entries] == ["default:00000", "default:00001"]
    assert list(tmp_path.iterdir()) == []


def test_an_embedding_whose_store_is_away_is_stored_when_it_is_back(server, store):
    """All its files are stored once; meanwhile it counts as neither written nor lost."""
    with SummaryWriter(f"s3://{BUCKET}/run") as writer:
        with server.away():
            writer.add_embedding(np.eye(3), metadata=list("abc"))
            writer.flush()
            stats = writer.stats
            assert (stats.written, stats.dropped, stats.failed) == (0, 0, 0)
        writer.flush()
        assert writer.stats.written == 1
    assert len([key for key in keys(store) if "tfevents" not in key]) == 3


@pytest.mark.usefixtures("store")
def test_resume_in_a_store_asks_for_the_step():
    """The step cannot be looked up in a store."""
    with pytest.raises(ValueError, match="give the step to go on from"):
        SummaryWriter(f"s3://{BUCKET}/run", resume=True)
    with SummaryWriter(f"s3://{BUCKET}/run", resume=7) as writer:
        assert writer.next_step == 7


class Files:
    """A user's factory of files in a local folder, with some calls that fail."""

    def __init__(self, folder):
        self.folder = folder
        self.broken = ""
        self.checked = []

    def directory_check(self, path):
        self.checked.append(path)

    def open(self, path):
        self.maybe_fail("open")
        return UsersFile(self, self.folder / Path(path).name)

    def maybe_fail(self, call):
        if self.broken == call:
            raise RuntimeError(f"no {call} today")


class UsersFile:
    """Buffers bytes until a flush, as files of remote file systems do."""

    def __init__(self, files, path):
        self._files = files
        self._file = path.open("xb", buffering=0)
        self._kept = b""

    def write(self, data):
        self._files.maybe_fail("write")
        self._kept += data

    def flush(self):
        self._files.maybe_fail("flush")
        self._file.write(self._kept)
        self._kept = b""

    def close(self):
        self._files.maybe_fail("close")
        self.flush()
        self._file.close()


@pytest.fixture
def factory(tmp_path, monkeypatch):
    """Register a user's factory with tensorboardX."""
    from tensorboardX.record_writer import REGISTERED_FACTORIES

    files = Files(tmp_path)
    monkeypatch.setitem(REGISTERED_FACTORIES, "mine", files)
    return files


@pytest.mark.parametrize("call", ["write", "flush"])
def test_what_a_users_factory_did_not_confirm_goes_to_a_new_file(factory, tmp_path, call):
    """Nobody knows what the broken file holds, so all records that no flush confirmed are written again."""
    with SummaryWriter("mine://run") as writer:
        writer.add_scalar("x", 0, 0)
        writer.flush()
        assert writer.stats.written == 1
        factory.broken = call
        for step in range(1, 20):
            writer.add_scalar("x", step, step)
        writer.flush()
        assert writer.stats.written == 1
        factory.broken = ""
        writer.flush()
        assert writer.stats.written == 20
    assert factory.checked
    steps = [step for step, _ in points(tmp_path)["x"]]
    assert sorted(set(steps)) == list(range(20))
    assert writer.stats.dropped == 0


@pytest.mark.parametrize("call", ["open", "write", "flush"])
def test_a_users_factory_that_fails_is_an_error_at_the_constructor(factory, call):
    """The error has the factory's own message, and the URL."""
    factory.broken = call
    with pytest.raises(OSError, match=f"mine://run.* was not stored: RuntimeError: no {call} today"):
        SummaryWriter("mine://run")


def test_what_a_users_factory_does_not_close_is_lost_and_counted(factory, tmp_path):
    """A flush confirmed the first record; close refused the others."""
    writer = SummaryWriter("mine://run")
    writer.add_scalar("x", 0, 0)
    writer.flush()
    factory.broken = "close"
    for step in range(1, 20):
        writer.add_scalar("x", step, step)
    writer.close()
    assert (writer.stats.written, writer.stats.dropped) == (1, 19)
    assert points(tmp_path)["x"] == [(0, 0.0)]


def test_a_users_factory_takes_the_place_of_ours(factory, tmp_path, monkeypatch):
    """Registered for s3, it receives all s3 URLs, whatever the bucket."""
    from tensorboardX.record_writer import REGISTERED_FACTORIES

    monkeypatch.setitem(REGISTERED_FACTORIES, "s3", factory)
    with SummaryWriter("s3://key@host/run") as writer:
        writer.add_scalar("x", 0, 0)
    assert points(tmp_path)["x"] == [(0, 0.0)]


@pytest.mark.slow
def test_the_global_writer_has_the_users_factories(tmp_path):
    """They are sent to its process, which imports their module as the program did."""
    (tmp_path / "mine.py").write_text(
        "class Factory:\n    def open(self, path):\n        return open(path.rpartition('/')[2], 'wb')\n"
    )
    run_program(
        """
        from tensorboardX.record_writer import register_writer_factory
        from tblog import GlobalSummaryWriter
        import mine
        register_writer_factory("mine", mine.Factory())
        with GlobalSummaryWriter("mine://run") as writer:
            writer.add_scalar("x", 1.0)
        """,
        tmp_path,
    )
    assert points(tmp_path) == {"x": [(0, 1.0)]}


@pytest.mark.usefixtures("factory")
def test_embeddings_go_through_a_users_factory(tmp_path, monkeypatch):
    """Nothing goes to a local directory named like the URL."""
    folder = tmp_path / "current"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with SummaryWriter("mine://run") as writer:
        writer.add_embedding(np.eye(3))
    assert writer.stats.written == 1
    assert {"tensors.tsv", "projector_config.pbtxt"} <= set(os.listdir(tmp_path))
    assert os.listdir(folder) == []


def test_nothing_that_is_told_repeats_the_password_of_a_url(factory, caplog):
    """Warnings, errors and the writer's repr show the URL without the password."""
    with SummaryWriter("mine://user:secret@host/run") as writer:
        shown = [repr(writer), writer._repr_html_()]
        factory.broken = "flush"
        writer.add_scalar("x", 0, 0)
        writer.flush()
    told = [record.getMessage() for record in caplog.records]
    assert len(told) >= 2
    assert all("mine://host/run" in text and "secret" not in text for text in [*told, *shown])


@pytest.mark.parametrize("fault", ["denied", "expired"])
def test_a_store_that_denies_reading_is_an_error_that_says_what_to_do(proxy, fault):
    """For the reader and for the command, without a traceback."""
    proxy.fault = fault
    with pytest.raises(PermissionError, match=r"run was not read: 403: .+Give credentials"):
        tblog.read(f"s3://{BUCKET}/run")
    out, told = command("ls", f"s3://{BUCKET}/run", status=2)
    assert out == ""
    assert told.startswith(f"tblog: s3://{BUCKET}/run was not read: 403")


@pytest.mark.usefixtures("store")
def test_the_commands_read_a_run_in_a_store_and_say_what_they_cannot_do_there(tmp_path):
    """They change nothing but local files."""
    with SummaryWriter(f"s3://{BUCKET}/run") as writer:
        writer.add_scalar("x", 0.5, 3)
    assert "0.5" in command("show", f"s3://{BUCKET}/run")[0]
    _, line = command("ls", f"s3://{BUCKET}/run")[0].splitlines()
    assert " B" not in line  # the size is not known
    report = tmp_path / "report.html"
    command("report", f"s3://{BUCKET}/run", "-o", report)
    assert report.stat().st_size > 10_000
    for words in (
        ["check"],
        ["kept"],
        ["merge", "-o", tmp_path / "new"],
        ["drop", "--tag", "x", "--in-place"],
    ):
        assert "copy it to this machine first" in command(*words, f"s3://{BUCKET}/run", status=2)[1]
    assert "small letters" in command("ls", f"S3://{BUCKET}/run", status=2)[1]


@pytest.mark.usefixtures("store")
def test_no_error_of_a_reader_names_the_password_of_a_url():
    """Neither its message nor its traceback; those of writers are the constructor's."""
    with pytest.raises(OSError, match="was not read") as error:
        tblog.read(f"s3://key:{os.environ['AWS_SECRET_ACCESS_KEY']}@{BUCKET}/run")
    assert "key:secret" not in "".join(traceback.format_exception(error.value))

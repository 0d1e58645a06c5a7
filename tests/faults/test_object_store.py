"""Runs in an object store, by tensorboardX's s3 factory and boto3, against a server on the loopback."""

from __future__ import annotations

import io
import logging

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX.proto.event_pb2 import Event

from tblog import SummaryWriter
from tblog._files import event_file as _eventfile
from tblog._files.walk import walk
from tests.needs import need_package

BUCKET = "runs"


@pytest.fixture(scope="module")
def server():
    """Run an object store, and yield its address."""
    need_package("moto")
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def store(server, monkeypatch, tmp_path):
    """Return a client of the store, with an empty bucket, and let the factory find it; count what is uploaded."""
    import boto3
    from tensorboardX import record_writer

    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "S3_ENDPOINT": server,  # what tensorboardX looks for
        "AWS_ENDPOINT_URL": server,  # what boto3 does, for TensorBoard
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(record_writer, "S3_ENABLED", True)
    monkeypatch.setattr(record_writer, "boto3", boto3, raising=False)
    client = boto3.client("s3", endpoint_url=server)
    client.create_bucket(Bucket=BUCKET)
    client.uploaded = 0
    flush = record_writer.S3RecordWriter.flush

    def counted(self):
        client.uploaded += self.buffer.tell()
        flush(self)

    monkeypatch.setattr(record_writer.S3RecordWriter, "flush", counted)
    yield client
    for key in keys(client):
        client.delete_object(Bucket=BUCKET, Key=key)
    client.delete_bucket(Bucket=BUCKET)


def keys(client):
    """Return the names of all objects, in their order."""
    return sorted(found["Key"] for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()))


def stored_steps(client, tag="x"):
    """Return the steps of a tag in all objects, each of which must be whole."""
    steps = []
    for key in keys(client):
        content = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        for piece in walk(io.BytesIO(content)):
            assert piece.data is not None
            event = Event.FromString(piece.data)
            steps += [event.step for value in event.summary.value if value.tag == tag]
    return steps


def test_a_run_in_an_object_store_is_whole_and_tensorboard_reads_it(store):
    """Scalars, runs below, texts; read by TensorBoard's own way to object stores."""
    with SummaryWriter(f"s3://{BUCKET}/run") as writer:
        for step in range(100):
            writer.add_scalar("x", step, step)
        writer.add_text("text", "word", 0)
        writer.add_scalars("pair", {"a": 1.0}, 0)
    assert stored_steps(store) == list(range(100))
    assert len(keys(store)) == 2
    loaded = EventAccumulator(f"s3://{BUCKET}/run")
    loaded.Reload()
    assert [event.step for event in loaded.Scalars("x")] == list(range(100))


def test_a_flush_uploads_what_was_logged_before_it(store):
    """A process that is killed after a flush has lost nothing before it."""
    with SummaryWriter(f"s3://{BUCKET}/run") as writer:
        for step in range(10):
            writer.add_scalar("x", step, step)
        writer.flush()
        assert stored_steps(store) == list(range(10))


def test_uploads_do_not_grow_with_the_square_of_the_run(store, monkeypatch):
    """Each flush uploads one object whole, and objects are bounded: the run goes on in a new one."""
    monkeypatch.setattr(_eventfile, "MAX_OBJECT_BYTES", 10_000)
    with SummaryWriter(f"s3://{BUCKET}/run") as writer:
        for step in range(40):
            for part in range(50):
                writer.add_scalar("x", step, step * 50 + part)
            writer.flush()
    assert stored_steps(store) == list(range(2000))
    size = writer.stats.bytes
    assert len(keys(store)) > size / 20_000
    assert store.uploaded < 40 * 20_000  # as a square, it would be 40 * size / 2, which is twice as much
    assert 40 * size / 2 > 40 * 20_000


def test_a_store_that_is_away_for_a_while_loses_nothing(store, monkeypatch, caplog):
    """Uploads that fail are tried again; training goes on, and is told once."""
    from tensorboardX import record_writer

    upload = record_writer.S3RecordWriter.flush
    with SummaryWriter(f"s3://{BUCKET}/run") as writer:
        writer.add_scalar("x", 0, 0)
        writer.flush()
        with monkeypatch.context() as away:

            def fail(_):
                raise store.exceptions.NoSuchBucket({"Error": {}}, "PutObject")

            away.setattr(record_writer.S3RecordWriter, "flush", fail)
            for step in range(1, 50):
                writer.add_scalar("x", step, step)
            writer.flush()
        assert record_writer.S3RecordWriter.flush is upload
        writer.add_scalar("x", 50, 50)
    assert stored_steps(store) == list(range(51))
    assert sum("cannot write" in record.getMessage() for record in caplog.records) == 1

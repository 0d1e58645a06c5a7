"""Loopback object stores that refuse what a training logs."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import os
import random
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from tensorboardX.proto.event_pb2 import Event

from tblog._files.walk import walk
from tests.faults import remote
from tests.faults.outcome import Outcome
from tests.faults.processes import start

BUCKET = "runs"
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
ALWAYS = b"1000000"

Store: TypeAlias = Iterator[tuple[str, Mapping[str, str]]]
"""Yields the address of a store that runs meanwhile, and the keys that a program is given."""

_one_store = threading.Lock()  # all stores of a process share their buckets and their source of keys


def can_happen() -> bool:
    """Return whether an object store can run here."""
    return all(importlib.util.find_spec(name) for name in ("boto3", "moto", "flask", "s3fs"))


@contextmanager
def serving() -> Iterator[str]:
    """Run an object store, and yield its address."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def out_of_reach(_nth: int) -> Store:
    """Yield an address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}", KEYS


def without_bucket(_nth: int) -> Store:
    """Yield the address of an empty store."""
    with serving() as address:
        yield address, KEYS


def without_access(nth: int) -> Store:
    """Yield the address of a store that does not know the key, or for which there is no key."""
    with serving() as address:
        _ask("PUT", f"{address}/{BUCKET}")
        _ask("POST", f"{address}/moto-api/reset-auth", b"0")
        try:
            yield address, {} if nth % 2 else KEYS
        finally:
            _ask("POST", f"{address}/moto-api/reset-auth", ALWAYS)
            _ask("POST", f"{address}/moto-api/reset")


REFUSALS = {
    "store out of reach": out_of_reach,
    "store without the bucket": without_bucket,
    "store without access": without_access,
}


def refuse(
    how: str, writer: str, folder: Path, _rng: random.Random, nth: int, *, hang_secs: float
) -> Outcome:
    """Let a training log to a store that refuses everything."""
    with _one_store, contextmanager(REFUSALS[how])(nth) as (address, keys):
        seen = _train(writer, folder, address, keys, hang_secs)
    flushed, calls = seen["flushed"], seen["calls"]
    stats = seen["stats"] or {"dropped": 0}
    return Outcome(
        flushed=flushed,
        lost_flushed=flushed,
        unflushed=calls - flushed,
        lost_unflushed=calls - flushed,
        counted=stats["dropped"],
        hung=int(seen["hung"]),
        raised=seen["raised"],
        longest=seen["longest"],
        grown_kb=seen["grown_kb"],
    )


def _train(
    writer: str, folder: Path, address: str, keys: Mapping[str, str], hang_secs: float
) -> dict[str, Any]:
    command = (sys.executable, remote.__file__, writer, f"s3://{BUCKET}/run", folder, hang_secs)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        **keys,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(folder / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "2",
        "S3_ENDPOINT": address,  # where tensorboardX looks
        "AWS_ENDPOINT_URL": address,  # where boto3 looks, for TensorBoard
    }
    with start(*command, stderr=folder / "stderr", environment=environment) as process:
        try:
            process.wait(2 * hang_secs)
        except subprocess.TimeoutExpired:
            hung = True
        else:
            hung = False
    seen = json.loads((folder / "seen.json").read_text())
    return {**seen, "hung": seen["hung"] or hung}


def _ask(method: str, url: str, data: bytes = b"") -> None:
    request = urllib.request.Request(url, data, {"Content-Type": "text/plain"}, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()


def keys(client: Any) -> list[str]:
    """Return the names of all objects in order."""
    return sorted(found["Key"] for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()))


def stored_steps(client: Any, tag: str = "x") -> list[int]:
    """Return the steps of a tag in all objects in order; each object must be a whole event file."""
    steps: list[int] = []
    for key in keys(client):
        content = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        pieces = list(walk(io.BytesIO(content)))
        for nth, piece in enumerate(pieces):
            assert piece.data is not None
            event = Event.FromString(piece.data)
            assert bool(event.file_version) == (nth == 0)
            steps += [event.step for value in event.summary.value if value.tag == tag]
    return steps

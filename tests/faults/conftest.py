"""An object store on the loopback, for the tests that log to it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.proxy import Proxy
from tests.faults.stores import BUCKET
from tests.needs import need_package


class Server:
    """An object store, which keeps its contents while it is away."""

    def __init__(self) -> None:
        self._port = 0
        self.start()

    def start(self) -> None:
        """Listen on the same address as before."""
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()
        _, self._port = self._server.get_host_and_port()
        self.address = f"http://127.0.0.1:{self._port}"

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Take the server off the network."""
        self._server.stop()
        yield
        self.start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.stop()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Run an object store."""
    need_package("moto")
    need_package("s3fs")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def account(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Point clients at the store with valid credentials, and hide this machine's own."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "S3_ENDPOINT": server.address,  # where tensorboardX looks
        "AWS_ENDPOINT_URL": server.address,  # where boto3 looks, for TensorBoard
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    monkeypatch.setattr("tblog._files.file_systems._stores", {})


@pytest.fixture(scope="session")
def client(server: Server) -> Any:
    """Return a client of the store."""
    import boto3

    account = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    return boto3.Session(**account).client("s3", endpoint_url=server.address)


@pytest.fixture
def store(client: Any, account: None) -> Iterator[Any]:  # noqa: ARG001 - it changes the environment
    """Return a client of the store, with an empty bucket."""
    client.create_bucket(Bucket=BUCKET)
    yield client
    for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=found["Key"])
    client.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def proxy(server: Server, store: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:  # noqa: ARG001 - it is there
    """Return a proxy in front of the store, through which writers and readers reach it."""
    proxy = Proxy(server.address)
    for name in ("S3_ENDPOINT", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, proxy.address)
    yield proxy
    proxy.stop()

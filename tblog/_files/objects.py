"""Objects of a store: s3:// by boto3, gs:// by google-cloud-storage.

Lives here: what a URL names, one object, the clients.
Must not: know what an event is. Nobody imports boto3 or google.cloud before a URL asks for it; making a client
imports them, under the lock that a fork waits for, and what is imported after that is loaded then.

An object is kept here whole and put there whole, in one request and in the thread that asks: a put that
failed, or whose answer was lost, may be made again, and none needs a pool of threads, which the
interpreter's exit has closed already.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from tblog._locks import ForkSafeLock, import_lock
from tblog.errors import InvalidValueError, without_user

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECT_SECS = 5.0
"""Maximum time to connect. Both clients wait for a minute by default; a working host answers in a second."""

ANSWER_SECS = 20.0
"""Maximum silence in a request. boto3 makes up to three requests, and waits for a minute in each by default."""

RETRY_SECS = 20.0
"""Maximum time of google-cloud-storage's own retries, two minutes by default. tblog retries, too, and reports sooner."""

_ADDRESS = re.compile(r"(?:s3|gs)://([^/@]+)(?:/(.*))?", re.DOTALL)


class StoredObject:
    """A file of an object store, written from its beginning.

    Args:
        url: where it lies, `<scheme>://<bucket>/<key>`.

    Raises:
        InvalidValueError: the URL names no bucket.
    """

    def __init__(self, url: str) -> None:
        self.bucket, self.key = bucket_and_key(url)
        self._content = bytearray()
        self._stored_bytes = -1

    def write(self, data: bytes) -> None:
        """Keep bytes for the next `flush`."""
        self._content += data

    def flush(self) -> None:
        """Return when the store has confirmed everything that was written; the object exists from then on."""
        if self._stored_bytes != len(self._content):
            self.put(bytes(self._content))
            self._stored_bytes = len(self._content)

    def close(self) -> None:
        """Flush."""
        self.flush()

    def put(self, content: bytes) -> None:
        """Give the object this content; return when the store has confirmed it."""
        raise NotImplementedError

    def get(self) -> bytes | None:
        """Return what the store has, or None where there is no such object or nobody may look."""
        raise NotImplementedError


class S3Object(StoredObject):
    """An object of S3, or of what speaks its language at `S3_ENDPOINT` (tensorboardX's name) or `AWS_ENDPOINT_URL`."""

    def put(self, content: bytes) -> None:
        """Give the object this content."""
        try:
            _client(_make_s3_client).put_object(Bucket=self.bucket, Key=self.key, Body=content)
        except BaseException:
            _clients.clear()  # the next one looks for credentials anew, and opens another connection
            raise

    def get(self) -> bytes | None:
        """Return what the store has. Without the right to list, an object that is not there is forbidden."""
        client = _client(_make_s3_client)
        from botocore.exceptions import ClientError

        try:
            content: bytes = client.get_object(Bucket=self.bucket, Key=self.key)["Body"].read()
        except ClientError as error:
            if code_of(error) in {"NoSuchKey", "AccessDenied"}:
                return None
            raise
        return content


class GcsObject(StoredObject):
    """An object of Google Cloud Storage."""

    def put(self, content: bytes) -> None:
        """Give the object this content."""
        blob = self._blob()
        from google.cloud.storage.retry import DEFAULT_RETRY

        retry = DEFAULT_RETRY.with_timeout(RETRY_SECS)  # on no condition: the content is the same each time
        try:
            blob.upload_from_string(content, retry=retry, timeout=(CONNECT_SECS, ANSWER_SECS))
        except BaseException:
            _clients.clear()
            raise

    def get(self) -> bytes | None:
        """Return what the store has."""
        blob = self._blob()
        from google.api_core.exceptions import Forbidden, NotFound

        try:
            content: bytes = blob.download_as_bytes()
        except (Forbidden, NotFound):
            return None
        return content

    def _blob(self) -> Any:
        return _client(_make_gcs_client).bucket(self.bucket).blob(self.key)


_clients: dict[tuple[Callable[[], Any], int, str | None], Any] = {}
_making = ForkSafeLock()  # boto3 makes clients for one thread at a time


def _client(make: Callable[[], Any]) -> Any:
    """Return this process's client: one takes 40 ms to make, and any thread may use it."""
    which = make, os.getpid(), os.environ.get("S3_ENDPOINT")
    with _making:
        if which not in _clients:
            _clients[which] = make()
        return _clients[which]


def _make_s3_client() -> Any:
    with import_lock:
        import boto3
        from botocore.config import Config

    config = Config(connect_timeout=CONNECT_SECS, read_timeout=ANSWER_SECS)
    return boto3.client("s3", endpoint_url=os.environ.get("S3_ENDPOINT"), config=config)


def _make_gcs_client() -> Any:
    with import_lock:
        from google.cloud import storage

    return storage.Client()


KINDS: dict[str, type[StoredObject]] = {"s3": S3Object, "gs": GcsObject}


def bucket_and_key(url: str) -> tuple[str, str]:
    """Return what a URL of s3 or gs names.

    Raises:
        InvalidValueError: there is no bucket in it, or somebody's credentials.
    """
    found = _ADDRESS.fullmatch(url)
    if found is None:
        raise InvalidValueError(
            f"{without_user(url)!r} names no bucket; give s3://BUCKET/PATH or gs://BUCKET/PATH, as a str (pathlib "
            "leaves out a slash), and credentials in the environment"
        )
    return found[1], found[2] or ""


def code_of(error: Exception) -> str:
    """Return what the store calls the error, or its class."""
    answer = getattr(error, "response", None)
    code = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
    return str(code or type(error).__name__)

"""Files that lie in no local file system: objects of a store, and what a registered factory opens.

Lives here: s3:// by boto3, gs:// by google-cloud-storage, the factories that users registered with
tensorboardX, and their errors as OSErrors that say what to do.
Must not: know what an event is. Nobody imports boto3, google.cloud or tensorboardX before a URL asks for it.

An object is kept here whole and put there whole, in one request and in the thread that asks: a put that
failed, or whose answer was lost, may be made again, and none needs a pool of threads, which the
interpreter's exit has closed already.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from tblog._locks import ForkSafeLock, importing
from tblog.errors import InvalidValueError, without_user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONNECT_SECS = 5.0
"""Both clients wait for a minute; a host that answers at all does so in a second."""

RETRY_SECS = 20.0
"""google-cloud-storage tries for two minutes by itself. So does tblog, and training is told of it sooner."""

_ADDRESS = re.compile(r"(?:s3|gs)://([^/@]+)(?:/(.*))?", re.DOTALL)

_CREDENTIALS = "Give credentials that are valid"
_NETWORK = "Check the network and the endpoint"
_WHAT_TO_DO = {
    "NoSuchBucket": "Create the bucket, or name another",
    "NotFound": "Create the bucket, or name another",
    "AccessDenied": "Give credentials that may write there",
    "Forbidden": "Give credentials that may write there",
    "NoCredentialsError": f"{_CREDENTIALS}: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role",
    "PartialCredentialsError": _CREDENTIALS,
    "CredentialRetrievalError": _CREDENTIALS,
    "InvalidAccessKeyId": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "ExpiredToken": _CREDENTIALS,
    "InvalidToken": _CREDENTIALS,
    "DefaultCredentialsError": f"{_CREDENTIALS}: GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth",
    "RefreshError": _CREDENTIALS,
    "EndpointConnectionError": f"{_NETWORK}, S3_ENDPOINT or AWS_ENDPOINT_URL where they are set",
    "ConnectTimeoutError": f"{_NETWORK}, S3_ENDPOINT or AWS_ENDPOINT_URL where they are set",
}


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
        from botocore.exceptions import ClientError

        try:
            content: bytes = (
                _client(_make_s3_client).get_object(Bucket=self.bucket, Key=self.key)["Body"].read()
            )
        except ClientError as error:
            if _code(error) in {"NoSuchKey", "AccessDenied"}:
                return None
            raise
        return content


class GcsObject(StoredObject):
    """An object of Google Cloud Storage."""

    def put(self, content: bytes) -> None:
        """Give the object this content."""
        from google.cloud.storage.retry import DEFAULT_RETRY

        retry = DEFAULT_RETRY.with_timeout(
            RETRY_SECS
        )  # without a condition: it is the same content each time
        try:
            self._blob().upload_from_string(content, retry=retry, timeout=(CONNECT_SECS, 60.0))
        except BaseException:
            _clients.clear()
            raise

    def get(self) -> bytes | None:
        """Return what the store has."""
        from google.api_core.exceptions import Forbidden, NotFound

        try:
            content: bytes = self._blob().download_as_bytes()
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
    with importing:
        import boto3
        from botocore.config import Config

    config = Config(connect_timeout=CONNECT_SECS)
    return boto3.client("s3", endpoint_url=os.environ.get("S3_ENDPOINT"), config=config)


def _make_gcs_client() -> Any:
    with importing:
        from google.cloud import storage

    return storage.Client()


_OURS: dict[str, type[StoredObject]] = {"s3": S3Object, "gs": GcsObject}


def is_remote(path: str) -> bool:
    """Return whether a path is a URL that something here opens, by the prefix, as tensorboardX tells them apart."""
    prefix, colon, _ = path.partition(":")
    if not colon or len(prefix) == 1 or os.sep in prefix:
        return False
    return prefix in _OURS or _factory_of(path) is not None


def _factory_of(path: str) -> Any:
    """Return the factory that a user registered with tensorboardX for a URL, in place of s3's and gs's too."""
    originals = sys.modules.get("tensorboardX.record_writer")
    factory = originals and originals.REGISTERED_FACTORIES.get(path.partition(":")[0])
    return None if type(factory).__module__ == "tensorboardX.record_writer" else factory


def users_factory(path: str) -> tuple[str, Any] | None:
    """Return the prefix and the factory by which a user's own files are opened, None for any other path."""
    factory = _factory_of(path) if is_remote(path) else None
    return None if factory is None else (path.partition(":")[0], factory)


def register(prefix: str, factory: Any) -> None:
    """Register a factory in this process, as its user did in another one."""
    from tensorboardX.record_writer import register_writer_factory

    register_writer_factory(prefix, factory)


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


def check_url(url: str) -> None:
    """Check that a URL names what its opener needs.

    Raises:
        InvalidValueError: there is no bucket in it, or somebody's credentials.
    """
    if _factory_of(url) is None:
        bucket_and_key(url)


def open_store(path: str) -> Any:
    """Open what a URL names, and return what has `write`, `flush` and `close`.

    Raises:
        OSError: it cannot be opened.
    """
    factory = _factory_of(path)
    with as_os_errors(path):
        return _OURS[path.partition(":")[0]](path) if factory is None else factory.open(path)


def store(path: str, content: bytes) -> None:
    """Give what a URL names this content; return when that is confirmed.

    Raises:
        OSError: the store refuses.
    """
    file = open_store(path)
    with as_os_errors(path):
        file.write(content)
        file.close()


def stored(path: str) -> bytes | None:
    """Return the content of what a URL names, or None where nobody knows it; a factory's files cannot be read.

    Raises:
        OSError: the store does not answer.
    """
    if _factory_of(path) is not None:
        return None
    with as_os_errors(path):
        content: bytes | None = open_store(path).get()
    return content


def check_directory(path: str) -> None:
    """Let a user's factory prepare a log directory; a store of objects has none.

    Raises:
        OSError: that cannot be done.
    """
    check = getattr(_factory_of(path), "directory_check", None)
    if check is not None:
        with as_os_errors(path):
            check(path)


@contextlib.contextmanager
def as_os_errors(path: str) -> Iterator[None]:
    """Raise what a store or factory raises as an OSError that says what it was at and what to do, and no secret."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and (error.errno is not None or _factory_of(path) is not None):
            raise
        raise _os_error(error, path) from None


def _os_error(error: Exception, path: str) -> OSError:
    code = _code(error)
    what_to_do = _WHAT_TO_DO.get(code, "")
    if isinstance(error, ImportError):
        package = {"s3": "boto3", "gs": "google-cloud-storage"}.get(path.partition(":")[0], error.name)
        what_to_do = f"Install it with: pip install {package}"
    told = f"{path} was not stored: {code}: {str(error).rstrip('.')}. {what_to_do}".rstrip(". ")
    return OSError(without_user(told))


def _code(error: Exception) -> str:
    """Return what the store calls the error, or its class."""
    answer = getattr(error, "response", None)
    code = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
    return str(code or type(error).__name__)

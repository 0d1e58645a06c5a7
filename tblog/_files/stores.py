"""Files that are not in a local file system: objects of a store, and what a registered factory opens.

Lives here: telling such a path, opening it, the factories that users registered with tensorboardX, and all
errors as OSErrors that say what to do.
Must not: know what an event is. Nobody imports tensorboardX here before a URL asks for it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from tblog._files.objects import KINDS, bucket_and_key, code_of
from tblog.errors import without_user

if TYPE_CHECKING:
    from collections.abc import Iterator

_CREDENTIALS = "Give credentials that are valid"
_ENDPOINT = "Check the network and the endpoint, S3_ENDPOINT or AWS_ENDPOINT_URL where they are set"
_LATER = "The store is in trouble: try again later"
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
    "EndpointConnectionError": _ENDPOINT,
    "ConnectTimeoutError": _ENDPOINT,
    "ReadTimeoutError": _ENDPOINT,
    "ConnectionClosedError": _ENDPOINT,
    "500": _LATER,
    "503": _LATER,
    "InternalError": _LATER,
    "ServiceUnavailable": _LATER,
    "SlowDown": _LATER,
}


def is_remote(path: str) -> bool:
    """Return whether a path is a URL that something here opens, by the prefix, as tensorboardX tells them apart."""
    prefix, colon, _ = path.partition(":")
    if not colon or len(prefix) == 1 or os.sep in prefix:
        return False
    return prefix in KINDS or _factory_of(path) is not None


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
        return KINDS[path.partition(":")[0]](path) if factory is None else factory.open(path)


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
    """Turn what a store or factory raises into an OSError that says where, what to do, and no secret."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and (error.errno is not None or _factory_of(path) is not None):
            raise
        raise _os_error(error, path) from None


def _os_error(error: Exception, path: str) -> OSError:
    code = code_of(error)
    what_to_do = _WHAT_TO_DO.get(code, "")
    if isinstance(error, ImportError):
        package = {"s3": "boto3", "gs": "google-cloud-storage"}.get(path.partition(":")[0], error.name)
        what_to_do = f"Install it with: pip install {package}"
    told = f"{path} was not stored: {code}: {str(error).rstrip('.')}. {what_to_do}".rstrip(". ")
    return OSError(without_user(told))

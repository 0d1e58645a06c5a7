"""Turns a store's errors into OSErrors that say where, what happened and what to do, without secrets.

Lives here: the names of stores' errors, and what a user can do about each.
Must not: import a store's package; codes and names identify the errors.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from tblog.errors import InvalidValueError, MissingDependencyError, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUCKET = "Create the bucket, or name another"
_RIGHTS = "Give credentials that have the rights for it"
_CREDENTIALS = "Give credentials that are valid"
_ENDPOINT = "Check the network and the endpoint"
_S3_ENDPOINT = ", S3_ENDPOINT or AWS_ENDPOINT_URL where they are set"
_LATER = "The store is in trouble: try again later"
_WHAT_TO_DO = {
    "NoSuchBucket": _BUCKET,
    "ContainerNotFound": _BUCKET,
    "FileNotFoundError": _BUCKET,
    "AccessDenied": _RIGHTS,
    "Forbidden": _RIGHTS,
    "403": _RIGHTS,
    "AuthorizationPermissionMismatch": _RIGHTS,
    "PermissionError": _RIGHTS,
    "NoCredentialsError": f"{_CREDENTIALS}: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role",
    "PartialCredentialsError": _CREDENTIALS,
    "CredentialRetrievalError": _CREDENTIALS,
    "InvalidAccessKeyId": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "ExpiredToken": _CREDENTIALS,
    "InvalidToken": _CREDENTIALS,
    "DefaultCredentialsError": f"{_CREDENTIALS}: GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth",
    "RefreshError": _CREDENTIALS,
    "ClientAuthenticationError": _CREDENTIALS,
    "EndpointConnectionError": _ENDPOINT,
    "ConnectTimeoutError": _ENDPOINT,
    "ReadTimeoutError": _ENDPOINT,
    "ConnectionClosedError": _ENDPOINT,
    "TimeoutError": _ENDPOINT,
    "500": _LATER,
    "503": _LATER,
    "InternalError": _LATER,
    "ServiceUnavailable": _LATER,
    "SlowDown": _LATER,
}
_USER = re.compile(r"[\w+.-]+://([^/\s]*@)")


@contextlib.contextmanager
def as_os_errors(path: str, happened: str = "was not stored", *, users: bool = False) -> Iterator[None]:
    """Turn a store's exceptions in this block into OSErrors.

    Args:
        path: the URL that is written or read.
        happened: what the error means for it.
        users: whether a user's factory opened it; its OSErrors pass unchanged.
    """
    try:
        yield
    except (InvalidValueError, MissingDependencyError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and users:
            raise
        raise _os_error(error, path, happened) from None


def code_of(error: BaseException) -> str:
    """Return the store's code for the error, or the name of its class."""
    for each in (error, error.__cause__):
        answer = getattr(each, "response", None)
        code = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
        if code:
            return str(code)
    return type(error).__name__


def _os_error(error: Exception, path: str, happened: str) -> OSError:
    """Return the OSError to raise: a PermissionError where valid credentials lack the rights for this path."""
    code = code_of(error)
    said = " ".join(str(error).split()).rstrip(".")
    what_to_do = _WHAT_TO_DO.get(code, "")
    if what_to_do is _ENDPOINT and path.startswith("s3"):
        what_to_do += _S3_ENDPOINT
    told = f"{path} {happened}: {code}{': ' * bool(said)}{said}. {what_to_do}".rstrip(". ")
    user = _USER.match(path)
    if user is not None:  # some errors have it without its URL
        told = told.replace(user[1], "")
    kind = PermissionError if what_to_do == _RIGHTS else OSError
    return kind(without_secrets(told))

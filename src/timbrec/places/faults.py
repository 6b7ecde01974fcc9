"""Errors of remote places as one clear line each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from timbrec.errors import PlaceError, TimbrecError

_PACKAGES = {  # by protocol
    "s3": "timbrec[s3]", "s3a": "timbrec[s3]", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs",
    "az": "adlfs", "sftp": "paramiko", "ssh": "paramiko",
}  # fmt: skip
_ACCESS = "Check the credentials and the rights that the bucket gives them."
_GOOGLE = "Set GOOGLE_APPLICATION_CREDENTIALS to a key file, or run `gcloud auth application-default login`."
_AWS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials."
_CREDENTIALS = {"s3": _AWS, "s3a": _AWS, "gs": _GOOGLE, "gcs": _GOOGLE}
_CODES = {  # of S3 and compatible servers
    "ExpiredToken": (
        "the credentials for {} have expired",
        "Renew them, then run the same command again: finished work is kept.",
    ),
    "InvalidToken": ("{} does not accept the session token", "Check AWS_SESSION_TOKEN, or renew the credentials."),
    "InvalidAccessKeyId": ("{} does not know the access key", "Check AWS_ACCESS_KEY_ID and the endpoint."),
    "SignatureDoesNotMatch": ("{} does not accept the secret key", "Check AWS_SECRET_ACCESS_KEY."),
    "RequestTimeTooSkewed": ("the clock of this machine differs from that of {}", "Set the clock, such as by NTP."),
    "PermanentRedirect": ("{} is in another region", "Name it: AWS_DEFAULT_REGION=REGION."),
    "QuotaExceeded": ("{} is full", "Free some space, then run the same command again: finished work is kept."),
}  # fmt: skip
_CODES["TokenRefreshRequired"] = _CODES["ExpiredTokenException"] = _CODES["ExpiredToken"]
_CODES["AuthorizationHeaderMalformed"] = _CODES["IllegalLocationConstraintException"] = _CODES["PermanentRedirect"]
_PASSWORD = re.compile(r"//[^/@]+@")  # with the name of the user: no part of messages
_HADOOP = ("libjvm", "libhdfs", "CLASSPATH", "NoClassDefFoundError")  # in messages of pyarrow
_SILENT = (
    "EndpointConnectionError", "ClientConnectorError", "ConnectTimeoutError", "ConnectionError", "ReadTimeoutError",
    "ServerTimeoutError", "FSTimeoutError", "TimeoutError",
)  # fmt: skip


@contextmanager
def reaching(path: Path | str, doing: str = "read") -> Iterator[None]:
    """Turn errors of a remote place inside the block into a PlaceError.

    Errors about a file that is missing, or exists already, pass through, as do all errors on local paths.
    """
    try:
        yield
    except TimbrecError:
        raise
    except Exception as error:  # each library raises its own exceptions
        url = _PASSWORD.sub("//", str(path))
        if "://" not in url or (explained := _explained(error, url, doing)) is None:
            raise
        raise explained from error


def is_passing(error: PlaceError) -> bool:
    """Whether another try may succeed."""
    cause = error.__cause__
    if _code(cause) in _CODES:
        return False
    return not isinstance(cause, ImportError | PermissionError | FileNotFoundError | ValueError) and not _has(
        cause, "NoCredentialsError", "PartialCredentialsError"
    )


def _explained(error: Exception, path: str, doing: str) -> PlaceError | None:
    protocol, _, rest = path.partition("://")
    bucket = f"{protocol}://{rest.partition('/')[0]}"
    if isinstance(error, FileNotFoundError):
        missing = "bucket does not exist" in str(error) or _has(error.__cause__, "NoSuchBucket")
        return PlaceError(f"there is no bucket {bucket}", fix="Check its name, or create it.") if missing else None
    if isinstance(error, FileExistsError | IsADirectoryError | NotADirectoryError):
        return None
    if (code := _code(error)) in _CODES:
        what, fix = _CODES[code]
        return PlaceError(what.format(bucket), fix=fix)
    if isinstance(error, PermissionError):
        return PlaceError(f"{path} may not be {_PARTICIPLES[doing]} with these credentials", fix=_ACCESS)
    if isinstance(error, ImportError):
        fix = f"Install it: pip install '{_PACKAGES[protocol]}'." if protocol in _PACKAGES else "Install it with pip."
        return PlaceError(f"{protocol}:// needs a package that is not installed ({_reason(error)})", fix=fix)
    if _has(error, "NoCredentialsError", "PartialCredentialsError", "GoogleAuthError", "DefaultCredentialsError"):
        return PlaceError(f"there are no credentials for {bucket}", fix=_CREDENTIALS.get(protocol, _ACCESS))
    if protocol == "hdfs" and any(word in str(error) for word in _HADOOP):
        return PlaceError(
            f"hdfs:// needs Java and Hadoop's libraries, libjvm and libhdfs ({_reason(error)})",
            fix="Set JAVA_HOME and HADOOP_HOME, and CLASSPATH to the output of `hadoop classpath --glob`.",
        )
    if isinstance(error, ValueError) and "rotocol" in str(error):
        return PlaceError(f"{path}: {protocol}:// is no known kind of place", fix="Known are s3://, gs:// and hdfs://.")
    if _has(error, *_SILENT):
        return PlaceError(f"nobody answers for {bucket} ({_reason(error)})", fix="Check the endpoint and the network.")
    if _has(error, "FileExpired"):
        return changed(path)
    return PlaceError(f"{path} cannot be {_PARTICIPLES[doing]}: {_reason(error)}", fix="Try again, or check the place.")


def changed(path: Path | str) -> PlaceError:
    """The error for a file that changed while it was read."""
    return PlaceError(f"{path} changed while it was read", fix="Start again when nothing writes to it any more.")


_PARTICIPLES = {"read": "read", "write": "written", "list": "listed", "delete": "deleted"}


def _code(error: BaseException | None) -> str:
    """The code of S3 for an error, from the answer that it or its cause holds; empty without one."""
    while error is not None:
        answer = getattr(error, "response", None)
        if isinstance(answer, Mapping):
            return str(answer.get("Error", {}).get("Code", ""))
        error = error.__cause__ or error.__context__
    return ""


def _has(error: BaseException | None, *names: str) -> bool:
    """Whether the error's class has one of these names; its library may not be installed."""
    return any(kind.__name__ in names for kind in type(error).__mro__)


def _reason(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:160] or type(error).__name__

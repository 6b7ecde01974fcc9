"""How long a remote place is waited for: some libraries ask a silent one again for many minutes."""

from __future__ import annotations

import os
from typing import Any

_CONNECTING, _SILENT = 10.0, 20.0  # seconds for a connection, and without any answer, before another try


def patience(protocol: str) -> dict[str, Any]:
    """Options of fsspec that bound the wait to a few minutes. Settings of the user count instead."""
    from fsspec.config import conf

    own = conf.get(protocol, {})
    if protocol in ("s3", "s3a") and "config_kwargs" not in own and "AWS_MAX_ATTEMPTS" not in os.environ:
        return {"config_kwargs": {"retries": {"total_max_attempts": 2}}}  # s3fs tries five times, each as often as this
    if protocol in ("gs", "gcs") and "requests_timeout" not in own:
        try:
            from aiohttp import ClientTimeout
        except ImportError:  # gcsfs, which needs it, is missing as well: its own message says so
            return {}
        return {"requests_timeout": ClientTimeout(total=None, sock_connect=_CONNECTING, sock_read=_SILENT)}
    return {}

"""The cache of passed code checks, in the user's cache folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from timbrec.audit.finding import Finding
from timbrec.files import write_atomically
from timbrec.machine.versions import versions
from timbrec.places import user_cache
from timbrec.study.identity import digest_of


def cached(key: Any, check: Callable[[], Finding]) -> Finding:
    """The finding of `check`, read from the cache if a check with the same key passed before.

    The key also holds versions of code, packages and device, the libraries of linear algebra, and the number of
    threads. Only passed findings are kept. Without a writable cache folder every check runs.
    """
    path = _path(key)
    with suppress(OSError, ValueError, TypeError):
        return Finding(**json.loads(path.read_text(encoding="utf-8")))
    finding = check()
    if finding.passed and finding.checked:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(asdict(finding)))
    return finding


def is_cached(key: Any) -> bool:
    """Whether a check with this key passed before."""
    return _path(key).is_file()


def _path(key: Any) -> Path:
    """The file of a check in the user's cache."""
    return user_cache() / "audit" / f"{digest_of(key, _environment())}.json"


def _environment() -> dict[str, Any]:
    import torch

    return _installation() | {"threads": torch.get_num_threads()}


@cache
def _installation() -> dict[str, Any]:
    import torch

    packages = {name: version(name) for name in ("av", "scipy", "soxr")}
    algebra = [torch.__config__.show(), str(np.show_config(mode="dicts").get("Build Dependencies"))]
    return {"versions": versions() | packages, "algebra": algebra}

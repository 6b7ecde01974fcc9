"""The command line: what is asked for is done, and how that ended is the exit code."""

from __future__ import annotations

import sys
from typing import NoReturn

from timbrec.errors import SeveralErrors, TimbrecError

_INTERRUPTED = 130  # what typer makes of Ctrl-C, as shells do


def main() -> NoReturn:
    """Run the command line: 0 when done, 1 when an audit refuses, 2 when the user can put something right."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        code = _run(arguments)
    except TimbrecError as error:
        if len(arguments) < len(sys.argv) - 1:  # --debug, wherever it stands
            raise
        found = len(error.errors) if isinstance(error, SeveralErrors) else 1
        _fail(f"{found} things to put right:\n{error}" if found > 1 else str(error), 2)
    if code == _INTERRUPTED:
        _fail("stopped. What is finished is kept: the same command goes on from here.", _INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _run(arguments: list[str]) -> object:
    if arguments == ["list"]:  # typer and pydantic, which checks options, would take as long as the answer
        from timbrec.cli.listing import list_parts

        list_parts()
        return 0
    from timbrec.cli.app import run

    return run(arguments)


def _fail(message: str, code: int) -> NoReturn:
    print(f"timbrec: {message}", file=sys.stderr)  # noqa: T201 - here is where it is said
    sys.exit(code)

"""The entry point `timbrec`: runs a command and exits with its code."""

from __future__ import annotations

import sys
from typing import NoReturn

from timbrec import __version__
from timbrec.errors import SeveralErrors, TimbrecError

_INTERRUPTED = 130  # typer's exit code after Ctrl-C, as in shells


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 1 a check refused or something is missing, 2 an error the user can fix."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        code = _run(arguments)
    except Exception as raised:
        error = _for_users(raised)
        if error is None or len(arguments) < len(sys.argv) - 1:  # --debug, wherever it stands
            raise
        count = len(error.errors) if isinstance(error, SeveralErrors) else 1
        _fail(f"{count} things to put right:\n{error}" if count > 1 else str(error), error.exit_code)
    if code == _INTERRUPTED:
        _fail("stopped. Finished work is kept: the same command continues from here.", _INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _run(arguments: list[str]) -> object:
    if arguments == ["--version"]:
        print(f"timbrec {__version__}")  # noqa: T201 - the command's answer
        return 0
    if arguments == ["list"]:  # without typer and pydantic: their import takes as long as the answer
        from timbrec.cli.listing import list_parts

        list_parts()
        return 0
    from timbrec.cli.app import run

    return run(arguments)


def _for_users(error: Exception) -> TimbrecError | None:
    """The error as one line for users: one of this package, or a file that the system refused; None for others."""
    if isinstance(error, TimbrecError):
        return error
    from timbrec.places.refusals import refusal

    return refusal(error)


def _fail(message: str, code: int) -> NoReturn:
    print(f"timbrec: {message}", file=sys.stderr)  # noqa: T201 - the one place that prints errors
    sys.exit(code)

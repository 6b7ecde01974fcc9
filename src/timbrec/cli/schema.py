"""`timbrec schema`: the JSON schema of a config, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from timbrec.cli.options import on_this_machine

_Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", callback=on_this_machine, metavar="FILE.json", help="A file, instead of the screen."),
]


def schema(out: _Out = None) -> None:
    """Print the JSON schema of a config, with which editors complete keys and mark mistakes."""
    from timbrec.files import write_atomically
    from timbrec.study.schema import config_schema

    text = json.dumps(config_schema(), indent=1) + "\n"
    if out is None:
        return typer.echo(text, nl=False)
    write_atomically(out, text)
    return typer.echo(f"{out}: first line of a config: # yaml-language-server: $schema={out}")

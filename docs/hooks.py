"""Hooks of the documentation site: the page of commands, made from the command line's own help."""

from __future__ import annotations

from typing import Any

import typer.main
from mkdocs.structure.files import File

from timbrec.cli.app import app

COMMANDS = "reference/commands.md"


def on_files(files: Any, config: Any) -> Any:
    """Add the page of commands."""
    files.append(File.generated(config, COMMANDS, content=commands()))
    return files


def commands() -> str:
    """Every command with its arguments and options, as Markdown."""
    root = typer.main.get_command(app)
    lines = ["# Commands", "", "Also shown by `timbrec --help` and `timbrec COMMAND --help`.", ""]
    for name, command in _all("timbrec", root):
        lines += [f"## `{name}`", "", (command.help or "").strip(), ""]
        rows = [_row(parameter) for parameter in command.params if parameter.name not in ("help",)]
        if rows:
            lines += ["| argument or option | default | meaning |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _all(name: str, command: Any) -> list[tuple[str, Any]]:
    children = getattr(command, "commands", {})
    if not children:
        return [(name, command)]
    return [pair for child, inner in children.items() for pair in _all(f"{name} {child}", inner)]


def _row(parameter: Any) -> str:
    options = [*parameter.opts, *parameter.secondary_opts]
    names = ", ".join(f"`{option}`" for option in options) if options[0].startswith("-") else f"`{parameter.metavar}`"
    default = parameter.default if isinstance(parameter.default, str | int | float) else ""
    shown = "" if default is False or default == "" else f"`{default}`"
    return f"| {names} | {shown} | {(getattr(parameter, 'help', '') or '').replace('|', '/')} |"

"""`timbrec add`: new audio for a model, searchable at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timbrec.cli.options import count, on_this_machine

_Audio = Annotated[
    list[Path], typer.Argument(callback=on_this_machine, metavar="AUDIO...", help="Files, or folders of files.")
]


def add(
    model: Annotated[
        Path, typer.Argument(callback=on_this_machine, metavar="MODEL", help="A folder that `timbrec fit` wrote.")
    ],
    audio: _Audio,
    weights: Annotated[str | None, typer.Option(metavar="FILE", help="The encoder's weights, if they moved.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
) -> None:
    """Encode new audio and add it to a model, without another fit. Exit code 1: some files could not be encoded."""
    from timbrec.cli.show import progress_bars
    from timbrec.models.adding import add_audio

    with progress_bars() as progress:
        result = add_audio(model, audio, device, progress, weights=weights)
    typer.echo(f"{count(len(result.added), 'track')} added, {len(result.model.items):,} in the model")
    for track, _ in result.added.head(5).iter_rows():
        typer.echo(f"  {track}")
    if len(result.added) > 5:
        typer.echo(f"  and {len(result.added) - 5:,} more")
    if len(result.present):
        typer.echo(f"{count(len(result.present), 'file')} already there:")
        for path, same_as in result.present.head(5).iter_rows():
            typer.echo(f"  {path} is {same_as}")
    if len(result.failures):
        typer.echo(f"{count(len(result.failures), 'file')} could not be encoded:")
        for path, reason, _ in result.failures.head(20).iter_rows():
            typer.echo(f"  {path}: {reason}")
        raise typer.Exit(1)

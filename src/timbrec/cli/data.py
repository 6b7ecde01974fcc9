"""`timbrec data`: write a published data set as the tables of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timbrec.cli.options import on_this_machine

_Options = Annotated[list[str], typer.Option("--set", metavar="OPTION=VALUE", help="The data set's own setting.")]


def data(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of `timbrec list datasets`.")],
    folder: Annotated[
        Path, typer.Argument(callback=on_this_machine, metavar="FOLDER", help="The folder of the official files.")
    ],
    out: Annotated[
        Path, typer.Option(callback=on_this_machine, metavar="DIR", help="A new folder for the tables and a config.")
    ],
    options: _Options = [],  # noqa: B006 - typer reads it
) -> None:
    """Write a published data set as interactions, items and vectors in Parquet, with a config to start from.

    The official files come from the data set's authors, under their licence; `timbrec list datasets` says where.
    """
    from timbrec import catalog
    from timbrec.cli.options import options_of
    from timbrec.datasets.shared.writing import write_dataset
    from timbrec.settings import checked

    kind = catalog.load("datasets", name)
    dataset = kind(folder, **checked(kind, options_of(options)))
    rows = write_dataset(dataset, out)
    for file, count in rows.items():
        typer.echo(f"{out / file}: {count:,} rows")
    typer.echo(f"{out / 'config.yaml'}: a config to start from")
    typer.echo(f"licence: {dataset.licence}; cite: {dataset.citation}")

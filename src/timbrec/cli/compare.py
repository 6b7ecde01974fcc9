"""`timbrec compare`: every encoder of a run against a reference, or the run against published figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_Runs = Annotated[list[Path], typer.Argument(metavar="RUN_DIR", help="The `output` of a config.")]
_Reference = Annotated[
    str | None, typer.Option(metavar="NAME", help="The encoder to compare with; by default the config's `reference`.")
]
_With = Annotated[str | None, typer.Option("--with", metavar="STUDY", help="Published figures: tamm2026.")]


def compare(run_dirs: _Runs, reference: _Reference = None, study: _With = None) -> None:
    """Compare every encoder of a run with a reference encoder, or the run with a study's published figures."""
    from timbrec import api
    from timbrec.cli.compare_show import show_published, show_reference
    from timbrec.cli.show import progress_bars
    from timbrec.results.comparing import single_run

    run = single_run(run_dirs)
    with progress_bars() as progress:
        if study is not None:
            published = api.compare_published(run, study, progress)
        if study is None or reference is not None:
            table = api.compare(run, reference, progress)
    if study is None or reference is not None:
        show_reference(table)
        typer.echo(f"all rows: {run.folder / 'reference.csv'}")
    if study is not None:
        show_published(published, study)

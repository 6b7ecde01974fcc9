"""`timbrec log`: a run in an experiment tracker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_Run = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="The `output` of a config.")]
_To = Annotated[str, typer.Option("--to", metavar="TRACKER", help="mlflow, wandb, or one of an installed package.")]
_Project = Annotated[str | None, typer.Option(help="The project or experiment there.")]


def log(run_dir: _Run, to: _To, project: _Project = None) -> None:
    """Log a run to MLflow or Weights & Biases: its config, its figures with intervals, and its page."""
    from timbrec.api import log_run
    from timbrec.cli.show import progress_bars

    with progress_bars() as progress:
        place = log_run(run_dir, to, project, progress)
    typer.echo(f"logged: {place}")

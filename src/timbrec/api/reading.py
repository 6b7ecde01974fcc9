"""Reading a run: its report, comparisons, and records for trackers."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from timbrec import catalog
from timbrec.errors import ConfigError, listing
from timbrec.probes.shared.published import read_scores_table
from timbrec.result import Result, page_of, run_of, tables_of
from timbrec.results.published import beside_published
from timbrec.results.published import published_disparity as correlate
from timbrec.results.record import record_of
from timbrec.results.reference import compare_with, encoders, write_reference
from timbrec.study.config import make_config
from timbrec.study.runs import Run
from timbrec.types import Progress


def report(run: Run, progress: Progress | None = None) -> Result:
    """Write report.html and the figures of the finished cells as CSV; unchanged figures are not computed again."""
    return page_of(run, tables_of(run, progress), progress)


def compare(
    run: Run | Result | Path | str, reference: str | None = None, progress: Progress | None = None
) -> pl.DataFrame:
    """Compare every encoder of a run with a reference, by default the config's; also writes reference.csv.

    Returns the table that `timbrec.results.reference.compare_with` describes, on the primary metric. Raises ConfigError
    without a reference, for one that the run lacks, and for a run with a single encoder.
    """
    run = run_of(run)
    reference = reference or run.facts["config"].get("reference")
    if reference is None:
        raise ConfigError(
            "there is no reference to compare with", fix=f"Name one with --reference: {listing(encoders(run))}."
        )
    table = compare_with(run, reference, make_config(run.facts["config"]).primary, progress)
    write_reference(run, table)
    run.publish()
    return table


def compare_published(
    run: Run | Result | Path | str, study: str = "tamm2026", progress: Progress | None = None
) -> pl.DataFrame:
    """The figures of a run beside the published figures of a study, with the numbers of known defects.

    Returns the table that `timbrec.results.published.beside_published` describes.
    """
    run = run_of(run)
    return beside_published(run, tables_of(run, progress), study)


def published_disparity(scores: Path | str, study: str = "tamm2026") -> pl.DataFrame:
    """Rank correlations of published MIR scores with a study's published cold figures, over encoders in both.

    `scores` is a table with the columns encoder, task and score, or "mteb" for the one in the package. Returns the
    table that `timbrec.results.published.published_disparity` describes.
    """
    return correlate(read_scores_table(Path(scores)), study)


def log_run(
    run: Run | Result | Path | str, tracker: str, project: str | None = None, progress: Progress | None = None
) -> str:
    """Log a run to an experiment tracker, `mlflow` or `wandb`; returns its address there.

    `project` names the project, in MLflow the experiment. Raises ConfigError for an unknown tracker, for one whose
    client is not installed (an extra of timbrec), and for a service that does not accept the run.
    """
    kind = catalog.load("trackers", tracker)
    run = run_of(run)
    where: str = kind(project).log(record_of(run, tables_of(run, progress)))
    return where

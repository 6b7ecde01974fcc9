"""`timbrec compare`: every encoder of a run against a reference, or the run against published figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from timbrec.cli.show import add_names, narrow_table, progress_bars

if TYPE_CHECKING:
    import polars as pl

_out = Console(highlight=False)
_Runs = Annotated[list[Path], typer.Argument(metavar="RUN_DIR", help="The `output` of a config.")]
_Reference = Annotated[
    str | None, typer.Option(metavar="NAME", help="The encoder to compare with; by default the config's `reference`.")
]
_With = Annotated[str | None, typer.Option("--with", metavar="STUDY", help="Published figures: tamm2026.")]


def compare(run_dirs: _Runs, reference: _Reference = None, study: _With = None) -> None:
    """Compare every encoder of a run with a reference encoder, or the run with a study's published figures."""
    from timbrec import api
    from timbrec.results.comparing import single_run

    run = single_run(run_dirs)
    with progress_bars() as progress:
        if study is not None:
            published = api.compare_published(run, study, progress)
        if study is None or reference is not None:
            table = api.compare(run, reference, progress)
    if study is None or reference is not None:
        show_reference(table)
        _out.print(f"all rows: {run.folder / 'reference.csv'}", soft_wrap=True, markup=False)
    if study is not None:
        show_published(published, study)


def show_reference(table: pl.DataFrame) -> None:
    """Print a sentence per scenario and the differences, a row per encoder and recommender."""
    import polars as pl

    from timbrec.data.split import SCENARIOS
    from timbrec.results.reference import summary_sentences

    for sentence in summary_sentences(table):
        _out.print(escape(sentence))
    if table.is_empty():
        _out.print("No scenario has figures of the reference and another encoder.")
        return
    reference, metric = table["reference"][0], table["metric"][0]
    shown = narrow_table(f"{metric} less that of {escape(reference)}; 95 % intervals; + ahead, = tied, - behind")
    add_names(shown, "encoder", table["encoder"])
    shown.add_column("recommender", overflow="fold")
    for scenario in SCENARIOS:
        shown.add_column(scenario, justify="right", no_wrap=True)
    for (encoder, label), rows in table.group_by("encoder", "recommender", maintain_order=True):
        cells = {row["scenario"]: row for row in rows.to_dicts()}
        figures = [_difference(cells.get(scenario)) for scenario in SCENARIOS]
        shown.add_row(escape(str(encoder)), escape(_over(label, rows)), *figures)
    _out.print(shown)
    if not table["recommender"].is_null().any():
        _out.print("The encoders share a single recommender with the reference: there is no mean over recommenders.")
    if len(short := table.filter(pl.col("reason").is_not_null())):
        _out.print(f"Without intervals: {escape(short['reason'][0])}.")


def show_published(table: pl.DataFrame, study: str) -> None:
    """Print the run's figures beside the published ones, with the defects that affect these."""
    from timbrec.results.published import DEFECTS, STUDIES

    shown = narrow_table(f"this run beside {escape(study)}; real vectors")
    for column in ("scenario", "metric"):
        shown.add_column(column)
    for column in ("recommender", "encoder"):
        shown.add_column(column, overflow="fold")
    for column in ("published", "here"):
        shown.add_column(column, justify="right", no_wrap=True)
    shown.add_column("defects", overflow="fold")
    rows = table.filter(control="real").to_dicts()
    for row in rows:
        texts = (row["scenario"], row["metric"], row["recommender"], row["encoder"] or "–")
        figures = (f"{row['published']:.4f}", f"{row['value']:.4f}")
        shown.add_row(*(escape(text) for text in texts), *figures, row["defects"])
    _out.print(shown)
    numbers = sorted({int(number) for row in rows for number in row["defects"].split(", ") if number})
    for number in numbers:
        _out.print(f"{number}: {DEFECTS[number]}", soft_wrap=True, markup=False)
    _out.print(f"Published: {STUDIES[study]}.", soft_wrap=True, markup=False)
    _out.print("Figures depend on the log: compare sizes only on the same log and split.", soft_wrap=True)


def _over(label: Any, rows: pl.DataFrame) -> str:
    """The recommender, or "all" with the number of recommenders under which the encoder leads, by scenario."""
    if label is not None:
        return str(label)
    leads = ", ".join(f"{row['leads']}/{row['recommenders']}" for row in rows.to_dicts())
    return f"all (leads in {leads})"


def _difference(row: dict[str, Any] | None) -> str:
    """The difference, half the width of its interval, and its standing as a sign."""
    if row is None or row["difference"] is None:
        return "–"
    around = "" if row["high"] is None else f" ±{(row['high'] - row['low']) / 2:.3f}"
    return f"{row['difference']:+.3f}{around} {({'ahead': '+', 'tied': '=', 'behind': '-'}).get(row['standing'], ' ')}"

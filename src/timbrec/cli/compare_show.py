"""Output of `timbrec compare`: differences to a reference, and a run beside published figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from timbrec.cli.show import add_names, narrow_table

if TYPE_CHECKING:
    import polars as pl

_out = Console(highlight=False)


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
    """Print the run's figures beside the published ones, with the defects that affect the latter."""
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

"""Output of `timbrec probe`: a row per probe and encoder, and everything odd in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from timbrec.cli.show import add_names, narrow_table

if TYPE_CHECKING:
    import polars as pl

    from timbrec.probes.shared.records import Record
    from timbrec.study.probing import Probed

LEAST = 3  # encoders

_out = Console(highlight=False)


def show_probes(probed: Probed) -> None:
    """Print scores with their intervals beside both controls, then remarks and failures."""
    order = [record.probe for record in probed.records]
    records = sorted(probed.records, key=lambda record: (order.index(record.probe), -record.value))
    if records:
        table = narrow_table("probes: test scores, 95 % intervals over test tracks")
        add_names(table, "probe", (record.probe for record in records))
        add_names(table, "encoder", (record.encoder for record in records))
        for column in ("metric", "score", "interval", "shuffled", "majority"):
            table.add_column(column, justify="left" if column == "metric" else "right", no_wrap=column != "metric")
        for record in records:
            table.add_row(escape(record.probe), escape(record.encoder), record.metric, *_figures(record))
        _out.print(table)
    shown = dict.fromkeys(f"{record.probe}: {sentence}" for record in records for sentence in record.sentences)
    for sentence in shown:
        _out.print(escape(sentence), soft_wrap=True)
    for label, encoder, reason in probed.failures:
        where = f"{label} on {encoder}" if encoder else label
        _out.print(f"FAILED: {escape(where)}: {escape(reason)}", soft_wrap=True)


def show_published(table: pl.DataFrame) -> None:
    """Print correlations of published scores with published NDCG, and the defects of the latter."""
    import polars as pl

    from timbrec.results.published import DEFECTS

    if table.is_empty():
        _out.print("No encoder has a score in the table and a figure in the study; encoders need this package's names.")
        return
    if (most := max(table["encoders"])) < LEAST:
        _out.print(f"The two tables share {most} encoder{'s' * (most > 1)}: no rank correlation can be computed.")
        return
    table = table.filter(pl.col("metric") == "ndcg@50")
    shown = narrow_table("published scores against the cold NDCG@50 of tamm2026, over encoders in both")
    for column in ("task", "recommender", "n", "tau", "rho", "p", "needed", "defects"):
        shown.add_column(column, overflow="fold")
    numbers: set[int] = set()
    for row in table.iter_rows(named=True):
        numbers |= {int(number) for number in row["defects"].split(", ") if number}
        figures = ["–" if row[name] is None else f"{row[name]:+.2f}" for name in ("tau", "rho")]
        p, needed = ("–" if row[name] is None else f"{row[name]:.3f}" for name in ("p", "detectable"))
        names = (escape(row["task"]), row["table"], str(row["encoders"]))
        shown.add_row(*names, *figures, p, needed, row["defects"])
    _out.print(shown)
    for number in sorted(numbers):
        _out.print(f"defect {number}: {DEFECTS[number]}")


def _figures(record: Record) -> tuple[str, ...]:
    limits = "–" if record.low is None or record.high is None else f"{record.low:.3f} to {record.high:.3f}"
    return f"{record.value:.3f}", limits, f"{record.shuffled:.3f}", f"{record.majority:.3f}"

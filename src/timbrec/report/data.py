"""The data of a report; the page computes no figure itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from timbrec.results.figures import DIFFERENCES

if TYPE_CHECKING:
    from timbrec.audit import Finding
    from timbrec.results.verdict import Verdict

Row = dict[str, Any]  # a row of the summary
Line = tuple[str | None, str]  # a line of a table: encoder (None without content) and recommender


@dataclass(frozen=True, eq=False)
class ReportData:
    """The content of a report.

    `summary` has the columns of results.summary.SUMMARY, one row per (encoder, recommender, scenario, metric), and
    `differences` those of results.figures.DIFFERENCES. `primary` is the label of the metric of the verdicts. `split` is
    `Split.describe()`. Without `findings` the run was not audited; `not_audited` gives the reason. `synthetic` is a
    note for data that is not from real listeners. `encoders` holds facts about each encoder, `data_card` (label, value)
    rows. `commands` reproduce the run. `baselines` names the recommenders that cannot be called the best. `missing`
    lists the unfinished cells with a reason. `tables` are the further tables of the run by name, `facts` the facts
    stored with the run (config, versions, digests), `settings` the settings of each recommender by label.
    """

    name: str
    created: str
    version: str
    protocol: str
    primary: str
    summary: pl.DataFrame
    split: pl.DataFrame
    verdicts: Sequence[Verdict]
    findings: Sequence[Finding]
    data_card: Sequence[tuple[str, str]] = ()
    encoders: Sequence[Mapping[str, object]] = ()
    commands: Sequence[str] = ()
    baselines: Collection[str] = ()
    synthetic: str | None = None
    not_audited: str = ""
    missing: Sequence[tuple[str, str]] = ()
    differences: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=DIFFERENCES))
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def table(self, name: str) -> pl.DataFrame | None:
        """A further table by its name; None if the run lacks it or it has no rows."""
        table = self.tables.get(name)
        return None if table is None or table.is_empty() else table

    @cached_property
    def figures(self) -> dict[tuple[str, str], dict[Line, Row]]:
        """The summary's rows by scenario and metric, then by line; NaN becomes None."""
        figures: dict[tuple[str, str], dict[Line, Row]] = {}
        for row in self.summary.fill_nan(None).iter_rows(named=True):
            figures.setdefault((row["scenario"], row["metric"]), {})[row["encoder"], row["recommender"]] = row
        return figures

    @property
    def metrics(self) -> list[str]:
        """The labels of all metrics, the primary one first."""
        labels = self.summary["metric"].unique(maintain_order=True).to_list()
        return [self.primary, *(label for label in labels if label != self.primary)]

    def ranked(self, scenario: str, metric: str | None = None) -> list[Row]:
        """The scenario's rows on a metric (the primary one by default), best first, rows without a value last."""
        rows = self.figures.get((scenario, metric or self.primary), {}).values()
        return sorted(rows, key=lambda row: float("-inf") if row["value"] is None else row["value"], reverse=True)

    def competes(self, row: Row) -> bool:
        """Whether a row belongs to an audio model, which a verdict may call the best."""
        return row["encoder"] is not None and row["recommender"] not in self.baselines

"""What a report is made of; nothing in it is computed here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from timbrec.audit import Finding
    from timbrec.results.verdict import Verdict

Row = dict[str, Any]  # one row of the summary
Line = tuple[str | None, str]  # what makes a line of a table: encoder (None without content) and recommender


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything a report shows.

    `summary` has the columns of results.summary.SUMMARY, one row per (encoder, recommender, scenario, metric);
    `primary` is the label of the metric the verdict is about; `split` is `Split.describe()`; `verdicts` says how far
    the best line of each scenario leads the next. No `findings` means that the run was not audited. `synthetic` is a
    note shown prominently when the data is not of real listeners. `encoders` holds facts by name, `data_card` (label,
    value) rows, `commands` what reproduces the run. `baselines` names the recommenders that are never called the best.
    `not_audited` says why no findings count. `missing` lists the cells that are not finished, with the reason.
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

    @cached_property
    def figures(self) -> dict[tuple[str, str], dict[Line, Row]]:
        """The summary's rows by scenario and metric, then by line; NaN is None."""
        figures: dict[tuple[str, str], dict[Line, Row]] = {}
        for row in self.summary.fill_nan(None).iter_rows(named=True):
            figures.setdefault((row["scenario"], row["metric"]), {})[row["encoder"], row["recommender"]] = row
        return figures

    @property
    def metrics(self) -> list[str]:
        """The labels of all metrics, the primary one first."""
        labels = self.summary["metric"].unique(maintain_order=True).to_list()
        return [self.primary, *(label for label in labels if label != self.primary)]

    def ranked(self, scenario: str) -> list[Row]:
        """The scenario's rows on the primary metric, best first, those without a value last."""
        rows = self.figures.get((scenario, self.primary), {}).values()
        return sorted(rows, key=lambda row: float("-inf") if row["value"] is None else row["value"], reverse=True)

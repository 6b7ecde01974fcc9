"""Results of a run: its figures and verdicts, and the page that shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from timbrec.audit.finding import Finding
from timbrec.audit.stored import StoredAudit, read_audit
from timbrec.errors import DataError
from timbrec.places import location
from timbrec.report import ReportData, draw_figures, write_report
from timbrec.results.figures import Figures, compute_figures
from timbrec.results.freshness import PAGE, beside_cells, read_record, write_record
from timbrec.results.lines import baselines
from timbrec.results.reference import read_reference, write_reference
from timbrec.results.stored import read_figures, write_figures
from timbrec.results.summary import summarise
from timbrec.results.tables import further_tables
from timbrec.results.verdict import Verdict
from timbrec.study.config import make_config
from timbrec.study.runs import Run
from timbrec.study.sources import FILES
from timbrec.types import Progress


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A finished or interrupted run: its folder, figures, verdicts and audit, and the page that shows them.

    `figures` has one row per (encoder, recommender, control, scenario, metric, seed); `standings` one row per line and
    control, with intervals; `gains` the gain of real vectors over each control; `summary` is the wide view of these.
    """

    run: Run
    tables: Figures
    audit: StoredAudit
    report: Path

    @property
    def verdict(self) -> tuple[Verdict, ...]:
        """The verdict on every scenario that has lines with audio."""
        return self.tables.verdicts

    @property
    def figures(self) -> pl.DataFrame:
        """The value of every metric on every cell."""
        return self.tables.figures

    @property
    def standings(self) -> pl.DataFrame:
        """Means over seeds with 95 % intervals and the chance level."""
        return self.tables.standings

    @property
    def gains(self) -> pl.DataFrame:
        """Real vectors against each control, paired."""
        return self.tables.gains

    @property
    def differences(self) -> pl.DataFrame:
        """All pairs of lines on the primary metric, paired, with simultaneous intervals."""
        return self.tables.differences

    @property
    def reference(self) -> pl.DataFrame | None:
        """Every encoder minus the config's `reference`, as `timbrec.compare` returns it; None without a reference."""
        return read_reference(self.run)

    @property
    def summary(self) -> pl.DataFrame:
        """One wide row per (encoder, recommender, scenario, metric)."""
        return summarise(self.tables)

    @property
    def findings(self) -> list[Finding]:
        """The findings of the audit; empty if the run has no valid audit."""
        return list(self.audit.findings)

    @property
    def primary(self) -> str:
        """The label of the primary metric."""
        return str(self.run.facts["config"]["primary"])

    def plot(self) -> Any:
        """The plot of hot against cold figures, as SVG for notebooks; None if no line has both."""
        return draw_figures(self._data)

    @property
    def _data(self) -> ReportData:
        return _report_data(self.run, self.tables, self.audit, {})

    def __repr__(self) -> str:
        leads = " ".join(verdict.sentence for verdict in self.verdict) or "no verdict"
        missing = len(self.run.missing)
        state = f", {missing} cells missing" if missing else ""
        return f"<timbrec.Result {self.run.location} ({leads}{state}; audit {self._audit_state})>"

    def _repr_html_(self) -> str:
        rows = self.summary.filter(metric=self.primary).sort("scenario", "value", descending=[False, True])
        columns = ["encoder", "recommender", "scenario", "value", "low", "high", "chance", "shuffled"]
        table: str = rows.select(columns)._repr_html_()
        return f"<p><b>{self.primary}</b>, audit {self._audit_state}</p>{table}"

    @property
    def _audit_state(self) -> str:
        if self.audit.missing:
            return f"does not count ({self.audit.missing})"
        return "passed" if self.audit.passed else "REFUSED"


def run_of(run: Run | Result | Path | str) -> Run:
    """The run of a result or in a folder."""
    return run if isinstance(run, Run) else run.run if isinstance(run, Result) else Run(location(run))


def tables_of(run: Run, progress: Progress | None) -> Figures:
    """The figures of the finished cells; also writes them to the run's folder."""
    if not run.finished:
        raise DataError(f"{run.location} has no finished cell yet", fix="Run the benchmark again.")
    if (tables := read_figures(run)) is None:
        config = make_config(run.facts["config"])
        tables = compute_figures(run, config.metrics, config.k, config.primary, progress)
        write_figures(run, tables)
    return tables


def page_of(run: Run, tables: Figures, progress: Progress | None = None) -> Result:
    """The result of a run with its page, which is written again if anything on it may have changed."""
    stored, page = read_audit(run), run.folder / "report.html"
    record = None if run.missing else read_record(run, PAGE)
    if record is not None and record["beside"] == beside_cells(run):
        return Result(run, tables, stored, page)
    further = further_tables(run, tables, progress)
    if (table := further.get("reference")) is not None:
        write_reference(run, table)
    write_report(_report_data(run, tables, stored, further), page)
    write_record(run, PAGE, [], beside=beside_cells(run))
    run.publish()
    return Result(run, tables, stored, page)


def _report_data(run: Run, tables: Figures, stored: StoredAudit, further: Mapping[str, pl.DataFrame]) -> ReportData:
    facts = run.facts
    config = make_config(facts["config"])
    return ReportData(
        name=config.name,
        created=facts["created"],
        version=facts["version"],
        protocol=config.split.protocol,
        primary=config.primary,
        synthetic=config.note,
        data_card=[tuple(row) for row in facts["data_card"]],
        split=run.split.describe(),
        summary=summarise(tables),
        differences=tables.differences,
        tables=further,
        facts=facts | {"versions": facts.get("versions", {}) | cell_versions(run)},
        settings={experiment.label: experiment.settings for experiment in run.experiments},
        findings=stored.findings,
        not_audited=stored.missing,
        missing=[(experiment.title, run.failure(experiment) or "not run yet") for experiment in run.missing],
        verdicts=tables.verdicts,
        encoders=facts["encoders"],
        baselines=baselines(run),
        commands=[
            "timbrec bench CONFIG.yaml",
            f"timbrec audit {config.output}",
            *(
                f"timbrec fit {config.output} --best {verdict.scenario}  # {verdict.leader}"
                for verdict in tables.verdicts
            ),
        ],
    )


def cell_versions(run: Run) -> dict[str, str]:
    """The software that made the finished cells; where cells differ, every version with its number of cells."""
    made: dict[str, Counter[str]] = {}
    for experiment in run.finished:
        for name, version in run.read(experiment, []).versions.items():
            made.setdefault(name, Counter())[version] += 1
    return {
        name: next(iter(counts))
        if len(counts) == 1
        else ", ".join(f"{version} ({count:,} of {counts.total():,} cells)" for version, count in counts.most_common())
        for name, counts in made.items()
    }


def read_files(run: Run) -> pl.DataFrame:
    """The audio files (encoder, id, path, outcome, reason, fix) of the last benchmark that failed or have a remark."""
    path = run.folder / "files.csv"
    return pl.read_csv(path, infer_schema=False, glob=False) if path.is_file() else pl.DataFrame(schema=FILES)

"""Matrices of figures: encoders down, recommenders across, one per scenario."""

from __future__ import annotations

from dataclasses import dataclass

from timbrec.report.data import ReportData
from timbrec.report.shared.cards import SCENARIOS
from timbrec.report.shared.standings import ScenarioTable, TableRow, scenario_tables


@dataclass(frozen=True)
class Matrix:
    """The figures of a scenario; `cells` has a row per encoder and a column per recommender, None where none ran.

    `baselines` are the rows of lines without content.
    """

    scenario: str
    about: str
    missing: str
    encoders: tuple[str, ...]
    recommenders: tuple[str, ...]
    cells: tuple[tuple[TableRow | None, ...], ...]
    baselines: tuple[TableRow, ...]


def matrices(data: ReportData) -> list[Matrix]:
    """A matrix for each scenario with a table, on the primary metric."""
    return [_matrix(data, table) for table in scenario_tables(data)]


def _matrix(data: ReportData, table: ScenarioTable) -> Matrix:
    content = data.summary.drop_nulls("encoder")
    encoders = tuple(content["encoder"].unique(maintain_order=True))
    recommenders = tuple(content["recommender"].unique(maintain_order=True))
    rows = {row.line: row for row in table.rows}
    cells = tuple(tuple(rows.get((encoder, label)) for label in recommenders) for encoder in encoders)
    return Matrix(
        table.scenario,
        SCENARIOS[table.scenario],
        table.missing,
        encoders,
        recommenders,
        cells,
        tuple(row for row in table.rows if row.line[0] is None),
    )

"""Release year from the vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from timbrec.data.items import COLUMNS
from timbrec.data.tables import open_table
from timbrec.errors import ConfigError
from timbrec.probes.shared.base import Context, Probe
from timbrec.probes.shared.labels import Labels

USUAL = ("year", "release_year", "released", "release_date", "date")


@dataclass(frozen=True)
class YearProbe(Probe):
    """The release year of each track, from a column of the items table: a year, or a date that begins with one."""

    column: str = ""

    own_tracks: ClassVar[bool] = True

    def labels(self, context: Context) -> Labels:
        """The years of the run's items table; tracks without one are left out. Raises ConfigError without a column."""
        _, tracks = context.log("year")
        if context.items is None:
            raise ConfigError("probe 'year' needs a table of tracks", fix="Name it under `items`.")
        table = open_table(context.items.source)
        column = self.column or next((name for name in USUAL if name in table.names), "")
        if not column:
            raise ConfigError(f"{table.path} has no column of years", example=table.names[:5],
                              fix="Name it: `column: NAME`.")  # fmt: skip
        key = str(context.items.columns.get("item", COLUMNS["item"]))
        rows = table.read([key, column])
        year = rows[column].cast(pl.String).str.extract(r"^\s*((?:18|19|20)\d\d)\b").cast(pl.Float64)
        years = pl.DataFrame({"id": rows[key].cast(pl.String), "year": year}).unique("id", keep="first")
        joined = tracks.join(years, on="id", how="left", maintain_order="left")
        known = joined.drop_nulls("year")
        return Labels(known.drop("year"), "numbers", known.select("year").to_numpy(), ("year",))

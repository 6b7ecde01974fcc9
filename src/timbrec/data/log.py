"""Reader of listening logs: maps columns to roles, drops and counts rows, and parses times."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import polars as pl
from pydantic import model_validator

from timbrec.data.events import Events, make_events
from timbrec.data.ids import checked_ids, meaningless
from timbrec.data.settings import Name, TablePart
from timbrec.data.table_kinds import Table, as_numbers
from timbrec.data.tables import open_table
from timbrec.data.times import TimeForm, Unit, read_times
from timbrec.errors import DataError

COLUMNS = {"user": "user_id", "item": "track_id", "time": "timestamp", "plays": "plays"}
JOIN = " :: "  # between the parts of an id made of several columns
Role = Literal["user", "item", "time", "plays"]


class LogConfig(TablePart):
    """Location and format of the listening log.

    `columns` maps the roles user, item, time and plays to column names; several columns together can name a user or an
    item. `user` names the only user of a log without a user column. `missing` decides about rows without a user, item
    or time: refuse the log, drop and count them, or keep them. Rows with less than `at_least` in a column are dropped
    and counted. With `explode`, each element of a list in a row becomes a row.
    """

    columns: dict[Role, Name | list[Name]] = {}
    user: Name | None = None
    time_zone: str = "UTC"
    time_unit: Unit | None = None
    time_format: str | None = None
    missing: Literal["refuse", "drop", "keep"] = "refuse"
    at_least: dict[Name, float] = {}
    explode: bool = False

    @model_validator(mode="after")
    def _user_once(self) -> LogConfig:
        if self.user is not None and "user" in self.columns:
            raise ValueError("`user` and `columns.user` exclude each other; keep one")
        return self

    def names(self, role: Role) -> list[str]:
        """The columns of the file that have this role."""
        names = self.columns.get(role, COLUMNS[role])
        return names if isinstance(names, list) else [names]


def read_log(config: LogConfig) -> Events:
    """Read the plays of a log. The result's `facts` count dropped rows and describe how the file was interpreted.

    The columns of times and plays are optional unless `columns` names them. Raises DataError, with the file's name, for
    invalid content.
    """
    return make_log(open_table(config.source), config)


def make_log(table: Table, config: LogConfig) -> Events:
    """Read the plays of an open table; see `read_log`."""
    roles = _roles(table, config)
    names = list(dict.fromkeys([*(name for role in roles for name in config.names(role)), *config.at_least]))
    if unlisted := [name for name in config.at_least if name not in table.names]:
        table.check(unlisted)
    rows = table.read(names)
    try:
        if config.explode:
            rows = _exploded(rows)
        rows, facts = _above(rows, config)
        columns = [_joined(rows, config.names(role), role) for role in roles]
        if config.user is not None:
            columns.append(pl.repeat(config.user, len(rows), dtype=pl.String, eager=True).alias("user"))
        plays, left_out = _complete(pl.DataFrame(columns), config)
        if "time" in plays.columns:
            times, note = read_times(plays["time"], TimeForm(config.time_zone, config.time_unit, config.time_format))
            plays = plays.with_columns(times.alias("time"))
            left_out += [("times", note)] if note else []
        return replace(make_events(plays), facts=(*table.facts, *facts, *left_out))
    except DataError as error:
        error.args = (f"{table.path}: {error}",)
        raise


def _roles(table: Table, config: LogConfig) -> list[Role]:
    """The roles that the table has columns for. Raises DataError for a required column that is missing."""
    roles: list[Role] = ["item"] if config.user is not None else ["user", "item"]
    optional: tuple[Role, ...] = ("time", "plays")
    named = (*table.names, *table.partial)  # a column that only some files have is refused, not left out
    roles += [role for role in optional if role in config.columns or COLUMNS[role] in named]
    try:
        table.check([name for role in roles for name in config.names(role)])
    except DataError as error:
        if "user" in roles and "user" not in config.columns and COLUMNS["user"] not in table.names:
            error.args = (f"{error} If the log is one person's, set `user: NAME`.",)
        raise
    return roles


def _exploded(rows: pl.DataFrame) -> pl.DataFrame:
    """A row for each element of the lists in a row; text cells with JSON lists count as lists."""
    for name, kind in rows.schema.items():
        if kind == pl.String and rows[name].str.starts_with("[").all():
            inner = rows[name].str.strip_chars("[] ").str.split(",")
            rows = rows.with_columns(inner.list.eval(pl.element().str.strip_chars(" \"'")).alias(name))
    lists = [name for name, kind in rows.schema.items() if isinstance(kind, pl.List | pl.Array)]
    if not lists:
        raise DataError("no column holds lists", fix="Leave out `explode`, or write lists as [1, 2].")
    rows = rows.with_columns(rows[name].arr.to_list() for name in lists if rows[name].dtype == pl.Array)
    lengths = [pl.col(name).list.len() for name in lists]
    uneven = rows.select(uneven=pl.min_horizontal(lengths) != pl.max_horizontal(lengths))["uneven"]
    if uneven.any():
        raise DataError("lists of one row have different lengths", count=int(uneven.sum()),
                        example=f"row {int(uneven.arg_max() or 0) + 1}", fix="Correct these rows.")  # fmt: skip
    rows = rows.explode(lists)
    return rows.with_columns(map(as_numbers, rows))


def _above(rows: pl.DataFrame, config: LogConfig) -> tuple[pl.DataFrame, list[tuple[str, str]]]:
    """The rows that reach `at_least`, and the number of the others."""
    facts = []
    for name, least in config.at_least.items():
        values = rows[name].cast(pl.Float64, strict=False)
        if values.null_count() == len(values) > 0:
            raise DataError(f"column {name!r} of `at_least` holds no numbers", example=rows[name][0])
        keep = (values >= least).fill_null(False)
        facts.append((f"rows left out: {name} below {least:g}, or missing", f"{int((~keep).sum()):,}"))
        rows = rows.filter(keep)
    return rows, facts


def _joined(rows: pl.DataFrame, names: list[str], role: Role) -> pl.Series:
    """The column of a role, named after it. Several columns are joined to one id, null where a part is missing."""
    if role in ("user", "item"):
        for name in names:
            checked_ids(rows[name], f"column {name!r}")
    if len(names) == 1:
        return rows[names[0]].alias(role)
    if role not in ("user", "item"):
        raise DataError(f"{role} cannot be made of several columns", example=names, fix="Name one column.")
    parts = [pl.when(~meaningless(rows[name])).then(rows[name].cast(pl.String)) for name in names]
    return rows.select(pl.concat_str(parts, separator=JOIN).alias(role)).to_series()


def _missing_values(column: pl.Series, missing: pl.Series) -> DataError:
    """The error for values that are empty, or words such as "NULL"."""
    row = int(missing.arg_max() or 0)
    fix = "Fill them in, or set `missing: drop` to leave these rows out"
    if column[row] in (None, ""):
        values, example, fix = "empty values", f"row {row + 1}", f"{fix}."
    else:
        values, example = "values that mean nothing", f"{column[row]} in row {row + 1}"
        fix += ", or `missing: keep` if they are real ids."
    return DataError(
        f"column {column.name!r} of the log has {values}", count=int(missing.sum()), example=example, fix=fix
    )


def _complete(plays: pl.DataFrame, config: LogConfig) -> tuple[pl.DataFrame, list[tuple[str, str]]]:
    """The rows with a user, an item and a time, and the number of the others. Raises DataError if they are refused."""
    facts = []
    if config.missing == "keep":
        return plays, []
    for name in [name for name in ("user", "item", "time") if name in plays.columns]:
        missing = meaningless(plays[name])
        if not missing.any():
            continue
        if config.missing == "refuse":
            raise _missing_values(plays[name], missing)
        plays = plays.filter(~missing)
        facts.append((f"rows left out: no {name}", f"{int(missing.sum()):,}"))
    return plays, facts

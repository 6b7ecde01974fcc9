"""Reader of listening logs: maps columns to roles, drops and counts rows, and parses times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import polars as pl
from pydantic import model_validator

from timbrec.data.coding import Codes
from timbrec.data.events import Events, make_events
from timbrec.data.ids import checked_ids, meaningless
from timbrec.data.roles import candidates, quoted
from timbrec.data.settings import Name, TablePart
from timbrec.data.table_kinds import Table, as_numbers, stacked
from timbrec.data.tables import open_table
from timbrec.data.times import TimeForm, Unit, early_times, read_times
from timbrec.errors import DataError

COLUMNS = {"user": "user_id", "item": "track_id", "time": "timestamp", "plays": "plays"}
JOIN = " :: "  # between the parts of an id made of several columns
Role = Literal["user", "item", "time", "plays"]
_Rows = tuple[pl.DataFrame, dict[str, pl.Series], list[tuple[str, str]]]


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

    @property
    def time_form(self) -> TimeForm:
        """The format of the times."""
        return TimeForm(self.time_zone, self.time_unit, self.time_format)


def read_log(config: LogConfig) -> Events:
    """Read the plays of a log. The result's `facts` count dropped rows and describe how the file was interpreted.

    The columns of times and plays are optional unless `columns` names them. Raises DataError, with the file's name, for
    invalid content.
    """
    return make_log(open_table(config.source), config)


def make_log(table: Table, config: LogConfig) -> Events:
    """Read the plays of an open table; see `read_log`."""
    roles = _roles(table, config)
    if unlisted := [name for name in config.at_least if name not in table.names]:
        table.check(unlisted)
    plays, ids, facts = _read(table, config, roles)
    with _naming(table):
        plays, left_out = _complete(plays, ids, config)
        if "time" in plays.columns:
            times, note = read_times(plays["time"], config.time_form)
            plays = plays.with_columns(times.alias("time"))
            left_out += [("times", note)] if note else []
        events = make_events(plays, ids)
    read = {name for role in roles for name in config.names(role)}
    unread = tuple(name for name in table.names if name not in read)
    return replace(events, facts=(*dict.fromkeys(table.facts), *facts, *left_out), unread=unread)


@contextmanager
def _naming(table: Table) -> Iterator[None]:
    """Put the table's path before the message of a DataError."""
    try:
        yield
    except DataError as error:
        error.args = (f"{table.path}: {error}",)
        raise


def _read(table: Table, config: LogConfig, roles: list[Role], parse: bool = True) -> _Rows:
    """The rows that reach `at_least`: codes of users and items with their ids, times and plays; and facts.

    Blocks of rows are read one after the other. `parse` turns text into times within a block; if blocks then hold times
    of several kinds, the table is read again without it.
    """
    names = list(dict.fromkeys([*(name for role in roles for name in config.names(role)), *config.at_least]))
    codes: dict[str, Codes] = {"user": Codes(), "item": Codes()}
    above = _Above(config.at_least)
    parts: list[pl.DataFrame] = []
    for block in [_exploded(table, names)] if config.explode else table.blocks(names):
        with _naming(table):
            rows = above.kept(block)
            columns = [_joined(rows, config.names(role), role) for role in roles]
            if config.user is not None:
                columns.append(pl.repeat(config.user, len(rows), dtype=pl.String, eager=True).alias("user"))
            parts.append(
                pl.DataFrame(_compact(column, codes, config.time_form if parse else None) for column in columns)
            )
    if parse and len({part["time"].dtype for part in parts if "time" in part.columns}) > 1:
        return _read(table, config, roles, parse=False)
    with _naming(table):
        facts = above.facts()
    ids = {role: as_numbers(each.ids) for role, each in codes.items()}
    empty = pl.DataFrame(schema=dict.fromkeys([*roles, "user"], pl.String))
    return stacked(parts, table.path) if parts else empty, ids, facts


def _compact(column: pl.Series, codes: dict[str, Codes], form: TimeForm | None) -> pl.Series:
    """The codes of ids, and numbers and, by `form`, times in place of text."""
    if column.name in codes:
        return codes[column.name].of(column)
    column = as_numbers(column)
    return column if form is None or column.name != "time" else early_times(column, form)


def _roles(table: Table, config: LogConfig) -> list[Role]:
    """The roles with a column in the table. Raises DataError for a missing column that is required."""
    roles: list[Role] = ["item"] if config.user is not None else ["user", "item"]
    optional: tuple[Role, ...] = ("time", "plays")
    named = (*table.names, *table.partial)  # a column that only some files have is refused, not left out
    roles += [role for role in optional if role in config.columns or COLUMNS[role] in named]
    try:
        table.check([name for role in roles for name in config.names(role)])
    except DataError as error:
        advice = [error.fix, _likely(table, config)]
        if "user" in roles and "user" not in config.columns and COLUMNS["user"] not in table.names:
            advice.append("If the log is one person's, set `user: NAME`.")
        fix = " ".join(filter(None, advice))
        raise DataError(error.what, count=error.count, example=error.example, fix=fix) from None
    return roles


def _likely(table: Table, config: LogConfig) -> str:
    """Advice with the columns whose names are usual for user, item and time; empty unless each role has one."""
    needed: list[Role] = ["item"] if config.user is not None else ["user", "item"]
    names = {role: candidates(role, table.names)[:1] for role in (*needed, "time")}
    columns = {role: quoted(column[0]) for role, column in names.items() if column}
    if not columns.keys() >= set(needed) or len(set(columns.values())) < len(columns):
        return ""
    return f"Perhaps `columns: {{{', '.join(f'{role}: {name}' for role, name in columns.items())}}}`."


def _exploded(table: Table, names: list[str]) -> pl.DataFrame:
    """A row for each element of the lists in a row of the table; text cells with JSON lists count as lists."""
    rows = table.read(names)
    with _naming(table):
        return _elements(rows)


def _elements(rows: pl.DataFrame) -> pl.DataFrame:
    """A row for each element of the lists in a row."""
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


class _Above:
    """Leaves out the rows below a number in some columns, and counts them."""

    def __init__(self, at_least: dict[str, float]) -> None:
        self._least = at_least
        self._left_out = dict.fromkeys(at_least, 0)
        self._first: dict[str, Any] = {}  # the first value of each column
        self._numeric: set[str] = set()

    def kept(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of a block that are kept."""
        for name, least in self._least.items():
            values = rows[name].cast(pl.Float64, strict=False)
            if len(values):
                self._first.setdefault(name, rows[name][0])
            if values.null_count() < len(values):
                self._numeric.add(name)
            keep = (values >= least).fill_null(False)
            self._left_out[name] += int((~keep).sum())
            rows = rows.filter(keep)
        return rows

    def facts(self) -> list[tuple[str, str]]:
        """The number of rows left out for each column. Raises DataError for a column without a number."""
        for name, value in self._first.items():
            if name not in self._numeric:
                raise DataError(f"column {name!r} of `at_least` holds no numbers", example=value)
        return [
            (f"rows left out: {name} below {least:g}, or missing", f"{self._left_out[name]:,}")
            for name, least in self._least.items()
        ]


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


def _complete(
    plays: pl.DataFrame, ids: Mapping[str, pl.Series], config: LogConfig
) -> tuple[pl.DataFrame, list[tuple[str, str]]]:
    """The rows with a user, an item and a time, and the number of the others. Raises DataError if they are refused."""
    facts = []
    if config.missing == "keep":
        return plays, []
    for name in [name for name in ("user", "item", "time") if name in plays.columns]:
        missing = _missing(plays[name], ids.get(name))
        if not missing.any():
            continue
        if config.missing == "refuse":
            raise _missing_values(plays[name].alias(JOIN.join(config.names(name))), missing, ids.get(name))
        plays = plays.filter(~missing)
        facts.append((f"rows left out: no {name}", f"{int(missing.sum()):,}"))
    return plays, facts


def _missing(column: pl.Series, ids: pl.Series | None) -> pl.Series:
    """A mask of the values that stand for nothing; with `ids`, the column holds codes."""
    if ids is None:
        return meaningless(column)
    words = meaningless(ids).arg_true()
    return column.is_in(words.implode()).fill_null(True) if len(words) else column.is_null()


def _missing_values(column: pl.Series, missing: pl.Series, ids: pl.Series | None) -> DataError:
    """The error for values that are empty, or words such as "NULL"."""
    row = int(missing.arg_max() or 0)
    value = column[row] if ids is None or column[row] is None else ids[column[row]]
    fix = "Fill them in, or set `missing: drop` to leave these rows out"
    if value in (None, ""):
        values, example, fix = "empty values", f"row {row + 1}", f"{fix}."
    else:
        values, example = "values that mean nothing", f"{value} in row {row + 1}"
        fix += ", or `missing: keep` if they are real ids."
    return DataError(
        f"column {column.name!r} of the log has {values}", count=int(missing.sum()), example=example, fix=fix
    )

"""Any table of tracks and labels: classes, several labels a track, numbers, or keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import polars as pl

from timbrec.data.ids import checked_ids, examples, meaningless
from timbrec.data.table_kinds import Table
from timbrec.data.tables import open_table
from timbrec.errors import ConfigError, DataError, listing
from timbrec.places import AnyPath
from timbrec.probes.shared.base import Context, Probe
from timbrec.probes.shared.labels import Kind, Labels, class_labels
from timbrec.probes.shared.metrics import KEYS, key_number
from timbrec.types import Array, Float

IDS = ("id", "ID", "track_id", "item_id", "track", "item")
ARTISTS = ("artist_id", "artist")
SPLITS = ("part", "split", "subset", "fold")
PART_NAMES = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation",
    "dev": "validation", "test": "test",
}  # fmt: skip
FEW = 24  # whole numbers with at most this many values are classes


@dataclass(frozen=True)
class OwnLabels(Probe):
    """Labels of a table with a row per track, or a row per track and label.

    `columns` maps the roles id, label (one name or several), artist and part to columns; by default, columns of usual
    names are id, artist and part, and all others are labels. `kind` is detected unless given: text is classes; text
    with `separator` in it, lists, several rows per track and columns of 0 and 1 are tags (several labels a track);
    numbers are numbers, but whole numbers with at most 24 values are classes. Without a column `part` (train,
    validation, test) the split is by artist, of the table or of the run's items table.
    """

    path: AnyPath = Path("labels.csv")
    columns: dict[Literal["id", "label", "artist", "part"], str | list[str]] = field(default_factory=dict)
    kind: Literal["classes", "tags", "numbers", "key"] | None = None
    separator: str = "|"

    own_tracks: ClassVar[bool] = True

    def labels(self, context: Context) -> Labels:
        """The labels of the table. Raises DataError for a table without labels, or with labels of another kind."""
        table = open_table(context.at(self.path))
        key, names = self._column(table, "id", IDS), self._label_columns(table)
        others = {role: column for role, usual in (("artist", ARTISTS), ("part", SPLITS))
                  if (column := self._column(table, role, usual, required=False))}  # fmt: skip
        rows = table.read([key, *names, *others.values()])
        checked_ids(rows[key], f"{table.path}: column {key!r}")
        tracks = rows.select(id=pl.col(key).cast(pl.String), **{role: pl.col(name) for role, name in others.items()})
        tracks = _with_artists(_with_parts(tracks, table.path), context)
        if len(rows) != tracks["id"].n_unique() and len(names) == 1:
            return self._long(tracks, rows[names[0]], table.path)
        return self._wide(tracks, rows.select(names), table.path)

    def _column(self, table: Table, role: str, usual: Sequence[str], required: bool = True) -> str:
        if role in self.columns:
            name = self.columns[role]
            if not isinstance(name, str):
                raise ConfigError(f"`columns.{role}` of {table.path} must be one column", example=name)
            table.check([name])
            return name
        known = next((name for name in usual if name in table.names), "")
        if not known and required:
            raise DataError(f"{table.path} has no column of track ids", example=table.names[:5],
                            fix="Name it: `columns: {id: NAME}`.")  # fmt: skip
        return known

    def _label_columns(self, table: Table) -> list[str]:
        chosen = self.columns.get("label")
        taken = {self._column(table, role, usual, required=False)
                 for role, usual in (("id", IDS), ("artist", ARTISTS), ("part", SPLITS))}  # fmt: skip
        names = [chosen] if isinstance(chosen, str) else chosen or [name for name in table.names if name not in taken]
        if not names:
            raise DataError(f"{table.path} has no column of labels", example=table.names[:5],
                            fix="Name it: `columns: {label: NAME}`.")  # fmt: skip
        table.check(names)
        return list(names)

    def _long(self, tracks: pl.DataFrame, column: pl.Series, path: Path) -> Labels:
        """Tags from a row per track and label."""
        if self.kind not in (None, "tags"):
            repeated = tracks["id"].filter(tracks["id"].is_duplicated())
            raise DataError(f"{path}: some tracks have several rows, but {self.kind} need one label a track",
                            count=repeated.n_unique(), example=repeated[0],
                            fix="Keep one row a track, or set `kind: tags`.")  # fmt: skip
        if "part" in tracks.columns:
            parts = tracks.unique(["id", "part"])["id"]
            if len(several := parts.filter(parts.is_duplicated())):
                raise DataError(f"{path}: some tracks are in several parts of the split", count=several.n_unique(),
                                example=several.sort()[0], fix="Give all rows of a track the same part.")  # fmt: skip
        lists = tracks.with_columns(label=column.cast(pl.String)).group_by("id", maintain_order=True)
        rows = lists.agg(pl.all().exclude("label").first(), pl.col("label").drop_nulls())
        return _tags(rows.drop("label"), rows["label"], f"{path}: column {column.name!r}, several rows a track")

    def _wide(self, tracks: pl.DataFrame, columns: pl.DataFrame, path: Path) -> Labels:
        numbers = {name: _as_numbers(columns[name]) for name in columns.columns}
        if columns.width > 1:
            return self._several(tracks, columns, numbers, path)
        column = columns.to_series()
        where = f"{path}: column {column.name!r}"
        kind = self.kind or _kind_of(column, numbers[column.name], self.separator)
        if kind == "tags":
            return _tags(tracks, _lists(column, self.separator), where)
        if kind == "numbers":
            return _numbers(tracks, {column.name: numbers[column.name]}, columns, where)
        if kind == "key":
            return _keys(tracks, column, where)
        _refuse_measurements(column, numbers[column.name], where)
        names = pl.select(pl.when(~meaningless(column.cast(pl.String))).then(column.cast(pl.String))).to_series()
        remarks = (f"{where}: {names.n_unique() - bool(names.null_count()):,} classes",)
        return class_labels(tracks, names, remarks=remarks)

    def _several(
        self, tracks: pl.DataFrame, columns: pl.DataFrame, numbers: dict[str, pl.Series | None], path: Path
    ) -> Labels:
        """Tags from columns of 0 and 1, numbers from columns of other numbers."""
        binary = all(values is not None and set(values.drop_nulls().unique()) <= {0, 1} for values in numbers.values())
        if binary and self.kind in (None, "tags"):
            matrix = columns.with_columns(pl.Series(name, values) for name, values in numbers.items())
            values = matrix.fill_null(0).to_numpy().astype(bool)
            return Labels(tracks, "tags", values, tuple(columns.columns), (f"{path}: {columns.width:,} labels",))
        if all(values is not None for values in numbers.values()) and self.kind in (None, "numbers"):
            return _numbers(tracks, numbers, columns, str(path))
        text = [name for name, values in numbers.items() if values is None] or columns.columns
        raise DataError(f"{path} has several columns that may be labels", count=columns.width, example=listing(text, 5),
                        fix="Name the labels: `columns: {label: NAME}`.")  # fmt: skip


def _with_parts(tracks: pl.DataFrame, path: Path) -> pl.DataFrame:
    if "part" not in tracks.columns:
        return tracks
    named = tracks["part"].cast(pl.String).str.strip_chars().str.to_lowercase()
    parts = named.replace_strict(PART_NAMES, default=None)
    if len(other := named.filter(parts.is_null())):
        raise DataError(f"{path}: some parts of the split are neither train, validation nor test", count=len(other),
                        example=other[0], fix="Name another column: `columns: {part: NAME}`.")  # fmt: skip
    return tracks.with_columns(part=parts)


def _with_artists(tracks: pl.DataFrame, context: Context) -> pl.DataFrame:
    """The artists of the table, or those of the run's items table."""
    if "artist" in tracks.columns:
        text = tracks["artist"].cast(pl.String)
        return tracks.with_columns(pl.when(~meaningless(text)).then(text).alias("artist"))
    if context.tracks is None or "artist" not in context.tracks.columns:
        return tracks
    return tracks.join(context.tracks.select("id", "artist"), on="id", how="left", maintain_order="left")


def _as_numbers(column: pl.Series) -> pl.Series | None:
    """The column as numbers; None for text and lists."""
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return column.cast(pl.Float64)
    if column.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return None
    text = column.cast(pl.String)
    known = text.filter(~meaningless(text))
    numbers = known.str.strip_chars().cast(pl.Float64, strict=False)
    if not len(known) or numbers.null_count():
        return None
    return text.str.strip_chars().cast(pl.Float64, strict=False)


def _kind_of(column: pl.Series, numbers: pl.Series | None, separator: str) -> Kind:
    if numbers is not None:
        known = numbers.drop_nulls()
        return "classes" if (known == known.round()).all() and known.n_unique() <= FEW else "numbers"
    if isinstance(column.dtype, pl.List | pl.Array):
        return "tags"
    return "tags" if column.cast(pl.String).str.contains(separator, literal=True).any() else "classes"


def _lists(column: pl.Series, separator: str) -> pl.Series:
    """A list of labels per track; empty where there are none."""
    if isinstance(column.dtype, pl.List | pl.Array):
        return column.cast(pl.List(pl.String))
    text = column.cast(pl.String)
    parts = text.str.split(separator).list.eval(pl.element().str.strip_chars())
    return pl.select(pl.when(meaningless(text)).then(pl.lit([], pl.List(pl.String))).otherwise(parts)).to_series()


def _tags(tracks: pl.DataFrame, lists: pl.Series, where: str) -> Labels:
    pairs = pl.DataFrame({"row": np.arange(len(lists)), "label": lists}).explode("label").drop_nulls()
    pairs = pairs.filter(pl.col("label") != "").unique()
    names = pairs["label"].unique().sort()
    if not len(names):
        raise DataError(f"{where} holds no label", count=len(tracks))
    values = np.zeros((len(tracks), len(names)), bool)
    values[pairs["row"].to_numpy(), names.search_sorted(pairs["label"]).to_numpy()] = True
    remarks = [f"{where}: {len(names):,} labels"]
    if bare := int((~values.any(1)).sum()):
        remarks.append(f"tracks without any label, which count as examples of none: {bare:,}")
    return Labels(tracks, "tags", values, tuple(names), tuple(remarks))


def _numbers(tracks: pl.DataFrame, numbers: dict[str, pl.Series | None], columns: pl.DataFrame, where: str) -> Labels:
    matrix: list[Float[Array, "n"]] = []
    for name, values in numbers.items():
        if values is None:
            wrong = columns[name].cast(pl.String)
            wrong = wrong.filter(wrong.cast(pl.Float64, strict=False).is_null() & ~meaningless(wrong))
            raise DataError(f"{where}: some values of {name!r} are no numbers", count=len(wrong), example=wrong[0],
                            fix="Set `kind: classes`, or name another column.")  # fmt: skip
        matrix.append(values.to_numpy())
    return Labels(tracks, "numbers", np.stack(matrix, 1), tuple(numbers), (f"{where}: numbers",))


def _keys(tracks: pl.DataFrame, column: pl.Series, where: str) -> Labels:
    numbers = [key_number(name) if name else None for name in column.cast(pl.String)]
    known = np.array([number is not None for number in numbers])
    if not known.any():
        raise DataError(f"{where} holds no keys", example=column.cast(pl.String)[0], fix="Write keys as 'C# minor'.")
    unknown = column.cast(pl.String).filter(pl.Series(~known))
    remarks = (
        (f"{len(unknown):,} keys are not one of the 24, e.g. {examples(unknown.unique())}",) if len(unknown) else ()
    )
    values = np.array([number for number in numbers if number is not None])
    return Labels(tracks.filter(pl.Series(known)), "key", values, KEYS, (f"{where}: keys", *remarks))


def _refuse_measurements(column: pl.Series, numbers: pl.Series | None, where: str) -> None:
    """Refuse numbers that cannot be classes: fractions, or more values than half of the tracks."""
    if numbers is None:
        return
    known = numbers.drop_nulls()
    fractions = known.filter(known != known.round())
    if len(fractions) or known.n_unique() > max(len(known) / 2, FEW):
        raise DataError(f"{where} holds {known.n_unique():,} different numbers, not classes",
                        example=(fractions if len(fractions) else known)[0], fix="Set `kind: numbers`.")  # fmt: skip

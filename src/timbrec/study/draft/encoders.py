"""The encoders of a draft: sources of vectors that know tracks of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from timbrec import encoders
from timbrec.data.ids import examples, likeness
from timbrec.errors import ConfigError
from timbrec.store.vector_tables import ID_NAMES, strangers
from timbrec.study.draft.draft import Draft
from timbrec.study.draft.findings import Finding, is_numeric
from timbrec.study.draft.ids import Ids, nearest

WITHOUT_WEIGHTS = "mfcc"
BETTER = "musicnn-msd"  # where its weights are here
FILES = ("vectors", "embeddings", "features", "array", "data")  # names of files that do not tell of what


def paired(findings: Sequence[Finding]) -> dict[Path, Path]:
    """The file of ids of each array: it has as many ids as the array has rows, and the nearest name."""
    pairs: dict[Path, Path] = {}
    for array in (finding for finding in findings if finding.kind == "array"):
        fitting = [finding.path for finding in findings if finding.kind == "ids" and finding.note == array.note]
        stem = array.path.stem
        fitting.sort(key=lambda path: (path.parent != array.path.parent, not path.stem.startswith(stem), path))
        if fitting:
            pairs[array.path] = fitting[0]
    return pairs


def write_encoders(
    drafted: Draft,
    findings: Sequence[Finding],
    offered: Mapping[Path, Ids],
    arrays: Mapping[Path, Path],
    played: pl.Series | None,
) -> None:
    """Write an entry for each source of vectors that knows a track of the log."""
    entries: dict[str, dict[str, Any]] = {}
    for finding in findings:
        ids = offered[finding.path]
        name, known = ("", None) if played is None else nearest(played, ids)
        if finding.kind == "array" and finding.path not in arrays:
            drafted.take(finding, "left out: no file has an id for each of its rows")
        elif played is not None and known == 0:
            _leave_out(drafted, finding, played, ids)
        else:
            entries |= _entries(drafted, finding, name, known, arrays, entries)
    if not entries:
        raise ConfigError("there are no vectors and no audio for the tracks of the log", fix=(
            "Name a folder of audio, a table with an id and numbers, or a .npy with a file of ids."
            + roles_of_paths(drafted)))  # fmt: skip
    drafted.config["encoders"] = entries


def _entries(
    drafted: Draft, finding: Finding, name: str, known: float | None, arrays: Mapping[Path, Path],
    taken: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """The entries of `encoders` for a source; audio has one for each encoder that can run here.

    `known` is the share of the log's tracks that it has; None if exports are still to be matched.
    """
    path = drafted.relative(finding.path)
    of_log = "" if known is None else f" ({known:.0%} of the log's tracks)"
    if finding.kind == "audio":
        names = [WITHOUT_WEIGHTS, *[BETTER] * _is_ready(BETTER)]
        drafted.take(finding, f"audio to encode, by {' and '.join(names)}{of_log}")
        drafted.below["encoders"] = f"muq: {{audio: {path}}}  # `timbrec weights list` shows other encoders"
        return {encoder: {"audio": path} | ({} if name in ("", "stem") else {"ids": name}) for encoder in names}
    entry: dict[str, Any] = {"vectors": path}
    if finding.kind == "array":
        entry["ids"] = drafted.relative(arrays[finding.path])
        drafted.take(finding, f"vectors; {entry['ids']} has their ids{of_log}")
    else:
        columns = _vector_columns(finding, name) if finding.kind == "vectors" else {}
        entry |= {"columns": columns} if columns else {}
        drafted.take(finding, f"vectors{of_log}")
    return {_label(finding.path, taken): entry}


def _label(path: Path, taken: Mapping[str, Any]) -> str:
    """The name of an encoder: that of the file, or of the folder for one of the usual names of files."""
    label = path.name.partition(".")[0]
    if label.lower() in FILES and path.parent.name:
        label = path.parent.name
    number, name = 2, label
    while name in taken:
        name, number = f"{label}-{number}", number + 1
    return name


def _leave_out(drafted: Draft, finding: Finding, played: pl.Series, offered: Ids) -> None:
    """Note a source without tracks of the log, and how the ids of both differ."""
    what, played = "left out: the log has none of its tracks", played.drop_nulls().sort()
    ids = [ids for ids in offered.values() if len(ids)]
    alike = next(filter(None, (likeness(played, other) for other in ids)), None)
    if alike is not None:
        drafted.take(finding, f"{what}: ids differ by {alike}")
        drafted.unclear.append(f"{drafted.relative(finding.path)} is left out; make its ids those of the log to use it")
    elif ids:
        drafted.take(finding, f"{what} (e.g. {examples(ids[0], 1)}; the log has {examples(played, 1)})")
    else:
        drafted.take(finding, what)


def _vector_columns(finding: Finding, name: str) -> dict[str, Any]:
    """The columns of ids and vectors, unless the reader finds them without help."""
    usual = next((known for known in ID_NAMES if known in finding.names), None)
    columns: dict[str, Any] = {} if name in ("", usual) else {"id": name}
    lists = [column for column, kind in finding.sample.schema.items() if kind.is_nested()]
    others = [column for column in finding.names if column != name]
    if lists and len(others) > 1:
        columns["vector"] = lists[0]
    elif not lists and strangers(others):
        numbers = [column for column in others if is_numeric(finding.sample[column])]
        columns["vector"] = _pattern([column for column in numbers if not _is_index(finding.sample[column])], others)
    return columns


def _pattern(names: list[str], others: Sequence[str]) -> str | list[str]:
    """A pattern such as "f*" for names that alone begin so; else the names."""
    start = names[0].rstrip("0123456789") if names else ""
    if not start or set(start) & set("*?[]") or [name for name in others if name.startswith(start)] != names:
        return names
    return f"{start}*"


def _is_index(column: pl.Series) -> bool:
    """Whether the values count the rows, from any number."""
    numbers = column.cast(pl.Float64, strict=False)
    return len(numbers) > 2 and bool((numbers.diff().drop_nulls() == 1).all())


def _is_ready(encoder: str) -> bool:
    try:
        return not encoders.check_weights(encoder)
    except ConfigError:
        return False


def roles_of_paths(drafted: Draft) -> str:
    """The roles of all paths, for the end of a message."""
    return "".join(f"\n  {line.removesuffix('.')}" for line in drafted.roles)

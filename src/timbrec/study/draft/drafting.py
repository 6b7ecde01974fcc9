"""A draft of a config from files and folders: the log, the tracks, the vectors and a split that works."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from timbrec.data.items import COLUMNS as ITEM_COLUMNS
from timbrec.data.items import OPTIONAL
from timbrec.data.splitting import best_moment
from timbrec.errors import DataError, TimbrecError, listing
from timbrec.study.config import make_config
from timbrec.study.draft.draft import Draft
from timbrec.study.draft.encoders import paired, roles_of_paths, write_encoders
from timbrec.study.draft.findings import Finding, joined, look_at
from timbrec.study.draft.ids import Ids, best, ids_of, nearest
from timbrec.study.draft.log import headless_roles, is_default, plays_column, time_columns
from timbrec.study.inputs import Inputs, load_inputs
from timbrec.types import Progress

SOURCES = ("vectors", "array", "archive", "store", "audio")
HOLDOUT: dict[str, Any] = {"protocol": "item-holdout"}
ANY_DAY = "test_at: 2019-03-01  # instead: train before this day, test in the month after it"
WORDS = {
    "items": "a table of tracks", "vectors": "vectors", "array": "an array", "archive": "vectors",
    "ids": "ids or words, a line each", "store": "a store of vectors", "audio": "audio",
}  # fmt: skip


def draft(paths: Sequence[Path], base: Path, name: str) -> Draft:
    """Draft a config in the folder `base` from files and folders.

    Raises DataError if they contain no log of plays, or neither vectors nor audio.
    """
    findings = look_at(paths)
    drafted = Draft(base, {"name": name, "output": "run"})
    for finding in findings:
        if finding.kind == "unknown":
            drafted.take(finding, f"left out: {finding.note}")
    log = _log(drafted, findings)
    items = [finding for finding in findings if finding.kind == "items"]
    arrays = paired([finding for finding in findings if finding.kind in ("array", "ids")])
    for finding in findings:
        if finding.kind == "ids" and finding.path not in arrays.values():
            drafted.take(finding, f"left out: no array has {int(finding.note):,} rows")
    sources = {finding.path: ids_of(finding, arrays) for finding in findings if finding.kind in SOURCES}
    played = _write_log(drafted, log, list(sources.values()), items)
    _write_items(drafted, items, played)
    write_encoders(drafted, [finding for finding in findings if finding.path in sources], sources, arrays, played)
    _write_rest(drafted)
    return drafted


def settle(drafted: Draft, progress: Progress | None = None) -> Inputs:
    """Choose a split that the log allows, and read everything as `timbrec validate` does; returns the inputs.

    Raises the errors of the inputs.
    """
    try:
        inputs = _inputs(drafted, progress)
    except TimbrecError:
        if drafted.timed:
            drafted.below["split"] = ANY_DAY
        raise
    if not inputs.log.timed:
        drafted.below["split"] = "the log has no times, so tracks are held out at random"
        return inputs
    moment = best_moment(inputs.events)
    if moment is None:
        drafted.unclear.append("no day leaves known and new tracks on both sides: tracks are held out at random")
        drafted.below["split"] = ANY_DAY
        return inputs
    drafted.config["split"] = {"test_at": f"{moment:%Y-%m-%d}"}
    drafted.beside["split.test_at"] = "a year of train before this day, a month of test after it"
    return _inputs(drafted, progress)


def _inputs(drafted: Draft, progress: Progress | None) -> Inputs:
    return load_inputs(make_config(drafted.config | {"base": drafted.base}), progress, encode=False)


def _log(drafted: Draft, findings: Sequence[Finding]) -> Finding:
    """The log of plays, which may be several files; other logs are named."""
    logs = [finding for finding in findings if finding.kind in ("log", "history")]
    if not logs:
        for finding in findings:
            if finding.kind != "unknown":
                drafted.take(finding, WORDS[finding.kind])
        raise DataError("there is no log of plays in these files", fix=(
            "It has columns of users, tracks and times." + roles_of_paths(drafted)))  # fmt: skip
    log, others = joined(logs)
    if len(log.paths) > 1:
        what = f"exports for {log.note}" if log.kind == "history" else "files with the same columns"
        drafted.unclear.append(f"{len(log.paths)} {what} are read as one log: {listing(list(drafted.named(log)))}")
    for other in others:
        drafted.take(other, "left out: another log of plays, with other columns")
    return log


def _write_log(drafted: Draft, log: Finding, sources: Sequence[Ids], items: Sequence[Finding]) -> pl.Series | None:
    """Write `interactions`; returns the played tracks, or None for an export, which is matched by artist and title."""
    if log.kind == "history":
        drafted.timed = True
        drafted.config["interactions"] = {"import": log.note, "path": drafted.named(log)}
        if items:
            drafted.below["interactions"] = f"catalogue: {drafted.relative(items[0].path)}  # instead of tags of audio"
        drafted.take(log, f"the log of plays, an export that the importer {log.note} reads")
        return None
    entry: dict[str, Any] = {"path": drafted.named(log)}
    if not log.header:
        return _write_headless(drafted, log, entry)
    table = log.open()
    tracks = log.columns("item")
    played = {name: table.read([name]).to_series().cast(pl.String).unique() for name in tracks}
    item = best(played, sources) if len(tracks) > 1 else tracks[0]
    roles, settings = _roles(drafted, log, item)
    drafted.timed = "time" in roles
    drafted.choose("interactions.columns.item", item, tracks, log)
    if columns := {role: name for role, name in roles.items() if not is_default(role, name) or _noted(drafted, role)}:
        entry["columns"] = columns
    drafted.config["interactions"] = entry | settings
    drafted.below["interactions"] = "time_zone: Europe/Vienna  # of times without a zone; UTC if left out"
    drafted.take(log, f"the log of plays ({', '.join(f'{role}: {name}' for role, name in roles.items())})")
    return played[item]


def _noted(drafted: Draft, role: str) -> bool:
    return f"interactions.columns.{role}" in drafted.beside


def _roles(drafted: Draft, log: Finding, item: str) -> tuple[dict[str, str], dict[str, Any]]:
    """The columns of the log by role, and the further settings they need."""
    roles, settings = {}, {}
    if users := [name for name in log.columns("user") if name != item]:
        roles["user"] = users[0]
        drafted.choose("interactions.columns.user", users[0], users, log)
    else:
        settings["user"] = "me"
        drafted.unclear.append(f"{drafted.relative(log.path)}: no column of users; all plays count as one person's")
    roles["item"] = item
    if times := time_columns(log, set(roles.values())):
        roles["time"] = times[0].name
        settings |= times[0].settings
        drafted.choose("interactions.columns.time", times[0].name, [time.name for time in times], log)
        for remark in times[0].remarks:
            drafted.unclear.append(f"{drafted.relative(log.path)}: {remark}")
        if "time_format" in times[0].settings:
            drafted.beside["interactions.time_format"] = times[0].remarks[0]
    if (plays := plays_column(log)) is not None and plays not in roles.values():
        roles["plays"] = plays
    return roles, settings


def _write_headless(drafted: Draft, log: Finding, entry: dict[str, Any]) -> pl.Series:
    roles = headless_roles(log.sample)
    drafted.timed = "time" in roles
    drafted.config["interactions"] = entry | {"header": False, "columns": roles}
    order = ", ".join(f"{role}: {name}" for role, name in roles.items())
    drafted.unclear.append(f"{drafted.relative(log.path)} has no header; its columns were taken in this order: {order}")
    drafted.take(log, f"the log of plays ({order})")
    return log.open().read([roles["item"]]).to_series().cast(pl.String).unique()


def _write_items(drafted: Draft, items: Sequence[Finding], played: pl.Series | None) -> None:
    if not items:
        return
    if played is None:
        table, item = items[0], items[0].columns("item")[0]
    else:
        known = [nearest(played, ids_of(finding, {})) for finding in items]
        table, (item, _) = max(zip(items, known, strict=True), key=lambda pair: pair[1][1])
    roles = {"item": item} | {role: names[0] for role in ("artist", *OPTIONAL) if (names := table.columns(role))}
    entry: dict[str, Any] = {"path": drafted.relative(table.path)}
    for role in ("item", "artist"):
        drafted.choose(f"items.columns.{role}", roles[role], table.columns(role), table)
    usual = ITEM_COLUMNS | {name: name for name in OPTIONAL}
    noted = {role for role in roles if f"items.columns.{role}" in drafted.beside}
    if columns := {role: name for role, name in roles.items() if usual[role] != name or role in noted}:
        entry["columns"] = columns
    drafted.config["items"] = entry
    drafted.take(table, f"the tracks ({', '.join(f'{role}: {name}' for role, name in roles.items())})")
    for other in items:
        if other is not table:
            drafted.take(other, "left out: another table of tracks")


def _write_rest(drafted: Draft) -> None:
    drafted.config["split"] = dict(HOLDOUT)
    drafted.config["recommenders"] = ["knn", *["artist-mean"] * ("items" in drafted.config)]
    drafted.below["recommenders"] = (
        "- elsa  # plays alone\n- {use: hybrid, preset: quick}  # plays and content, trained briefly\n"
        "all of them: timbrec list recommenders"
    )

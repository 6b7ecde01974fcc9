"""Inputs from memory: data frames, arrays and encoders become files, so that a run can be audited and repeated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from timbrec.data import items, log
from timbrec.data.frames import frame_of, is_frame
from timbrec.data.roles import candidates
from timbrec.errors import ConfigError
from timbrec.files import replacing
from timbrec.places import is_remote
from timbrec.store.vectors import is_by_id, pair_of

if TYPE_CHECKING:
    from timbrec.types import Progress

_ROLES = {"interactions": ("user", "item", "time", "plays"), "items": ("item", "artist")}
_NAMES = log.COLUMNS | items.COLUMNS  # a frame may have the names that tables have by default
_OF_ENTRIES = {"frame", "path", "import", "use"}  # keys of entries in a config
_FILES = "inputs"  # the folder in a run's output


def stored_inputs(
    output: Path, interactions: Any, items: Any, encoders: Mapping[str, Any] | None, progress: Progress | None = None
) -> dict[str, Any]:
    """Write inputs given in memory to files; returns the config entries `interactions`, `items` and `encoders`.

    `interactions` (columns user, item and, optionally, time and plays) and `items` (item, artist) are frames (see
    `frames.frame_of`), or config entries, in which `frame` may stand for `path`. An encoder is a pair (ids, array), a
    mapping of ids to vectors, a frame with a column of ids, or a config entry. Where the `encoder` of an entry is an
    object or a class, its audio is encoded now. Files go to `inputs` in the output folder. Raises ConfigError or
    DataError for anything else.
    """
    given = (interactions, items, *(encoders or {}).values())
    if is_remote(output) and not all(value is None or isinstance(value, Mapping) for value in given):
        raise ConfigError("frames, arrays and encoders from memory are written to a folder of this machine",
                          fix="Give a local `output`, or name files or URLs.")  # fmt: skip
    folder = output / _FILES
    entries: dict[str, Any] = {}
    for key, table in (("interactions", interactions), ("items", items)):
        if table is not None:
            entries[key] = _table_entry(table, folder, key)
    if encoders is not None:
        entries["encoders"] = {name: _encoder(name, value, folder, progress) for name, value in encoders.items()}
    return entries


def _table_entry(table: Any, folder: Path, key: str) -> dict[str, Any]:
    """The config entry of a frame, in which columns called user, item, time, plays or artist have these roles."""
    entry = dict(table) if isinstance(table, Mapping) and table.keys() & _OF_ENTRIES else {"frame": table}
    if "frame" not in entry:
        return entry
    frame = frame_of(entry.pop("frame"), f"`{key}`")
    columns = {role: role for role in _ROLES[key] if role in frame.columns}
    entry["columns"] = columns = columns | dict(entry.get("columns", {}))
    for role in ("user", "item"):
        if role in _ROLES[key] and not {role, _NAMES[role]} & {*columns, *frame.columns, *entry}:
            likely = {role: names[0] for role in _ROLES[key] if (names := candidates(role, frame.columns))}
            raise ConfigError(
                f"the frame `{key}` has no column {role!r}", example=frame.columns,
                fix=f"Rename its columns to {', '.join(_ROLES[key])}, where it has them, or name them: "
                    f"{key}={{'frame': frame, 'columns': {likely or {'user': 'uid', 'item': 'tid'}}}}.",
            )  # fmt: skip
    return entry | {"path": str(_write_table(frame, folder, key))}


def _encoder(name: str, value: Any, folder: Path, progress: Progress | None) -> dict[str, Any]:
    if isinstance(value, Mapping) and not is_by_id(value):
        entry = dict(value)
        if "encoder" not in entry or isinstance(entry["encoder"], str | Path):
            return entry
        return {"vectors": str(_encode(name, entry, folder, progress))}
    if isinstance(value, Mapping) or (isinstance(value, tuple) and len(value) == 2):
        return _write_array(name, *pair_of(value, name), folder)
    if is_frame(value):
        return {"vectors": str(_write_table(frame_of(value, name), folder, name))}
    raise ConfigError(
        f"encoder {name!r} is a {type(value).__name__}",
        fix="Give (ids, array), a frame with an id column, or an entry such as {'vectors': 'mine.parquet'}.",
    )


def _encode(name: str, entry: dict[str, Any], folder: Path, progress: Progress | None) -> Path:
    """Encode the entry's audio with an encoder object, or a class without arguments; returns the store's path."""
    from timbrec.audio import Windows
    from timbrec.embed import Output, embed_all

    if "audio" not in entry:
        raise ConfigError(
            f"encoder {name!r} has no `audio` to encode", fix="Name a folder or a manifest under `audio`."
        )
    encoder = entry["encoder"]() if isinstance(entry["encoder"], type) else entry["encoder"]
    store = folder / name
    windows = Windows(entry.get("windows", "spread"), entry.get("count", 8))
    output = Output(encoder, store, windows, entry.get("layer"), entry.get("pool", "mean"))
    embed_all(Path(entry["audio"]), [output])
    return store.absolute()


def _write_array(name: str, ids: Any, array: Any, folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    vectors, names = folder / f"{name}.npy", folder / f"{name}.ids.parquet"
    with replacing(vectors) as partial, partial.open("wb") as file:
        np.save(file, np.asarray(array), allow_pickle=False)
    with replacing(names) as partial:
        pl.DataFrame({"id": pl.Series(list(ids))}).write_parquet(partial)
    return {"vectors": str(vectors.absolute()), "ids": str(names.absolute())}


def _write_table(frame: pl.DataFrame, folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.parquet"
    with replacing(path) as partial:
        frame.write_parquet(partial)
    return path.absolute()

"""Writing a data set as the tables and the config of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import yaml

from timbrec.data.events import Events
from timbrec.datasets.shared.base import Dataset
from timbrec.errors import ConfigError, StoreError
from timbrec.files import reason_of, replacing, write_atomically

if TYPE_CHECKING:
    from timbrec.store import VectorSource

_COLUMNS = {"user": "user_id", "item": "track_id", "time": "timestamp", "plays": "plays"}


def write_dataset(dataset: Dataset, folder: Path) -> dict[str, int]:
    """Write interactions.parquet, items.parquet, vectors/NAME.parquet, config.yaml and SOURCE.txt into a new folder.

    Files exist as far as the data set has such parts. Returns the number of rows of each file. The folder appears in
    one step. Raises ConfigError if it exists, StoreError where nothing can be written.
    """
    if folder.exists():
        raise ConfigError(f"{folder} exists already", fix="Choose another folder with --out, or move it away.")
    events, items, vectors = dataset.events(), dataset.items(), dataset.vectors()
    try:
        with replacing(folder) as partial:
            return _written(partial, dataset, events, items, vectors)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StoreError(f"cannot write {folder}: {reason_of(error)}", fix="Choose another place.") from error


def _written(
    folder: Path, dataset: Dataset, events: Events, items: pl.DataFrame | None, vectors: Mapping[str, VectorSource]
) -> dict[str, int]:
    """Write the parts of a data set; returns the number of rows of each file."""
    folder.mkdir(parents=True)
    rows = {"interactions.parquet": len(events)}
    log_of(events).write_parquet(folder / "interactions.parquet")
    if items is not None:
        items.write_parquet(folder / "items.parquet")
        rows["items.parquet"] = len(items)
    for name, source in vectors.items():
        (folder / "vectors").mkdir(exist_ok=True)
        table = pl.DataFrame(source.aligned(list(source.ids)), schema=[str(n) for n in range(source.dim)])
        table.insert_column(0, source.ids.alias("id")).write_parquet(folder / "vectors" / f"{name}.parquet")
        rows[f"vectors/{name}.parquet"] = len(table)
    config = _config(dataset, events, list(vectors), items is not None)
    write_atomically(folder / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    write_atomically(folder / "SOURCE.txt", _source(dataset, events))
    return rows


def log_of(events: Events) -> pl.DataFrame:
    """The events as a table: user_id, track_id, plays and, if timed, timestamp."""
    ids = {role: getattr(events, f"{role}s").ids.gather(events.table[role]) for role in ("user", "item")}
    table = events.table.with_columns(**ids)
    return table.rename({role: name for role, name in _COLUMNS.items() if role in table.columns})


def _config(dataset: Dataset, events: Events, vectors: list[str], items: bool) -> dict[str, Any]:
    """A config to start from; without vectors, the user names audio."""
    encoders: dict[str, Any] = {name: {"vectors": f"vectors/{name}.parquet"} for name in vectors}
    config: dict[str, Any] = {"name": dataset.name, "output": "run", "interactions": {"path": "interactions.parquet"}}
    if items:
        config["items"] = {"path": "items.parquet"}
        if not dataset.has_artists():
            config["items"]["columns"] = {"artist": None}
    config["encoders"] = encoders or {"mfcc": {"audio": "AUDIO"}}
    config["split"] = _split(events)
    return config | {"dataset": dataset.name}


def _split(events: Events) -> dict[str, Any]:
    if not events.timed:
        return {"protocol": "item-holdout"}
    last = events.table["time"].max()
    test_at = pl.select(pl.lit(last).dt.offset_by("-1mo").dt.truncate("1d")).item()
    return {"test_at": f"{test_at:%Y-%m-%d}"}


def _source(dataset: Dataset, events: Events) -> str:
    """The origin of the data, their licence, and how they were read."""
    facts = "".join(f"{label}: {value}\n" for label, value in events.facts)
    return (
        f"{dataset.name}\nsource: {dataset.url}\nlicence: {dataset.licence}\ncite: {dataset.citation}\n"
        f"read from: {dataset.folder}\n{facts}"
    )

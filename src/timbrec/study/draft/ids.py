"""Ids of tracks: finds the column of a log, of vectors or of a table of tracks whose ids match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from timbrec.embed.tracks import PATH, STEM, list_tracks
from timbrec.errors import DataError
from timbrec.store import VectorStore
from timbrec.store.archives import ids_of_archive
from timbrec.store.vectors import read_ids
from timbrec.study.draft.findings import Finding

Ids = Mapping[str, pl.Series]  # by the name of a column, or of a kind of ids


def ids_of(finding: Finding, arrays: Mapping[Path, Path]) -> Ids:
    """The ids in a finding: by column of a table, by `stem` and `path` of audio, else under an empty name.

    `arrays` names the file of ids of each `.npy` array.
    """
    if finding.kind == "store":
        return {"": _texts(pl.Series(list(VectorStore.open(finding.path).ids)))}
    if finding.kind == "archive":
        return {"": _texts(pl.Series(ids_of_archive(finding.path)[0]))}
    if finding.kind == "audio":
        return _audio_ids(finding.path)
    if finding.kind == "array":
        return {"": _texts(pl.Series(read_ids(arrays[finding.path])))} if finding.path in arrays else {}
    table = finding.open()
    columns = finding.columns("item") or [name for name in finding.names if _may_be_ids(finding.sample, name)]
    return {name: _texts(table.read([name]).to_series()) for name in columns}


def best(played: Mapping[str, pl.Series], offered: Sequence[Ids]) -> str:
    """The column of a log that most sources have tracks of; ties go to the first column."""
    scores = [sum(max((share(values, ids) for ids in source.values()), default=0.0) for source in offered)
              for values in played.values()]  # fmt: skip
    return list(played)[int(np.argmax(scores))]


def share(played: pl.Series, ids: pl.Series) -> float:
    """The share of the played tracks that are among the ids."""
    return float(played.is_in(ids.implode()).mean() or 0.0)  # type: ignore[arg-type]


def nearest(played: pl.Series, offered: Ids) -> tuple[str, float]:
    """The name of the ids with the largest share of the played tracks, and this share; ("", 0) without ids."""
    shares = {name: share(played, ids) for name, ids in offered.items()}
    name = max(shares, key=lambda name: shares[name], default="")
    return name, shares.get(name, 0.0)


def _audio_ids(folder: Path) -> Ids:
    names: dict[str, pl.Series] = {}
    for kind in (STEM, PATH):
        try:
            names[kind] = pl.Series([track.id for track in list_tracks(folder, kind).tracks], dtype=pl.String)
        except DataError:  # two files of one name
            continue
    return names


def _may_be_ids(sample: pl.DataFrame, name: str) -> bool:
    kind = sample[name].dtype
    return (kind == pl.String or kind.is_integer()) and sample[name].n_unique() == len(sample)


def _texts(values: pl.Series) -> pl.Series:
    return values.cast(pl.String).unique(maintain_order=True)

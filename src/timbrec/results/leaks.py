"""Leaks of a run: found when it starts, stored in its folder, and put into words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from timbrec import catalog
from timbrec.errors import listing
from timbrec.results.figures import Figures
from timbrec.results.freshness import keep_rows, kept_rows
from timbrec.study.description import card_of
from timbrec.study.leak_report import LEAKS, find_leaks
from timbrec.study.runs import Run
from timbrec.types import Progress

if TYPE_CHECKING:
    from timbrec.protocols import EncoderCard
    from timbrec.study.config import Config
    from timbrec.study.inputs import Inputs

_FILE = "leaks.json"
_NAMES = 3  # encoders that a sentence names
_WHAT = {  # with the name of an encoder
    "artist": "cold tracks by artists in train",
    "album": "cold tracks from albums in train",
    "copy": "cold tracks with nearly the vector of a train track, by {}",
    "audio": "cold tracks with the audio of a train track, by the store of {}",
    "training": "training data of {}",
    "popularity": "popularity in vectors of {}",
}


def write_leaks(run: Run, config: Config, inputs: Inputs, progress: Progress | None = None) -> None:
    """Find the leaks of a run's inputs and store them in its folder, unless they are stored for these inputs."""
    dataset, split = config.log_name, inputs.whole or inputs.split

    def find() -> pl.DataFrame:
        return find_leaks(inputs, _cards(config), dataset, config.split.by_artist, progress)

    keep_rows(run, _FILE, (inputs.digests, split.digest, config.leaks, dataset), find)


def leaks(run: Run, figures: Figures, progress: Progress | None = None) -> pl.DataFrame | None:
    """The stored leaks of a run, with the columns of LEAKS; None for a run made before leaks were searched."""
    return kept_rows(run, _FILE, LEAKS)


def sentence(row: Mapping[str, Any]) -> str:
    """A row of the table as one sentence."""
    check, name, detail = row["check"], row["encoder"], row["detail"]
    if row["found"] is None:
        return f"Not checked: {_WHAT[check].format(name)} ({detail})."
    if check == "training":
        verb = "was trained" if row["found"] else "is not known to be trained"
        return f"{name} {verb} on the data of this run ({detail})."
    if check == "popularity":
        verb = "contain popularity" if row["found"] else "are not shown to contain popularity"
        figures = f"correlation {row['value']:.2f}; {row['level']:.2f} is exceeded by chance in 5 of 100 runs"
        return f"Vectors of {name} {verb} ({figures})."
    if not row["found"]:
        return f"{_WHAT[check].format(name).capitalize()}: none of {row['of']:,}."
    count = f"{row['tracks']:,} of {row['of']:,} ({row['pairs']:,} pairs)"
    example, kept = f", e.g. {detail}" * bool(detail), "removed" if row["removed"] else "kept"
    return f"{_WHAT[check].format(name).capitalize()}: {count}{example}; {kept}."


def sentences(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The rows of the table as sentences, in order; rows that differ only in the encoder share a sentence."""
    groups: dict[tuple[tuple[str, Any], ...], list[str]] = {}
    for row in rows:
        shared = tuple((name, value) for name, value in row.items() if name != "encoder")
        groups.setdefault(shared, []).append(row["encoder"] or "")
    return [sentence(dict(shared) | {"encoder": listing(encoders, _NAMES)}) for shared, encoders in groups.items()]


def worst(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows with the most pairs of each check; all rows of checks that count no pairs."""
    rows = list(rows)
    most = {row["check"]: max(other["pairs"] or 0 for other in rows if other["check"] == row["check"]) for row in rows}
    return [row for row in rows if (row["pairs"] or 0) == most[row["check"]]]


def _cards(config: Config) -> dict[str, EncoderCard | None]:
    """The card of each encoder; vectors from elsewhere that are named after an encoder get its card."""
    known = catalog.names("encoders")
    return {
        name: card_of(name, entry.encoder, entry.audio is not None or (entry.encoder or name) in known)
        for name, entry in config.encoders.items()
    }

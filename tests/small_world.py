"""A small made log with two encoders of known quality, on disk as a user would have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from timbrec.worlds.planted import PlantedWorld

WORLD = PlantedWorld(users=120, items=200, dial=1.0, popularity=0.5, co_listening=0.0, dim=16, seed=1)
CONFIG: dict[str, Any] = {
    "name": "small world",
    "output": "run",
    "interactions": {"path": "plays.csv", "columns": {"user": "user", "item": "track", "time": "played_at"}},
    "items": {"path": "tracks.csv", "columns": {"item": "track", "artist": "artist"}},
    "encoders": {
        "good": {"vectors": "good.npy", "ids": "ids.txt"},
        "poor": {"vectors": "poor.npy", "ids": "ids.txt"},
    },
    "split": {"test_at": "2019-02-01"},
    "recommenders": ["knn", {"use": "knn", "label": "knn centred", "scale": "centre"}, "artist-mean"],
    "seeds": [0, 1],
    "k": [10, 20],
    "primary": "ndcg@20",
}


def write(folder: Path, **changes: object) -> Path:
    """Write log, items, vectors and config into `folder`; returns the config's path."""
    events = WORLD.events
    ids = events.items.ids
    table = events.table.with_columns(
        user=events.users.ids.gather(events.table["user"]), track=ids.gather(events.table["item"]), played_at="time"
    )
    table.select("user", "track", "played_at").write_csv(folder / "plays.csv")
    artists = [f"artist {row % 40}" for row in range(len(ids))]
    ids.to_frame("track").with_columns(artist=np.array(artists)).write_csv(folder / "tracks.csv")
    for name, quality in (("good", 0.9), ("poor", 0.2)):
        np.save(folder / f"{name}.npy", WORLD.vectors(quality))
    (folder / "ids.txt").write_text("\n".join(ids) + "\n")
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(CONFIG | changes))
    return path

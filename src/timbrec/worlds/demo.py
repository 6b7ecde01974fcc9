"""The demo: a synthetic music world on disk, with a config as a user would write it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from timbrec.files import replacing, write_atomically
from timbrec.types import Progress
from timbrec.worlds.music import MusicWorld

NOTE = "A synthesised world: no real listeners, no real music. Its figures say nothing about any encoder."
CONFIG: dict[str, Any] = {
    "name": "demo",
    "output": "run",
    "note": NOTE,
    "interactions": {"path": "events.parquet"},
    "items": {"path": "items.parquet"},
    "encoders": {
        "mfcc": {"audio": "audio"},
        "musicnn-msd": {"audio": "audio"},
        "musicnn-mtt": {"audio": "audio"},
        "labels": {"vectors": "labels.parquet", "columns": {"vector": "*"}},
    },
    "split": {"protocol": "corrected", "test_at": "2019-03-01"},
    "recommenders": [
        "knn",
        "artist-mean",
        "shallow",
        "contrastive",
        "hybrid",
        "bert4rec",
        "elsa",
        "new-first",
    ],
    "budget": "quick",
    "k": [5, 10, 20],
    "primary": "ndcg@10",
}
NO_MUSICNN = " MusiCNN is left out: its weights come with a package, `pip install --no-deps musicnn`."
HEADER = "# Made by `timbrec demo`; change it and run `timbrec bench` on it again.\n"


def write_demo(folder: Path, tracks: int, users: int, seed: int, progress: Progress | None = None) -> Path:
    """Write the world to `folder` and return the path of its config. Existing clips are kept.

    The encoders of the config are MFCC, both models of MusiCNN (pretrained on real music), and the genre and tag labels
    as vectors, which agree with taste only in part. Without the package that contains its weights, MusiCNN is left out
    and the note says so.
    """
    world = MusicWorld(users=users, tracks=tracks, seed=seed)
    world.write(folder, progress=progress)
    with replacing(folder / "labels.parquet") as partial:
        label_vectors(world.tables().items).write_parquet(partial)
    config = folder / "config.yaml"
    write_atomically(config, HEADER + yaml.safe_dump(_config(), sort_keys=False))
    return config


def _config() -> dict[str, Any]:
    if find_spec("musicnn"):
        return CONFIG
    encoders = {name: encoder for name, encoder in CONFIG["encoders"].items() if not name.startswith("musicnn")}
    return CONFIG | {"encoders": encoders, "note": NOTE + NO_MUSICNN}


def label_vectors(items: pl.DataFrame) -> pl.DataFrame:
    """A table of `id` and one column per genre and tag, 1 where the track has the label, else 0. Both sorted."""
    labels = items.select(id="track_id", label=pl.concat_list("genre", "tags"))
    pairs = labels.explode("label").unique().sort("label", "id").with_columns(has=pl.lit(1.0))
    return pairs.pivot("label", index="id", values="has").fill_null(0.0).sort("id")

"""The demo: a synthetic music world on disk, with a config as a user would write it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from timbrec.files import replacing, write_atomically
from timbrec.types import Progress
from timbrec.worlds.music import FACTORS, MusicWorld

NOTE = "A synthesised world: no real listeners, no real music. Its figures say nothing about any encoder."
CONFIG: dict[str, Any] = {
    "name": "demo",
    "output": "run",
    "note": NOTE,
    "interactions": {"path": "events.parquet"},
    "items": {"path": "items.parquet"},
    "encoders": {
        "mfcc": {"audio": "audio"},
        "spectral": {"audio": "audio"},
        "musicnn-msd": {"audio": "audio"},
        "musicnn-mtt": {"audio": "audio"},
        "vgg-msd": {"audio": "audio"},
        "vgg-mtt": {"audio": "audio"},
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
    ],
    "probes": [
        {"labels": "items.parquet", "label": name, "columns": {"id": "track_id", "label": name, "artist": "artist_id"}}
        for name in ("genre", "tags")
    ],
    "budget": "quick",
    "truth": "taste.parquet",
    "k": [10],
    "primary": "ndcg@10",
}
QUICK_SECONDS = 3.2  # of each clip: one patch of MusiCNN and VGG, most of the demo's computation
NEEDED = {  # packages that encoders need, and how to get them
    "musicnn": (("musicnn-msd", "musicnn-mtt", "vgg-msd", "vgg-mtt"), "timbrec weights get musicnn"),
    "librosa": (("spectral",), "pip install 'timbrec[spectral]'"),
}
HEADER = "# Made by `timbrec demo`; change it and run `timbrec bench` on it again.\n"


def write_demo(
    folder: Path, tracks: int, users: int, seed: int, progress: Progress | None = None, full: bool = False
) -> Path:
    """Write the world to `folder` and return the path of its config. Existing clips are kept.

    The encoders of the config are MFCC, spectral features, MusiCNN and VGG (two models each, pretrained on real music),
    and the genre and tag labels as vectors, which agree with taste only in part. Encoders whose package is not
    installed are left out, and the note says so. `taste.parquet` holds the factors of taste, which the page compares
    with the figures of the run. With `full`, clips are about twice as long, and recommenders train as by default, with
    all seeds and controls.
    """
    seconds = 6.0 if full else QUICK_SECONDS
    world = MusicWorld(users=users, tracks=tracks, seed=seed, clip_seconds=seconds)
    world.write(folder, progress=progress)
    items = pl.read_parquet(folder / "items.parquet", glob=False)
    tables = {"labels": label_vectors(items), "taste": taste_vectors(world, items["track_id"])}
    for name, table in tables.items():
        with replacing(folder / f"{name}.parquet") as partial:
            table.write_parquet(partial)
    config = folder / "config.yaml"
    write_atomically(config, HEADER + yaml.safe_dump(_config(full), sort_keys=False))
    return config


def _config(full: bool) -> dict[str, Any]:
    encoders, note = dict(CONFIG["encoders"]), NOTE
    for package, (names, command) in NEEDED.items():
        if not find_spec(package):
            encoders = {name: encoder for name, encoder in encoders.items() if name not in names}
            note += f" Left out: {', '.join(names)}, which need a package: `{command}`."
    config = CONFIG | {"encoders": encoders, "note": note}
    return {key: value for key, value in config.items() if key != "budget"} if full else config


def taste_vectors(world: MusicWorld, ids: pl.Series) -> pl.DataFrame:
    """A table of `id` and one column per factor of the listeners' taste, scaled by its weight."""
    taste = world.taste
    return pl.DataFrame({"id": ids} | {name: taste[:, n] for n, (name, weight) in enumerate(FACTORS.items()) if weight})


def label_vectors(items: pl.DataFrame) -> pl.DataFrame:
    """A table of `id` and one column per genre and tag, 1 where the track has the label, else 0. Both sorted."""
    labels = items.select(id="track_id", label=pl.concat_list("genre", "tags"))
    pairs = labels.explode("label").unique().sort("label", "id").with_columns(has=pl.lit(1.0))
    return pairs.pivot("label", index="id", values="has").fill_null(0.0).sort("id")

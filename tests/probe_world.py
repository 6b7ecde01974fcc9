"""A small run with six encoders, of which the best at labels is not the best at taste, and probes of known labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import small_world

TASTE = {"a": 0.15, "b": 0.3, "c": 0.45, "d": 0.6, "e": 0.75, "f": 0.95}  # quality of the vectors for recommendation
LABEL = {"a": 0.9, "b": 0.7, "c": 0.5, "d": 0.35, "e": 0.2, "f": 0.1}  # quality for the label `height`: reversed


def write(folder: Path, **changes: Any) -> Path:
    """Write the world with labels `height` (numbers) and `genre` (classes); returns the config's path."""
    ids = small_world.WORLD.events.items.ids
    rng = np.random.default_rng(7)
    labels = rng.standard_normal((len(ids), 1))
    encoders = {}
    for name, quality in TASTE.items():
        vectors = small_world.WORLD.vectors(quality)
        scale = float(vectors.std())
        part = LABEL[name] * labels + (1 - LABEL[name] ** 2) ** 0.5 * rng.standard_normal(labels.shape)
        np.save(folder / f"{name}.npy", np.hstack([vectors, (part * scale).astype(np.float32)]))
        encoders[name] = {"vectors": f"{name}.npy", "ids": "ids.txt"}
    pl.DataFrame({"track": ids, "height": labels[:, 0]}).write_csv(folder / "height.csv")
    pl.DataFrame({"track": ids, "genre": np.where(labels[:, 0] > 0, "high", "low")}).write_csv(folder / "genre.csv")
    pl.DataFrame({"encoder": list(TASTE), "task": "tagging", "score": list(TASTE.values())}).write_csv(
        folder / "published.csv"
    )
    settings: dict[str, Any] = {
        "encoders": encoders, "recommenders": ["knn"], "seeds": [0], "k": [20], "metrics": ["ndcg"],
        "probes": [{"labels": "height.csv"}, {"labels": "genre.csv"}], "mir_scores": "published.csv",
    }  # fmt: skip
    return small_world.write(folder, **(settings | changes))

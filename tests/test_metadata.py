"""Metadata as vectors: the dimensions, the counts, and the way through a config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import small_world
import timbrec
from timbrec.errors import ConfigError, DataError
from timbrec.study.config import make_config, read_config
from timbrec.study.inputs import load_inputs
from timbrec.study.logs import tracks_table
from timbrec.study.metadata import metadata_vectors, unheard

TRACKS = pl.DataFrame(
    {
        "track_id": ["a", "b", "c", "d", "e"],
        "artist_id": ["x", "x", "y", None, "z"],
        "year": [1990, 1991, 1990, 1990, None],
        "label": ["p", "p", "p", "q", "p"],
    }
)


def config_of(folder: Path, **metadata: Any) -> Any:
    TRACKS.write_csv(folder / "tracks.csv")
    return make_config(
        {
            "name": "m", "output": folder / "run", "interactions": {"path": "log.csv"},
            "split": {"test_at": "2019-01-01"},
            "items": {"path": "tracks.csv"}, "encoders": {"metadata": metadata}, "base": folder,
        }
    )  # fmt: skip


def test_shared_values_are_dimensions_and_others_zeros(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    source = metadata_vectors(None, tracks_table(config), ["d", "a", "b", "c", "e", "unknown"])
    vectors = source.aligned(["a", "b", "c", "d", "e", "unknown"])  # year 1990 has three tracks, artist x two
    np.testing.assert_array_equal(vectors, [[1, 1], [0, 1], [1, 0], [1, 0], [0, 0], [0, 0]])
    assert dict(source.facts) == {
        "dimensions, one per value that tracks share": "2 of 2",
        "tracks without a value of artist_id": "2",
        "tracks without a value of year": "2",
    }


def test_named_columns_replace_the_usual_ones(tmp_path: Path) -> None:
    config = config_of(tmp_path, metadata=["label"])
    source = metadata_vectors(config.encoders["metadata"].metadata, tracks_table(config), None)
    np.testing.assert_array_equal(source.aligned(["a", "b", "c", "d", "e"])[:, 0], [1, 1, 1, 0, 1])
    with pytest.raises(DataError, match="no column 'genre'"):
        metadata_vectors(["genre"], tracks_table(config), None)


def test_tracks_that_share_nothing_are_refused(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    with pytest.raises(DataError, match="no two tracks share a value of artist_id, year"):
        metadata_vectors(None, tracks_table(config), ["7", "8"])


def test_metadata_needs_an_items_table_and_no_other_source() -> None:
    base: dict[str, Any] = {
        "name": "m", "output": "run", "interactions": {"path": "log.csv"}, "split": {"test_at": "2019-01-01"},
    }  # fmt: skip
    with pytest.raises(ConfigError, match=r"encoder 'metadata' needs the metadata.*Name a table of tracks"):
        make_config(base | {"encoders": {"metadata": None}})
    with pytest.raises(ConfigError, match="give either `vectors` or `audio`, or `metadata`"):
        make_config(base | {"encoders": {"mine": {"metadata": ["year"], "audio": "sounds"}}})
    with pytest.raises(ConfigError, match="`layer` does not apply to `metadata`"):
        make_config(base | {"encoders": {"mine": {"metadata": ["year"], "layer": 3}}})


@pytest.mark.slow
def test_metadata_goes_through_a_run_alone_and_fused(tmp_path: Path) -> None:
    """Cold tracks by an artist without train plays are counted on the data card."""
    encoders = small_world.CONFIG["encoders"] | {"metadata": {}}
    fused = {"good + metadata": {"of": ["good", "metadata"]}}
    path = small_world.write(
        tmp_path, encoders=encoders, representations=fused, recommenders=["knn"], seeds=[0], k=[10], primary="ndcg@10"
    )
    tracks = pl.read_csv(tmp_path / "tracks.csv")
    inputs = load_inputs(read_config(path))
    cold = inputs.split.test.cold.items
    new = inputs.split.items.take(cold[:7]).to_list()  # seven cold tracks get an artist of their own kind
    tracks.with_columns(
        artist=pl.when(pl.col("track").is_in(new)).then(pl.lit("new artist")).otherwise("artist")
    ).write_csv(tmp_path / "tracks.csv")
    inputs = load_inputs(read_config(path))
    assert unheard(inputs.sources["metadata"], inputs.split) == (7, len(cold))
    result = timbrec.bench(path)
    card = dict(tuple(row) for row in result.run.facts["data_card"])
    assert card["metadata: cold test tracks that share no value with a train track"] == f"7 of {len(cold)}"
    rows = result.figures.filter(scenario="cold", metric="ndcg@10", control="real", recommender="knn")
    assert set(rows["encoder"]) == {"good", "poor", "metadata", "good + metadata"}

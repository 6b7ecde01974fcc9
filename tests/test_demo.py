"""The demo: its files, and a benchmark on it with a real pretrained encoder."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from timbrec.api import bench
from timbrec.study.config import read_config
from timbrec.study.inputs import load_inputs
from timbrec.worlds import demo

PRETRAINED = {"musicnn-msd": 200, "musicnn-mtt": 200, "vgg-msd": 256, "vgg-mtt": 256}  # with their dimensions


def test_without_its_weights_musicnn_is_left_out_and_the_note_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == "musicnn" else find_spec(name))
    config = read_config(demo.write_demo(tmp_path, tracks=16, users=40, seed=0))
    assert set(config.encoders) == {"mfcc", "spectral", "labels"}
    assert config.note is not None
    assert config.note.startswith(demo.NOTE)
    assert "timbrec weights get musicnn" in config.note


def test_the_full_demo_differs_in_its_budget_alone(tmp_path: Path) -> None:
    quick, full = (
        read_config(demo.write_demo(tmp_path / name, tracks=16, users=40, seed=0, full=name == "full"))
        for name in ("quick", "full")
    )
    assert (quick.budget, full.budget) == ("quick", "full")
    assert quick.model_copy(update={"budget": "full", "base": full.base}) == full


def test_label_vectors_are_the_labels_in_sorted_columns_at_every_call() -> None:
    items = pl.DataFrame({"track_id": ["b", "a"], "genre": ["pop", "dub"], "tags": [["slow", "deep"], []]})
    expected = {"id": ["a", "b"], "deep": [0, 1], "dub": [1, 0], "pop": [0, 1], "slow": [0, 1]}
    assert demo.label_vectors(items).to_dict(as_series=False) == expected
    many = pl.DataFrame({"track_id": [f"{n:02}" for n in range(60)], "genre": [f"g{n % 9}" for n in range(60)]})
    many = many.with_columns(tags=pl.concat_list(pl.lit("fast"), pl.lit("slow")))
    for _ in range(5):  # an unordered set differs from call to call
        assert demo.label_vectors(many).columns == ["id", "fast", *(f"g{n}" for n in range(9)), "slow"]


@pytest.mark.skipif(find_spec("musicnn") is None, reason="the package with MusiCNN's weights is not installed")
def test_with_the_weights_both_models_encode_every_clip_without_a_download(tmp_path: Path) -> None:
    config = read_config(demo.write_demo(tmp_path, tracks=16, users=40, seed=0))
    assert set(config.encoders) == {"mfcc", "spectral", "labels"} | PRETRAINED.keys()
    inputs = load_inputs(config)
    for name in PRETRAINED:
        vectors = inputs.sources[name].aligned(inputs.catalogue.ids)
        assert vectors.shape == (16, PRETRAINED[name])
        assert len(np.unique(vectors, axis=0)) == 16


@pytest.mark.slow
@pytest.mark.timeout(2400)  # six minutes alone on two cores
@pytest.mark.skipif(find_spec("musicnn") is None, reason="the package with MusiCNN's weights is not installed")
def test_pretrained_vectors_beat_their_shuffle_in_cold_start(tmp_path: Path) -> None:
    result = bench(demo.write_demo(tmp_path, tracks=1000, users=1000, seed=0))
    assert result.report.exists()
    cold = result.standings.filter(scenario="cold", metric="ndcg@10", recommender="knn")
    for name in PRETRAINED:
        real, shuffled = (
            cold.filter(encoder=name, control=control)["value"].item() for control in ("real", "shuffled")
        )
        assert real > 1.3 * shuffled

"""Probes of a run: they run once, are kept in its folder, and stand beside its figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import small_world
from audio_files import write_wav
from timbrec import api
from timbrec.errors import ConfigError, SeveralErrors
from timbrec.probes import gtzan
from timbrec.probes.shared import running, scoring
from timbrec.study.config import make_config, read_config
from timbrec.study.inputs import load_inputs
from timbrec.study.probing import probes_digest, read_probes, run_probes

PROBES = [{"labels": "genre.csv"}, {"labels": "broken.csv"}, {"use": "labels", "path": "genre.csv", "label": "again"}]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The small world with a label that one latent decides."""
    path = small_world.write(tmp_path, probes=PROBES, recommenders=["knn"], seeds=[0])
    world = small_world.WORLD
    ids = world.events.items.ids
    pl.DataFrame({"track": ids, "genre": np.where(world._latents[:, 0] > 0, "high", "low")}).write_csv(
        tmp_path / "genre.csv"
    )
    (tmp_path / "broken.csv").write_text("track,genre\n1,a\n")
    return path


def test_records_are_kept_and_never_made_again(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_config(config)
    inputs = load_inputs(settings)
    folder = config.parent / "run"
    probed = run_probes(settings, inputs, folder)
    labels = {(record.probe, record.encoder): record.value for record in probed.records}
    assert list(labels) == [("genre", "good"), ("genre", "poor"), ("again", "good"), ("again", "poor")]
    assert labels["genre", "good"] > labels["genre", "poor"]
    assert [failure[0] for failure in probed.failures] == ["broken"]
    assert "no labelled track has vectors" in probed.failures[0][2]
    assert not any("artists are not known" in text for record in probed.records for text in record.remarks), (
        "artists come from the run's items table"
    )

    def refuse(*_: Any) -> None:
        raise AssertionError("probed again")

    monkeypatch.setattr(running, "score", refuse)
    stored, again = read_probes(folder), run_probes(settings, inputs, folder)
    for other in (stored, again):
        assert [(record.probe, record.encoder, record.value) for record in other.records] == [
            (*key, value) for key, value in labels.items()
        ]
        assert other.failures == probed.failures
    assert all(left.test.equals(right.test) for left, right in zip(stored.records, probed.records, strict=True))


def test_a_changed_record_is_no_record(config: Path) -> None:
    settings, folder = read_config(config), config.parent / "run"
    run_probes(settings, load_inputs(settings), folder)
    before = probes_digest(folder)
    next((folder / "probes").glob("*/test.parquet")).write_bytes(b"other")
    reasons = [reason for _, _, reason in read_probes(folder).failures]
    assert reasons.count("its record was damaged") == 2, "of both probes with these labels"
    assert before == probes_digest(folder) != ""


def test_an_unexpected_error_stops_one_record_alone(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, folder = read_config(config), config.parent / "run"
    real = scoring.score

    def failing(targets: Any, vectors: np.ndarray, *rest: Any) -> Any:
        if np.array_equal(vectors[0], marks[0]):
            raise MemoryError("too large")
        return real(targets, vectors, *rest)

    inputs = load_inputs(settings)
    marks: list[np.ndarray] = []
    monkeypatch.setattr(running._Matrix, "rows", _marked(running._Matrix.rows, marks))
    run_probes(settings, inputs, config.parent / "other")
    monkeypatch.setattr(running, "score", failing)
    probed = run_probes(settings, inputs, folder)
    assert [(record.probe, record.encoder) for record in probed.records] == [("genre", "poor"), ("again", "poor")]
    assert ("genre", "good", "MemoryError('too large')") in probed.failures


def _marked(rows: Callable[..., np.ndarray], marks: list[np.ndarray]) -> Callable[..., np.ndarray]:
    def marked(matrix: Any, ids: pl.Series) -> np.ndarray:
        vectors = rows(matrix, ids)
        marks.append(vectors[0])
        return vectors

    return marked


def test_vectors_are_read_once_for_all_probes(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_config(config)
    inputs = load_inputs(settings)
    reads: list[str] = []

    def counting(name: str, aligned: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        def read(ids: pl.Series) -> np.ndarray:
            reads.append(name)
            return aligned(ids)

        return read

    for name, source in inputs.sources.items():
        monkeypatch.setattr(source, "aligned", counting(name, source.aligned))
    run_probes(settings, inputs, config.parent / "run")
    assert sorted(reads) == ["good", "poor"]


def test_bench_runs_probes_and_probe_alone_finds_them(config: Path) -> None:
    result = api.bench(config)
    before = {path: path.stat().st_mtime_ns for path in (result.run.folder / "probes").glob("*/record.json")}
    assert len(before) == 2, "two probes with the same labels share the records of each encoder"
    probed = api.probe(config)
    assert len(probed.records) == 4
    assert before == {path: path.stat().st_mtime_ns for path in (result.run.folder / "probes").glob("*/record.json")}


def test_a_config_without_probes_has_nothing_to_probe(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the config has no `probes`"):
        api.probe(small_world.write(tmp_path))


@pytest.mark.parametrize(
    ("probes", "message"),
    [
        (["gtzan", "gtzan"], r"two probes are called 'gtzan'\. Give each its own `label`"),
        (["gtzn"], r"there is no probe called 'gtzn'\. Did you mean 'gtzan'"),
        ([{"use": "gtzan", "vectors": {"other": "x.npy"}}], "has vectors of 'other', which is no encoder"),
        ([{"labels": "a.csv", "kind": "words"}], "`kind` of OwnLabels must be"),
    ],
)
def test_wrong_probes_of_a_config(probes: list[Any], message: str) -> None:
    settings = small_world.CONFIG | {"probes": probes}
    with pytest.raises((ConfigError, SeveralErrors), match=message):
        make_config(settings)


def test_audio_of_a_data_set_is_encoded_and_probed(tmp_path: Path) -> None:
    """GTZAN's layout with noise of a colour per genre; MFCC tells colours apart."""
    rng = np.random.default_rng(0)

    def noise(colour: float) -> Any:
        return np.convolve(rng.normal(0, 0.2, 11_025), np.cos(np.arange(16) * colour) / 8, "same").astype(np.float32)

    clips = gtzan.split().with_columns(genre=pl.col("id").str.split(".").list.first())
    clips = (
        clips.filter(pl.col("genre").is_in(["blues", "metal"])).group_by("genre", "part", maintain_order=True).head(12)
    )
    for name, genre in clips.select("id", "genre").iter_rows():
        folder = tmp_path / "gtzan" / "genres_original" / genre
        folder.mkdir(parents=True, exist_ok=True)
        write_wav(folder / f"{name}.wav", noise(0.5 if genre == "blues" else 2.5), 11_025)
    (tmp_path / "audio").mkdir()
    for track in range(12):
        write_wav(tmp_path / "audio" / f"t{track}.wav", noise(track / 4), 11_025)
    plays = pl.DataFrame(
        {"user_id": np.repeat(np.arange(20), 6), "track_id": [f"t{n}" for n in rng.integers(0, 12, 120)]}
    )
    plays.unique(maintain_order=True).write_csv(tmp_path / "plays.csv")
    settings = make_config(
        {
            "name": "noise", "output": "run", "base": tmp_path, "interactions": {"path": "plays.csv"},
            "encoders": {"mfcc": {"audio": "audio"}}, "probes": [{"use": "gtzan", "path": "gtzan"}],
            "split": {"protocol": "item-holdout"},
        }
    )  # fmt: skip
    probed = run_probes(settings, load_inputs(settings), tmp_path / "run")
    assert probed.failures == ()
    (record,) = probed.records
    assert (record.probe, record.encoder, record.metric) == ("gtzan", "mfcc", "accuracy")
    assert record.low is not None
    assert record.low > 0.5 == record.majority
    assert sorted(record.test["id"]) == sorted(clips.filter(part="test")["id"])
    assert any(f"{930 - len(clips)} clips have no audio" in remark for remark in record.remarks)


def test_a_data_set_needs_audio_or_vectors(config: Path) -> None:
    settings = read_config(config).model_copy(
        update={"probes": make_config(small_world.CONFIG | {"probes": ["gtzan"]}).probes}
    )
    ((label, encoder, reason),) = run_probes(settings, load_inputs(settings), config.parent / "run").failures
    assert (label, encoder) == ("gtzan", "")
    assert "has neither audio nor vectors" in reason


def test_labels_that_change_are_probed_again_and_shown(tmp_path: Path) -> None:
    """The config stays the same, so that nothing but the labels says that probes and page are of another state."""
    ids = small_world.WORLD.events.items.ids
    latents = small_world.WORLD._latents

    def tables(folder: Path, latent: int) -> tuple[pl.DataFrame, bytes]:
        folder.mkdir(exist_ok=True)
        path = small_world.write(folder, probes=[{"labels": "genre.csv"}], recommenders=["knn"], seeds=[0])
        genres = np.where(latents[:, latent] > 0, "high", "low")
        pl.DataFrame({"track": ids, "genre": genres}).write_csv(folder / "genre.csv")
        result = api.bench(path)
        table = pl.read_parquet(result.run.folder / "tables" / "probes.parquet")
        return table.select("probe", "encoder", "metric", "value", "low", "high", "chosen"), result.report.read_bytes()

    first, page = tables(tmp_path / "one", 0)
    assert tables(tmp_path / "one", 0)[1] == page
    second, changed = tables(tmp_path / "one", 1)
    assert changed != page
    assert not second.equals(first)
    assert second.equals(tables(tmp_path / "two", 1)[0])


def test_a_finished_run_asked_again_neither_splits_labels_nor_draws_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = small_world.WORLD.events.items.ids
    path = small_world.write(tmp_path, probes=[{"labels": "genre.csv"}], recommenders=["knn"], seeds=[0])
    pl.DataFrame({"track": ids, "genre": np.where(np.arange(len(ids)) % 2, "a", "b")}).write_csv(tmp_path / "genre.csv")
    result = api.bench(path)
    page = result.report.read_bytes()

    def refuse(*_: Any) -> None:
        raise AssertionError("made again")

    for name in ("timbrec.study.probing.prepared", "timbrec.result.write_report"):
        monkeypatch.setattr(name, refuse)
    again = api.bench(path)
    assert again.report.read_bytes() == page
    assert again.figures.equals(result.figures)
    result.report.write_text("edited")
    with pytest.raises(AssertionError, match="made again"):
        api.bench(path)

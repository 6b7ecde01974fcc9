"""Benchmarks with inputs, vectors and results in a bucket of a real S3-compatible server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from audio_files import write_wav
from bucket_server import upload
from small_world import write
from timbrec import api
from timbrec.cli.app import app
from timbrec.embed import Output, embed_all, load_encoder
from timbrec.errors import ConfigError, DataError, PlaceError
from timbrec.histories.library import library
from timbrec.places.bucket import Bucket
from timbrec.places.locations import Remote
from timbrec.store import VectorStore
from timbrec.study.cell import run_cell
from timbrec.study.config import make_config, read_config
from timbrec.study.inputs import load_inputs
from timbrec.study.mirror import Mirror
from timbrec.study.runs import Run

SMALL = {"recommenders": ["knn"], "seeds": [0], "k": [20]}


@pytest.fixture
def world(tmp_path: Path) -> Path:
    (tmp_path / "world").mkdir()
    return write(tmp_path / "world", **SMALL)


@pytest.fixture
def uploaded(world: Path, bucket: Remote) -> Remote:
    """The config of the small world in the bucket."""
    return upload(world, bucket)


def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The titles of cells that run from now on."""
    ran: list[str] = []

    def counted(experiment: Any, *arguments: Any) -> Any:
        ran.append(experiment.title)
        return run_cell(experiment, *arguments)

    monkeypatch.setattr("timbrec.study.engines.shared.finishing.run_cell", counted)
    return ran


@pytest.mark.slow
def test_a_bench_in_a_bucket_gives_the_figures_of_a_local_one(
    world: Path, uploaded: Remote, bucket: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local_result = api.bench(world)
    remote = api.bench(str(uploaded))
    order = ["encoder", "recommender", "control", "scenario", "metric", "seed"]
    assert remote.figures.sort(order).equals(local_result.figures.sort(order))
    assert remote.standings.drop("encoder").equals(local_result.standings.drop("encoder"))
    assert not remote.run.missing
    assert remote.audit.passed == local_result.audit.passed
    plain = Bucket(bucket / "run")
    assert plain.read("report.html") == remote.report.read_bytes()

    monkeypatch.setenv("TIMBREC_CACHE", str(tmp_path / "another machine"))
    ran = counting(monkeypatch)
    elsewhere = api.report(Run(bucket / "run"))
    assert elsewhere.figures.equals(remote.figures)
    assert not elsewhere.audit.missing
    assert api.bench(str(uploaded)).figures.equals(remote.figures)
    assert ran == []


@pytest.mark.slow
def test_a_run_moved_to_a_bucket_goes_on_there(world: Path, bucket: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = api.bench(world).figures
    folder = world.parent / "run"
    removed = Run(folder).finished[-1]
    for path in (folder / "cells" / removed.hash).iterdir():
        path.unlink()
    (folder / "cells" / removed.hash).rmdir()
    bucket.fs.put(f"{folder}/", f"{bucket.key}/run/", recursive=True)
    config = yaml.safe_load(world.read_text()) | {"output": f"{bucket}/run"}
    world.write_text(yaml.safe_dump(config))
    ran = counting(monkeypatch)
    result = api.bench(world)
    assert ran == [removed.title]
    assert result.figures.equals(whole)
    assert result.run.kept is None


@pytest.mark.slow
def test_a_cell_whose_record_is_lost_on_the_way_is_not_there(
    world: Path, bucket: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = yaml.safe_load(world.read_text()) | {"output": f"{bucket}/run"}
    world.write_text(yaml.safe_dump(config))
    result = api.bench(world)
    place = Bucket(bucket / "run")
    lost = result.run.finished[0]
    place.delete([f"cells/{lost.hash}/cell.json"])
    assert [item.hash for item in Run(bucket / "run").missing] == [lost.hash]
    table = next(name for name in place.listed("cells/") if name.endswith(".parquet") and lost.hash not in name)
    place.put(table, place.read(table)[:-4] + b"PAR2")
    monkeypatch.setenv("TIMBREC_CACHE", str(world.parent / "elsewhere"))
    run = Run(bucket / "run")
    changed = next(item for item in run.finished if item.hash in table)
    with pytest.raises(PlaceError, match="is not as it was written"):
        run.read(changed)


def test_two_writers_of_a_run_lose_nothing(bucket: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Mirror(bucket / "run")
    first.pull()
    monkeypatch.setenv("TIMBREC_CACHE", str(tmp_path / "elsewhere"))
    second = Mirror(bucket / "run")
    second.pull()
    for mirror, name in ((first, "a.csv"), (second, "b.csv")):
        mirror.folder.mkdir(parents=True, exist_ok=True)
        (mirror.folder / name).write_text(name)
        (mirror.folder / "both.json").write_text(name)
        mirror.push()
    first.pull()
    assert {path.name: path.read_text() for path in first.folder.glob("[!.]*.*")} == {
        "a.csv": "a.csv", "b.csv": "b.csv", "both.json": "b.csv",
    }  # fmt: skip


def test_tables_are_read_from_folders_and_patterns_of_a_bucket(bucket: Remote) -> None:
    from timbrec.data.tables import Source, open_table

    place = Bucket(bucket)
    for month in (1, 2):
        place.put(f"log/month={month}/plays.csv", f"user,item\nu,{month}\n".encode())
    rows = {"user": ["u", "u"], "item": [1, 2]}
    folder = open_table(bucket / "log")
    assert folder.read(["user", "item", "month"]).equals(pl.DataFrame(rows | {"month": [1, 2]}))
    found = open_table(Source((bucket / "log" / "*" / "plays.csv",), glob=True))
    assert found.read(["user", "item"]).equals(pl.DataFrame(rows))
    with pytest.raises(DataError, match=rf"{bucket}/log/plays.csv does not exist"):
        open_table(bucket / "log" / "plays.csv")
    with pytest.raises(DataError, match=rf"{bucket}/log/month=1/plays.csv has no column 'time'"):
        open_table(f"{bucket}/log/month=1/plays.csv").read(["time"])


def test_a_run_that_is_not_in_the_bucket_gives_one_line(bucket: Remote) -> None:
    done = CliRunner().invoke(app, ["report", f"{bucket}/nothing"])
    assert isinstance(done.exception, DataError)
    assert str(done.exception).startswith(f"{bucket}/nothing is not a finished or interrupted run")


def write_clips(folder: Path) -> None:
    """Two clips of noise, one of them in a folder of its own, a file that is no audio, and a cover."""
    for number, name in enumerate(("a.wav", "album/b.wav")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_wav(folder / name, np.random.default_rng(number).normal(0, 0.1, 22_050), 22_050, "f32")
    (folder / "bad.mp3").write_text("no music")
    (folder / "cover.jpg").write_text("a picture")


def test_audio_in_a_bucket_gives_the_vectors_of_local_audio(
    bucket: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clips(tmp_path / "music")
    bucket.fs.put(f"{tmp_path / 'music'}/", f"{bucket.key}/music/", recursive=True)
    command = ["--encoder", "mfcc", "--workers", "1", "--max-failures", "1"]
    for source, store in ((tmp_path / "music", tmp_path / "here"), (f"{bucket}/music", tmp_path / "there")):
        done = CliRunner().invoke(app, ["embed", str(source), *command, "--store", str(store)], env={"COLUMNS": "200"})
        assert done.exit_code == 0, done.output
        assert "2 encoded" in done.output
    here, there = (VectorStore.open(tmp_path / name / "mfcc") for name in ("here", "there"))
    assert there.digest == here.digest
    failures = pl.read_csv(tmp_path / "there" / "failures.csv")
    assert failures["path"].to_list() == [f"{bucket}/music/bad.mp3"]
    assert failures["reason"].equals(pl.read_csv(tmp_path / "here" / "failures.csv")["reason"])

    again = ["embed", f"{bucket}/music", *command, "--store", str(tmp_path / "there")]
    with monkeypatch.context() as offline:  # unchanged files are recognised by their versions
        offline.setattr("timbrec.embed.reading.local", lambda path: pytest.fail(f"{path} was copied again"))
        done = CliRunner().invoke(app, again, env={"COLUMNS": "200"})
        assert "0 encoded" in done.output, done.output
    write_wav(tmp_path / "new.wav", np.random.default_rng(9).normal(0, 0.1, 22_050), 22_050, "f32")
    bucket.fs.put(str(tmp_path / "new.wav"), f"{bucket.key}/music/a.wav")
    done = CliRunner().invoke(app, again, env={"COLUMNS": "200"})
    assert "1 encoded" in done.output, done.output
    changed = VectorStore.open(tmp_path / "there" / "mfcc")
    assert not np.array_equal(changed.aligned(["a"]), here.aligned(["a"]))
    np.testing.assert_array_equal(changed.aligned(["b"]), here.aligned(["b"]))


def test_manifests_may_name_audio_in_a_bucket(bucket: Remote, tmp_path: Path) -> None:
    write_clips(tmp_path / "music")
    bucket.fs.put(f"{tmp_path / 'music'}/", f"{bucket.key}/music/", recursive=True)
    (tmp_path / "tracks.csv").write_text(f"id,path\none,{bucket}/music/a.wav\ntwo,music/album/b.wav\n")
    Bucket(bucket).put("tracks.csv", b"id,path\none,music/a.wav\ntwo,music/album/b.wav\nthree,music/none.wav\n")
    mixed, remote = tmp_path / "tracks.csv", bucket / "tracks.csv"
    outputs = [Output(load_encoder("mfcc"), tmp_path / name) for name in ("mixed", "remote")]
    assert embed_all(mixed, outputs[:1]).done == 2
    report = embed_all(remote, outputs[1:])
    assert report.done == 2
    assert report.failures.select("id", "reason").rows() == [("three", "it does not exist")]
    first, second = (VectorStore.open(output.store).aligned(["one", "two"]) for output in outputs)
    np.testing.assert_array_equal(first, second)


def test_tags_of_audio_in_a_bucket_are_not_read_one_by_one(bucket: Remote) -> None:
    with pytest.raises(ConfigError, match="this needs audio on this machine"):
        library(f"{bucket}/music")


def test_embed_writes_vectors_and_failures_to_a_bucket(bucket: Remote, tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    for number in range(2):
        noise = np.random.default_rng(number).normal(0, 0.1, 22_050)
        write_wav(tmp_path / f"music/t{number}.wav", noise, 22_050, "f32")
    (tmp_path / "music/bad.mp3").write_text("no music")
    command = ["embed", str(tmp_path / "music"), "--encoder", "mfcc", "--workers", "1", "--max-failures", "1"]
    for store in (f"{bucket}/vectors", str(tmp_path / "vectors")):
        for encoded in (2, 0):
            done = CliRunner().invoke(app, [*command, "--store", store], env={"COLUMNS": "200"})
            assert done.exit_code == 0, done.output
            assert f"{encoded} encoded" in done.output
    remote, here = (VectorStore.open(place / "mfcc") for place in (bucket / "vectors", tmp_path / "vectors"))
    assert remote.digest == here.digest
    np.testing.assert_array_equal(remote.aligned(["t1", "t0"]), here.aligned(["t1", "t0"]))
    assert b"bad.mp3" in Bucket(bucket / "vectors").read("failures.csv")


def test_the_config_of_the_documentation_is_valid(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "docs" / "places.md").read_text(encoding="utf-8")
    (tmp_path / "config.yaml").write_text(text.partition("```yaml\n")[2].partition("```")[0])
    config = read_config(tmp_path / "config.yaml")
    assert str(config.at(config.output)) == "s3://my-bucket/run"
    assert config.model_dump(mode="json")["encoders"]["muq"]["vectors"] == "s3://my-bucket/vectors/muq"


def test_a_config_may_name_audio_in_a_bucket(bucket: Remote, world: Path) -> None:
    ids = (world.parent / "ids.txt").read_text().split()
    (world.parent / "music").mkdir()
    for number, track in enumerate(ids[:12]):
        noise = np.random.default_rng(number).normal(0, 0.1, 22_050)
        write_wav(world.parent / f"music/{track}.wav", noise, 22_050, "f32")
    bucket.fs.put(f"{world.parent / 'music'}/", f"{bucket.key}/music/", recursive=True)
    config = yaml.safe_load(world.read_text())
    config |= {"base": world.parent, "encoders": {"mfcc": {"audio": f"{bucket}/music"}}}
    announced = load_inputs(make_config(config), encode=False)
    assert announced.unopened == {"mfcc": 12}
    inputs = load_inputs(make_config(config))
    assert inputs.catalogue.ids.to_list() == sorted(ids[:12])
    again = Output(load_encoder("mfcc"), world.parent / "local")
    embed_all(world.parent / "music", [again])
    expected = VectorStore.open(again.store).aligned(sorted(ids[:12]))
    np.testing.assert_array_equal(inputs.sources["mfcc"].aligned(sorted(ids[:12])), expected)

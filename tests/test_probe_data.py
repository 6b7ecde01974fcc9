"""Loaders of the probes' data sets: official layouts in small, and the counts of the real files."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import small_world
from timbrec import catalog
from timbrec.errors import ConfigError, DataError
from timbrec.probes import probe
from timbrec.probes.shared.base import Context, Probe
from timbrec.probes.shared.labels import Labels, prepare
from timbrec.probes.shared.metrics import KEYS, metrics
from timbrec.study.config import read_config
from timbrec.study.inputs import Inputs, load_inputs

DATA_SETS = [name for name in catalog.names("probes") if not catalog.load("probes", name).own_tracks]


def read(name: str, **settings: Any) -> Labels:
    return probe(name, settings).labels(Context())


def part_sizes(labels: Labels) -> dict[str, int]:
    return dict(Counter(labels.tracks["part"]))


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


class TestMagnaTagATune:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Clips in the folders 0, c and f; 51 tags, of which `rare` is on no clip."""
        tags = [*(f"tag{number}" for number in range(50)), "rare"]
        rows = ["\t".join(f'"{name}"' for name in ("clip_id", *tags, "mp3_path"))]
        for clip, (letter, number) in enumerate([("0", 0), ("b", 1), ("c", 0), ("d", 1), ("f", 0), ("f", -1)]):
            flags = [int(place == number or (number >= 0 and place > 1)) for place in range(50)] + [0]
            rows.append("\t".join(f'"{value}"' for value in (clip, *flags, f"{letter}/song-{clip}.mp3")))
        (tmp_path / "annotations_final.csv").write_text("\n".join(rows) + "\n")
        info = [(clip, f"artist {clip % 2}") for clip in range(6)]
        pl.DataFrame(info, schema=["clip_id", "artist"], orient="row").write_csv(
            tmp_path / "clip_info_final.csv", separator="\t"
        )
        return tmp_path

    def test_the_official_files(self, folder: Path) -> None:
        labels = read("magnatagatune", path=folder)
        assert part_sizes(labels) == {"train": 2, "validation": 1, "test": 3}
        assert "rare" not in labels.names
        assert len(labels.names) == 50
        assert labels.tracks["artist"].to_list() == ["artist 0", "artist 1"] * 3
        assert labels.values[0, labels.names.index("tag0")]
        assert not labels.values[5].any()

    def test_the_split_of_papers_leaves_out_clips_without_tags(self, folder: Path) -> None:
        labels = read("magnatagatune", path=folder, split="tagged")
        assert labels.tracks["id"].to_list() == ["0", "1", "2", "3", "4"]

    def test_audio_by_the_official_paths(self, folder: Path) -> None:
        touch(folder / "mp3" / "0" / "song-0.mp3", folder / "mp3" / "f" / "song-4.mp3")
        labels = read("magnatagatune", path=folder, audio=folder / "mp3")
        assert labels.tracks["id"].to_list() == ["0", "4"]
        assert labels.tracks["path"][1].endswith("/f/song-4.mp3")

    @pytest.mark.parametrize(("split", "sizes"), [("all", (18_706, 1_825, 5_329)), ("tagged", (15_247, 1_529, 4_332))])
    def test_real_counts(self, test_data: Path, split: str, sizes: tuple[int, ...]) -> None:
        labels = read("magnatagatune", path=test_data / "data" / "jukemir_metadata", split=split)
        assert part_sizes(labels) == dict(zip(("train", "validation", "test"), sizes, strict=True))
        remarks = prepare(labels, labels.tracks["id"], 0).remarks
        assert any(remark.startswith("45 of the 75 artists of the test part are in train") for remark in remarks)

    def test_the_tags_agree_with_the_lists_of_another_repository(self, test_data: Path) -> None:
        labels = read("magnatagatune", path=test_data / "data" / "jukemir_metadata")
        names = (test_data / "data" / "mtat_split" / "top50_tags.txt").read_text().split("\n")
        spaced = {
            re.sub("([A-Z])", lambda letter: f" {letter[0].lower()}", name.strip()) for name in names if name.strip()
        }
        assert set(labels.names) == spaced


class TestMTGJamendo:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Three official files of a split, with CR LF and rows of different lengths."""
        header = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS"
        rows = {
            "train": ["track_1\tartist_1\talbum_1\t01/1.mp3\t9.5\tmood/theme---happy\tmood/theme---calm"],
            "validation": ["track_2\tartist_2\talbum_2\t02/2.mp3\t9.5\tmood/theme---calm"],
            "test": ["track_3\tartist_3\talbum_3\t03/3.mp3\t9.5\tmood/theme---happy"],
        }
        place = tmp_path / "data" / "splits" / "split-0"
        place.mkdir(parents=True)
        for part, lines in rows.items():
            text = "\r\n".join([header, *lines]) + "\r\n"
            (place / f"autotagging_moodtheme-{part}.tsv").write_bytes(text.encode())
        return tmp_path

    def test_ragged_rows(self, folder: Path) -> None:
        labels = read("mtg-jamendo", path=folder)
        assert labels.names == ("mood/theme---calm", "mood/theme---happy")
        assert labels.values.tolist() == [[True, True], [True, False], [False, True]]
        assert labels.tracks["artist"].to_list() == ["artist_1", "artist_2", "artist_3"]
        assert read("mtg-jamendo", path=folder / "data").values.tolist() == labels.values.tolist()

    def test_low_quality_audio(self, folder: Path) -> None:
        touch(folder / "audio" / "01" / "1.low.mp3")
        labels = read("mtg-jamendo", path=folder, audio=folder / "audio")
        assert labels.tracks["id"].to_list() == ["track_1"]

    def test_another_header(self, folder: Path) -> None:
        path = folder / "data" / "splits" / "split-0" / "autotagging_moodtheme-train.tsv"
        path.write_text("track,tags\n1,a\n")
        with pytest.raises(DataError, match="has another header"):
            read("mtg-jamendo", path=folder)

    @pytest.mark.parametrize(
        ("subset", "sizes", "tags"),
        [("moodtheme", (9_949, 3_802, 4_231), 56), ("instrument", (14_395, 5_466, 5_115), 40)],
    )
    def test_real_counts(self, test_data: Path, subset: str, sizes: tuple[int, ...], tags: int) -> None:
        labels = read("mtg-jamendo", path=test_data / "data" / "mtg_jamendo_tags", subset=subset)
        assert part_sizes(labels) == dict(zip(("train", "validation", "test"), sizes, strict=True))
        assert len(labels.names) == tags
        remarks = prepare(labels, labels.tracks["id"], 0).remarks
        assert not any("are in train" in remark for remark in remarks), "splits are by artist"


def test_published_predictions_of_mediaeval_2019_score_as_published(test_data: Path) -> None:
    """The baseline's predictions give the organisers' macro ROC-AUC and PR-AUC, to 6 decimals."""
    root = test_data / "data" / "mtg_jamendo_tags"
    predictions = next(root.glob("*/mediaeval2019/baseline_vggish_predictions.npy"), None)
    truth = next(root.glob("**/split-0/autotagging_moodtheme-test.npy"), None)
    if predictions is None or truth is None:
        pytest.skip(
            f"{root} has no mediaeval2019/baseline_vggish_predictions.npy, or no autotagging_moodtheme-test.npy beside "
            "its split: both are in the repository github.com/MTG/mtg-jamendo-dataset"
        )
    values = metrics("tags", np.load(truth).astype(bool), np.load(predictions), [])
    assert {name: round(value, 6) for name, value in values.items()} == {"roc-auc": 0.725821, "pr-auc": 0.107734}


class TestMSDTags:
    def test_lists_of_numbers(self, tmp_path: Path) -> None:
        for part, ids in (("train", "AB"), ("val", "C"), ("test", "D")):
            lines = [f"TR{name}\t[0.0, {float(name != 'B')}]" for name in ids]
            (tmp_path / f"{part}_gt_msd.tsv").write_text("\n".join(lines) + "\n")
        (tmp_path / "tags.txt").write_text("rock\npop\n")
        labels = read("msd-tags", path=tmp_path)
        assert labels.names == ("rock", "pop")
        assert labels.values.tolist() == [[False, True], [False, False], [False, True], [False, True]]
        assert part_sizes(labels) == {"train": 2, "validation": 1, "test": 1}
        (tmp_path / "tags.txt").write_text("rock\n")
        with pytest.raises(DataError, match="has 1 tags, the lists 2"):
            read("msd-tags", path=tmp_path)

    def test_the_same_files_of_magnatagatune(self, test_data: Path, tmp_path: Path) -> None:
        """Real lists of the same form; the train list is not among the outside data."""
        folder = test_data / "data" / "mtat_split" / "pons_mtt"
        for name in ("val_gt_mtt.tsv", "test_gt_mtt.tsv"):
            (tmp_path / name).symlink_to(folder / name)
        (tmp_path / "train_gt_mtt.tsv").symlink_to(folder / "val_gt_mtt.tsv")
        labels = read("msd-tags", path=tmp_path, suffix="mtt")
        assert part_sizes(labels) == {"train": 1_825, "validation": 1_825, "test": 5_329}
        assert labels.values.shape[1] == 50


class TestEmoMusic:
    def test_the_official_annotations(self, tmp_path: Path) -> None:
        (tmp_path / "annotations").mkdir()
        (tmp_path / "annotations" / "static_annotations.csv").write_text(
            "song_id,mean_arousal,std_arousal,mean_valence,std_valence\n2,3.1,1,3,1\n3,4.5,1,5.5,1\n"
        )
        labels = read("emomusic", path=tmp_path)
        assert labels.values.tolist() == [[3.1, 3.0], [4.5, 5.5]]
        assert read("emomusic", path=tmp_path, target="valence").values.tolist() == [[3.0], [5.5]]

    def test_real_counts(self, test_data: Path) -> None:
        labels = read("emomusic", path=test_data / "data" / "jukemir_metadata")
        assert part_sizes(labels) == {"train": 504, "validation": 115, "test": 125}
        assert np.abs(labels.values.mean(0)).max() < 0.1, "standardised by jukemir"
        remarks = prepare(labels, labels.tracks["id"], 0).remarks
        assert any("43 of the 112 artists of the test part are in train" in remark for remark in remarks)


class TestGiantSteps:
    def test_the_official_folders(self, tmp_path: Path) -> None:
        for name, count in (("giantsteps-mtg-key-dataset", 10), ("giantsteps-key-dataset", 2)):
            place = tmp_path / name / "annotations" / "key"
            place.mkdir(parents=True)
            for number in range(count):
                (place / f"{number + 100 * count}.LOFI.key").write_text("D minor" if number else "F# major\t2\t\n")
        labels = read("giantsteps", path=tmp_path)
        assert part_sizes(labels) == {"train": 8, "validation": 2, "test": 2}
        assert {KEYS[value] for value in labels.values} == {"D minor", "F# major"}
        assert labels.tracks["id"][0].endswith(".LOFI")

    def test_real_counts(self, test_data: Path) -> None:
        labels = read("giantsteps", path=test_data / "data" / "jukemir_metadata")
        assert part_sizes(labels) == {"train": 3_687, "validation": 942, "test": 2_406}
        assert len(np.unique(labels.values)) == 24
        assert prepare(labels, labels.tracks["id"], 0).groups.max() < 2_000, "clips of a track are one example"


class TestMulan:
    ARFF = "@RELATION x\n@ATTRIBUTE 'a tag' {0, 1}\n@attribute MFCC_1 numeric\n@ATTRIBUTE b {0,1}\n@DATA\n% none\n"

    def test_tags_and_features_stand_in_any_order(self, tmp_path: Path) -> None:
        (tmp_path / "CAL500.arff").write_text(self.ARFF + "0,1.5,1\n1,-2,0\n")
        labels = read("mulan", path=tmp_path)
        assert labels.names == ("a tag", "b")
        assert labels.values.tolist() == [[False, True], [True, False]]
        assert labels.tracks["id"].to_list() == ["0", "1"]
        assert probe("mulan", {"path": tmp_path}).read(Context())[2].tolist() == [[1.5], [-2.0]]  # type: ignore[attr-defined]

    @pytest.mark.parametrize("rows", ["", "0,1\n", "{0 1, 2 1}\n", "0,a,1\n"])
    def test_other_files_are_refused(self, tmp_path: Path, rows: str) -> None:
        (tmp_path / "emotions.arff").write_text(self.ARFF + rows)
        with pytest.raises(DataError, match="is no dense ARFF file of numbers"):
            read("mulan", path=tmp_path, collection="emotions")

    @pytest.mark.parametrize(
        ("collection", "songs", "tags", "features"), [("CAL500", 502, 174, 68), ("emotions", 593, 6, 72)]
    )
    def test_real_counts(self, test_data: Path, collection: str, songs: int, tags: int, features: int) -> None:
        part = probe("mulan", {"path": test_data / "data" / "mulan_music", "collection": collection})
        labels = part.labels(Context())
        assert labels.values.shape == (songs, tags)
        assert part.read(Context())[2].shape == (songs, features)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [name for name in DATA_SETS if name != "gtzan"])
def test_another_layout_names_what_was_looked_for(name: str, tmp_path: Path) -> None:
    kind: type[Probe] = catalog.load("probes", name)
    (tmp_path / "readme.txt").touch()
    with pytest.raises(DataError, match=r"has another layout: no \S+") as caught:
        read(name, path=tmp_path)
    assert "It holds readme.txt" in str(caught.value)
    assert kind.url in str(caught.value)
    with pytest.raises(DataError, match="there is no folder"):
        read(name, path=tmp_path / "nowhere")


def test_a_metadata_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "emomusic.json.gz").write_bytes(gzip.compress(json.dumps([1, 2]).encode()))
    with pytest.raises(DataError, match="is not a metadata file of jukemir"):
        read("emomusic", path=tmp_path)
    (tmp_path / "emomusic.json.gz").write_bytes(b"\x1f\x8bno")
    with pytest.raises(DataError, match="is cut short or damaged"):
        read("emomusic", path=tmp_path)


@pytest.mark.parametrize("name", DATA_SETS)
def test_every_data_set_names_its_source(name: str) -> None:
    kind: type[Probe] = catalog.load("probes", name)
    assert all((kind.data, kind.licence, kind.citation))
    assert kind.url.startswith("https://")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return load_inputs(read_config(small_world.write(tmp_path_factory.mktemp("log"))))


@pytest.fixture
def context(inputs: Inputs) -> Context:
    return Context(split=inputs.split, tracks=inputs.tracks)


class TestLog:
    def test_popularity_counts_users_of_train_alone(self, inputs: Inputs, context: Context) -> None:
        labels = probe("popularity", {}).labels(context)
        users = inputs.split.test.train.item_users
        assert labels.tracks["id"].to_list() == inputs.catalogue.ids.filter(pl.Series(users > 0)).to_list()
        assert np.allclose(np.expm1(labels.values[:, 0]), users[users > 0])
        assert len(labels.tracks) < len(inputs.catalogue), "new tracks have no popularity"

    def test_artists_are_the_ones_with_most_tracks(self, context: Context) -> None:
        labels = probe("artist", {"artists": 7, "least": 5}).labels(context)
        assert len(labels.names) == 7
        assert len(labels.tracks) == 35, "each artist of the small world has 5 tracks"
        assert "artist" not in labels.tracks.columns, "a split by artist would leave nothing to learn"
        with pytest.raises(DataError, match="fewer than two artists have 6 tracks"):
            probe("artist", {"least": 6}).labels(context)

    def test_years_come_from_the_items_table(self, inputs: Inputs, tmp_path: Path) -> None:
        config = read_config(
            small_world.write(tmp_path, items={"path": "t.csv", "columns": {"item": "track", "artist": "artist"}})
        )
        ids = inputs.catalogue.ids
        dates = ["1999-05-01", "2003", "unknown", *["2010-01-01"] * (len(ids) - 3)]
        pl.DataFrame({"track": ids, "artist": "x", "released": dates}).write_csv(tmp_path / "t.csv")
        assert config.items is not None
        items = config.items.at(config.base)
        labels = probe("year", {}).labels(Context(split=inputs.split, tracks=inputs.tracks, items=items))
        assert labels.values[:2, 0].tolist() == [1999, 2003]
        assert len(labels.tracks) == len(ids) - 1
        with pytest.raises(DataError, match="has no column 'when'"):
            probe("year", {"column": "when"}).labels(Context(split=inputs.split, tracks=inputs.tracks, items=items))

    def test_taste_follows_planted_groups(self, context: Context, inputs: Inputs) -> None:
        from dataclasses import replace

        from timbrec.data.interactions import Interactions

        rng = np.random.default_rng(0)
        n_users, n_items = 90, len(inputs.catalogue)
        group, kind = rng.integers(0, 3, n_users), rng.integers(0, 3, n_items)
        user, item = np.nonzero(rng.random((n_users, n_items)) < np.where(group[:, None] == kind, 0.3, 0.02))
        train = Interactions(user, item, np.ones(len(user), np.int64), None, n_users, n_items)
        assert inputs.split.test.train.n_items == n_items
        fold = replace(inputs.split.test, train=train, hot=_empty(train), cold=_empty(train))
        planted = replace(inputs.split, test=fold)
        labels = probe("taste", {"groups": 3}).labels(replace(context, split=planted))
        rows = inputs.catalogue.rows(labels.tracks["id"])
        table = np.zeros((3, 3))
        np.add.at(table, (kind[rows], labels.values), 1)
        assert table.max(1).sum() / table.sum() > 0.95, "each planted kind of track has its group of users"

    @pytest.mark.parametrize("name", ["popularity", "artist", "year", "taste"])
    def test_they_need_a_log(self, name: str) -> None:
        with pytest.raises(ConfigError, match=f"probe '{name}' needs a listening log"):
            probe(name, {}).labels(Context())


def _empty(train: Any) -> Any:
    from timbrec.data.interactions import Interactions

    none = np.zeros(0, np.int64)
    return Interactions(none, none, none, None, train.n_users, train.n_items)


def test_listing_probes_loads_no_scikit_learn() -> None:
    code = "import sys; from timbrec import catalog as c; [c.load('probes', n) for n in c.names('probes')]"
    code += "; print('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"

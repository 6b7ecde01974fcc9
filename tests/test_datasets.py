from __future__ import annotations

import bz2
import csv
import math
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from timbrec import catalog
from timbrec.data.cuts import tamm2026
from timbrec.data.events import Events
from timbrec.data.interactions import Interactions
from timbrec.data.split import Fold, Task
from timbrec.datasets.hetrec import HetRec
from timbrec.datasets.lastfm_1k import LastFM1K
from timbrec.datasets.m4a_onion import M4AOnion
from timbrec.datasets.taste_profile import TasteProfile
from timbrec.errors import DataError
from timbrec.metrics.hit_rate import HitRate
from timbrec.metrics.recall import Recall
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import rank
from timbrec.ranking.scorers import DotScorer

PLAYS = """\
userID	artistID	weight
2	51	13883
2	52	1
3	51	7
4	53	40
5	54	2
"""
TAGS = """\
userID	artistID	tagID	day	month	year
2	51	1	1	4	2009
2	52	2	1	4	2009
3	51	1	1	5	2009
3	52	1	1	5	2009
3	52	3	1	6	1956
4	51	2	1	5	2010
4	53	3	9	12	2010
5	54	1	1	1	2011
5	54	2	1	1	2011
5	53	1	1	1	2011
"""
ARTISTS = """\
id	name	url	pictureURL
51	"Weird Al" Yankovic	http://www.last.fm/music/x	http://userserve-ak.last.fm/1.jpg
52	Sigur Rós	http://www.last.fm/music/y
53	"unbalanced	http://www.last.fm/music/z	http://userserve-ak.last.fm/3.jpg
"""
SCROBBLES = (
    "user_000001\t2009-05-04T23:08:57Z\tf1b1cf71-bd35-4e99-8624-24a6e15f133a\tDeep Dish\t\tFuck Me Im Famous\n"
    'user_000001\t2009-05-04T13:54:10Z\t\t坂本龍一\t\tMc2 ("Live\n'
    'user_000002\t2009-01-01T00:00:00Z\ta7f7df4a-77d8-4f12-8acd-5c60c93f4de8\t坂本龍一\t\tMc2 ("Live\n'
    "user_000002\t2008-12-31T23:59:59Z\t\t坂本龍一\t\t\n"
)


def written(folder: Path, **files: str | bytes) -> Path:
    """The folder with these files; `user_artists__dat` is user_artists.dat."""
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def rows(events: Events) -> list[tuple[object, ...]]:
    """The events with their ids, in file order."""
    user, item = events.users.ids.gather(events.table["user"]), events.items.ids.gather(events.table["item"])
    return events.table.with_columns(user=user, item=item).rows()


def headless(text: str) -> str:
    return text.split("\n", 1)[1]


LAYOUTS = {
    "official": lambda text: text.replace("\n", "\r\n"),
    "slashes": lambda text: "//" + text,
    "headless": headless,
}


@pytest.fixture(params=LAYOUTS)
def hetrec_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    files = {"user_artists__dat": PLAYS, "user_taggedartists__dat": TAGS, "artists__dat": ARTISTS}
    return written(tmp_path, **{name: LAYOUTS[request.param](text) for name, text in files.items()})


class TestHetRec:
    def test_events_are_the_plays_of_half_of_the_users(self, hetrec_folder: Path) -> None:
        everything = {tuple(line.split("\t")) for line in headless(PLAYS).splitlines()}
        halves = set()
        for seed in range(20):
            events = HetRec(hetrec_folder, seed=seed).events()
            read = {(user, item, str(plays)) for user, item, plays in rows(events)}
            assert read == {row for row in everything if row[0] in set(events.users.ids)}
            assert len(events.users) == 2
            assert not events.timed
            halves.add(tuple(events.users.ids))
        assert len(halves) > 2

    def test_artists_keep_quotes_accents_and_short_rows(self, hetrec_folder: Path) -> None:
        assert HetRec(hetrec_folder).items().rows() == [
            ("51", '"Weird Al" Yankovic'),
            ("52", "Sigur Rós"),
            ("53", '"unbalanced'),
        ]

    def test_tags_are_a_log_of_their_days(self, hetrec_folder: Path) -> None:
        tags = rows(HetRec(hetrec_folder).tag_events())
        assert len(tags) == 10
        assert tags[4] == ("3", "52", 1, datetime(1956, 6, 1))
        assert tags[6] == ("4", "53", 1, datetime(2010, 12, 9))

    def test_vectors_are_the_svd_of_the_other_halfs_tfidf(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(5)
        tags = sorted(
            {(str(user), str(item), str(tag)) for user, item, tag in rng.integers(1, [13, 30, 9], (250, 3)).tolist()}
        )
        lines = "\n".join("\t".join([*row, "1", "1", "2010"]) for row in tags)
        plays = "\n".join(f"{user}\t1\t5" for user in range(1, 13))
        folder = written(tmp_path, user_artists__dat=plays, user_taggedartists__dat=lines)
        dataset = HetRec(folder, dims=(1, 3))
        evaluated = set(dataset.events().users.ids)
        artists, matrix = brute_tfidf([row for row in tags if row[0] not in evaluated])
        left, values, _ = np.linalg.svd(matrix, full_matrices=False)
        vectors = dataset.vectors()
        assert list(vectors) == ["tags-1", "tags-3"]
        assert sorted(vectors["tags-3"].ids, key=int) == artists
        three = vectors["tags-3"].aligned(artists)
        np.testing.assert_allclose(np.abs(three), np.abs(left[:, :3] * values[:3]), atol=1e-6)
        np.testing.assert_array_equal(vectors["tags-1"].aligned(artists), three[:, :1])
        assert (three[np.abs(three).argmax(0), [0, 1, 2]] > 0).all()

    def test_evaluated_users_tags_change_no_vector(self, tmp_path: Path) -> None:
        folder = written(tmp_path, user_artists__dat=PLAYS, user_taggedartists__dat=TAGS)
        dataset = HetRec(folder, dims=(1,))
        before = dataset.vectors()["tags-1"].digest
        evaluated = set(dataset.events().users.ids)
        lines = [line for line in TAGS.splitlines() if line.split("\t")[0] not in evaluated]
        changed = [*lines, *(f"{user}\t51\t{tag}\t1\t1\t2010" for user in evaluated for tag in (1, 7, 8))]
        written(folder, user_taggedartists__dat="\n".join(changed) + "\n")
        assert dataset.vectors()["tags-1"].digest == before

    def test_too_many_dimensions_are_refused(self, hetrec_folder: Path) -> None:
        with pytest.raises(DataError, match="give no 128 dimensions"):
            HetRec(hetrec_folder).vectors()

    @pytest.mark.parametrize("wrong", ["2\t51\n", "2\t51\tmany\n", "2\t51\t1\t9\n", "2\t51\t0\n", "", b"2\t\xe9\t1\n"])
    def test_a_damaged_file_is_named(self, tmp_path: Path, wrong: str | bytes) -> None:
        with pytest.raises(DataError, match=r"user_artists\.dat"):
            HetRec(written(tmp_path, user_artists__dat=wrong)).events()


def brute_tfidf(tags: list[tuple[str, str, str]]) -> tuple[list[str], np.ndarray]:
    """Artists in ascending order and their TF-IDF rows, counted one by one from (user, artist, tag)."""
    taggers = Counter((artist, tag) for _, artist, tag in tags)
    artists, names = sorted({artist for artist, _ in taggers}, key=int), sorted({tag for _, tag in taggers})
    matrix = np.zeros((len(artists), len(names)))
    for (artist, tag), count in taggers.items():
        having = sum(1 for _, other in taggers if other == tag)
        weight = (1 + math.log(count)) * (1 + math.log((1 + len(artists)) / (1 + having)))
        matrix[artists.index(artist), names.index(tag)] = weight
    return artists, matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


class TestM4AOnion:
    LOG = (
        "user_id\ttrack_id\ttimestamp\n"
        "7\t0010xmHR6UICBOYT\t2018-01-31 23:59:59\n"
        "7\t0010xmHR6UICBOYT\t2018-02-01 00:00:00\n"
        "7\t0010xmHR6UICBOYT\t2018-02-01 00:00:00\n"
        "12\t007LIJOPQ4Sb98qV\t2019-02-28 23:59:59\n"
        "12\t007LIJOPQ4Sb98qV\t2019-03-01 00:00:00\n"
    )

    def test_the_log_is_cut_to_the_window(self, tmp_path: Path) -> None:
        folder = written(tmp_path, userid_trackid_timestamp__tsv=self.LOG)
        twice = ("7", "0010xmHR6UICBOYT", 1, datetime(2018, 2, 1))
        last = ("12", "007LIJOPQ4Sb98qV", 1, datetime(2019, 2, 28, 23, 59, 59))
        assert rows(M4AOnion(folder).events()) == [twice, twice, last]
        assert len(M4AOnion(folder, start=datetime(2000, 1, 1), end=datetime(2020, 1, 1)).events()) == 5

    def test_a_column_that_is_missing_is_named(self, tmp_path: Path) -> None:
        folder = written(tmp_path, userid_trackid_timestamp__tsv="user_id\ttrack_id\ttime\n1\t2\t3\n")
        with pytest.raises(DataError, match=r"userid_trackid_timestamp\.tsv.*timestamp"):
            M4AOnion(folder).events()

    def test_a_compressed_file_is_read_and_a_damaged_one_refused(self, tmp_path: Path) -> None:
        packed = bz2.compress(self.LOG.encode())
        folder = written(tmp_path, userid_trackid_timestamp__tsv__bz2=packed)
        assert len(M4AOnion(folder).events()) == 3
        written(tmp_path, userid_trackid_timestamp__tsv__bz2=packed[:-9])
        with pytest.raises(DataError, match=r"userid_trackid_timestamp\.tsv\.bz2 is cut short or damaged"):
            M4AOnion(folder).events()

    @pytest.mark.parametrize("id_column", ["id", "ID"])
    def test_features_are_vectors(self, tmp_path: Path, id_column: str) -> None:
        text = f"{id_column}\ta\tb\n007LIJOPQ4Sb98qV\t1.5\t-2e-3\n0010xmHR6UICBOYT\t0\t1\n"
        vectors = M4AOnion(written(tmp_path, id_ivec256__tsv=text), features=("ivec256",)).vectors()
        assert list(vectors) == ["ivec256"]
        aligned = vectors["ivec256"].aligned(["0010xmHR6UICBOYT", "007LIJOPQ4Sb98qV"])
        np.testing.assert_array_equal(aligned, np.array([[0, 1], [1.5, -2e-3]], np.float32))
        assert M4AOnion(tmp_path).vectors() == {}

    def test_pairs_get_their_ids_back(self, tmp_path: Path) -> None:
        first = datetime(2019, 2, 3, 4, 5, 6)
        table = {"user_id": [20], "track_id": [1], "timestamp": [first], "count": [3], "__index_level_0__": [5092]}
        pl.DataFrame(table, schema_overrides={"timestamp": pl.Datetime("ns")}).write_parquet(tmp_path / "val.pqt")
        written(tmp_path, trackid_sorted__csv="idx,trackid\n0,0010xmHR6UICBOYT\n1,007LIJOPQ4Sb98qV\n")
        assert rows(M4AOnion(tmp_path).pairs("val")) == [("20", "007LIJOPQ4Sb98qV", 3, first)]


class TestTasteProfile:
    TRIPLETS = "b80344\tSOAAA\t1\nb80344\tSOBBB\t4\nb80344\tSOAAA\t2\n85c1f8\tSOCCC\t247\n"

    def test_rows_are_kept_as_they_are(self, tmp_path: Path) -> None:
        dataset = TasteProfile(written(tmp_path, train_triplets__txt=self.TRIPLETS))
        assert rows(dataset.events()) == [
            ("b80344", "SOAAA", 1), ("b80344", "SOBBB", 4), ("b80344", "SOAAA", 2), ("85c1f8", "SOCCC", 247),
        ]  # fmt: skip
        assert dataset.items() is None

    def test_mismatched_songs_are_left_out(self, tmp_path: Path) -> None:
        mismatches = 'ERROR: <SOBBB TRMMGKQ128F9325E10> Robert Cray  -  "Weird  !=  x  -  y\n'
        folder = written(tmp_path, train_triplets__txt=self.TRIPLETS, sid_mismatches__txt=mismatches)
        assert TasteProfile(folder).events().items.ids.to_list() == ["SOAAA", "SOCCC"]

    def test_songs_are_described_by_their_first_track(self, tmp_path: Path) -> None:
        tracks = (
            'TRMMMYQ128F932D901<SEP>SOAAA<SEP>Faster Pussy cat<SEP>Silent "Night\r\n'
            "TRMMMKD128F425225D<SEP>SOBBB<SEP>Karkkiautomaatti<SEP>Tanssi vaan\r\n"
            "TRMMMRX128F93187D9<SEP>SOAAA<SEP>Someone else<SEP>No One\r\n"
        )
        items = TasteProfile(written(tmp_path, unique_tracks__txt=tracks)).items()
        assert items is not None
        assert items.rows() == [
            ("SOAAA", "Faster Pussy cat", 'Silent "Night'),
            ("SOBBB", "Karkkiautomaatti", "Tanssi vaan"),
        ]


class TestLastFM1K:
    @pytest.fixture
    def dataset(self, tmp_path: Path) -> LastFM1K:
        (tmp_path / "userid-timestamp-artid-artname-traid-traname.tsv").write_text(SCROBBLES, encoding="utf-8")
        return LastFM1K(tmp_path)

    def test_a_track_is_its_artist_and_title(self, dataset: LastFM1K) -> None:
        assert rows(dataset.events()) == [
            ("user_000001", "Deep Dish :: Fuck Me Im Famous", 1, datetime(2009, 5, 4, 23, 8, 57)),
            ("user_000001", '坂本龍一 :: Mc2 ("Live', 1, datetime(2009, 5, 4, 13, 54, 10)),
            ("user_000002", '坂本龍一 :: Mc2 ("Live', 1, datetime(2009, 1, 1)),
        ]

    def test_any_play_may_give_the_musicbrainz_id(self, dataset: LastFM1K) -> None:
        famous, live = dataset.items().rows(named=True)
        assert (famous["artist_id"], famous["title"]) == ("Deep Dish", "Fuck Me Im Famous")
        assert famous["artist_mbid"] == "f1b1cf71-bd35-4e99-8624-24a6e15f133a"
        assert (live["track_id"], live["artist_id"], live["title"]) == (
            '坂本龍一 :: Mc2 ("Live',
            "坂本龍一",
            'Mc2 ("Live',
        )
        assert live["artist_mbid"] == "a7f7df4a-77d8-4f12-8acd-5c60c93f4de8"  # of the second play
        assert live["track_mbid"] is None


@pytest.mark.parametrize("name", catalog.names("datasets"))
class TestEveryDataset:
    def test_name_licence_citation_and_url_are_given(self, name: str) -> None:
        kind = catalog.load("datasets", name)
        assert all(getattr(kind, fact).strip() for fact in ("name", "licence", "citation"))
        assert kind.url.startswith("http")

    def test_a_missing_file_is_named_with_its_source(self, name: str, tmp_path: Path) -> None:
        kind = catalog.load("datasets", name)
        with pytest.raises(DataError, match=r"has no file \S+\.\w+\. Get ") as caught:
            kind(tmp_path).events()
        assert kind.url in str(caught.value)


def test_data_sets_need_no_torch() -> None:
    code = "import sys; from timbrec import catalog as c; [c.load('datasets', n) for n in c.names('datasets')]"
    code += "; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"


class TestRealData:
    def test_hetrec_counts(self, test_data: Path) -> None:
        dataset = HetRec(test_data / "data" / "hetrec_lastfm")
        events = dataset.events()
        with (dataset.folder / "user_artists.dat").open() as file:
            plays = [
                (user, item, int(weight)) for user, item, weight in csv.reader(file, delimiter="\t") if user.isdigit()
            ]
        assert len(plays) == 92_834
        assert len(events.users) == 1892 // 2
        evaluated = set(events.users.ids)
        assert Counter(rows(events)) == Counter(row for row in plays if row[0] in evaluated)
        assert len(dataset.items()) == 17_632
        assert len(dataset.tag_events()) == 186_479

    @pytest.mark.parametrize(
        ("first_only", "end", "expected"),
        [
            (False, datetime(2011, 5, 1), (19_490, 3_827, 1_255)),
            (False, datetime(2010, 12, 1), (19_490, 1_114, 344)),
            (True, datetime(2011, 5, 1), (18_018, 3_588, 1_269)),
        ],
    )
    def test_hetrec_tags_split_in_time(
        self, test_data: Path, first_only: bool, end: datetime, expected: tuple[int, int, int]
    ) -> None:
        tags = HetRec(test_data / "data" / "hetrec_lastfm").tag_events()
        if first_only:
            first = tags.table.group_by("user", "item").agg(pl.col("time").min(), pl.col("plays").sum())
            tags = Events(first, tags.users, tags.items)
        parts = tamm2026(tags, datetime(2009, 11, 1), datetime(2010, 11, 1), end).parts()
        hot = len(parts["test_hot"]) + len(parts["validation_hot"])
        assert (len(parts["train"]), hot, len(parts["test_cold"])) == expected

    def test_onion_counts(self, test_data: Path) -> None:
        dataset = M4AOnion(test_data / "data" / "m4a_onion")
        logs = {part: dataset.pairs(part) for part in ("val", "cold_test")}
        sizes = {part: (len(log), len(log.users), len(log.items)) for part, log in logs.items()}
        assert sizes == {"val": (48_787, 2_459, 23_625), "cold_test": (23_269, 4_553, 589)}
        assert not set(logs["val"].users.ids) & set(logs["cold_test"].users.ids)
        assert not set(logs["val"].items.ids) & set(logs["cold_test"].items.ids)

    def test_onion_chance_levels(self, test_data: Path) -> None:
        task, nothing = onion_cold(test_data)
        counts = task.relevant.item_users
        oracle = outcome(lists_for_all(counts, task, nothing), task, nothing)
        metrics = [HitRate(20), Recall(20), HitRate(50), Recall(50)]
        chance = [float(np.mean(np.asarray(metric.chance(oracle)))) for metric in metrics]
        np.testing.assert_allclose(chance, [0.1497, 0.0340, 0.3104, 0.0849], atol=5e-5)
        reached = [metric.value(oracle) for metric in metrics]
        np.testing.assert_allclose(reached, [0.454, 0.292, 0.663, 0.437], atol=2.5e-3)  # ties at the 50th place
        share = np.sort(counts)[::-1].cumsum() / len(task.relevant)
        np.testing.assert_allclose(share[[9, 49]], [0.21, 0.46], atol=0.005)

    def test_onion_one_list_for_all_varies_widely(self, test_data: Path) -> None:
        task, nothing = onion_cold(test_data)
        rng = np.random.default_rng(0)
        lists = [np.tile(rng.permutation(task.candidates)[:50], (len(task.users), 1)) for _ in range(100)]
        values = [HitRate(50).value(outcome(same, task, nothing)) for same in lists]
        assert np.mean(values) == pytest.approx(0.31, abs=0.02)
        assert np.std(values) == pytest.approx(0.061, abs=0.015)

    def test_taste_profile_authors_split_is_cold(self, test_data: Path) -> None:
        folder = test_data / "data" / "taste_profile_100users"
        log = TasteProfile(folder, "train_triplets_7digital_100users_50songs.txt").events()
        assert (len(log), len(log.users), len(log.items)) == (9_553, 100, 6_726)
        assert (log.table["plays"].min(), log.table["plays"].max()) == (1, 247)
        pairs = log.table.group_by("user", "item").agg(pl.col("plays").sum())
        everything = Interactions.of(pairs, len(log.users), len(log.items))
        held_out = log.items.rows((folder / "test_100users_50songs.txt").read_text().split())
        tested = np.isin(everything.item, held_out)
        train, cold, none = everything.where(~tested), everything.where(tested), everything.where(tested & ~tested)
        assert len(Fold(train, none, cold).task("cold").candidates) == 2_005
        with pytest.raises(DataError, match="items that are not in train"):
            Fold(train, cold, none)

    def test_lastfm_counts(self, test_data: Path) -> None:
        dataset = LastFM1K(test_data / "data" / "lastfm1k_head5000")
        log, items = dataset.events(), dataset.items()
        path = dataset.folder / "userid-timestamp-artid-artname-traid-traname.tsv"
        with path.open(encoding="utf-8") as file:
            lines = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        known = {(line[3], line[5]) for line in lines if line[4]}
        assert (len(log), len(log.users)) == (5_000, 2)
        assert set(items.select("artist_id", "title").rows()) == {(line[3], line[5]) for line in lines}
        assert items["track_mbid"].null_count() == len(items) - len(known)
        assert set(log.items.ids) == set(items["track_id"])
        assert str(log.table["time"].max()) == "2009-05-04 23:08:57"


def onion_cold(test_data: Path) -> tuple[Task, Interactions]:
    """The paper's real cold test, and a train part without a pair."""
    log = M4AOnion(test_data / "data" / "m4a_onion").pairs("cold_test")
    relevant = Interactions.of(log.table.select("user", "item", "plays"), len(log.users), len(log.items))
    return Task("cold", relevant.items, relevant), relevant.where(np.zeros(len(relevant), bool))


def lists_for_all(scores: np.ndarray, task: Task, train: Interactions) -> np.ndarray:
    """The 50 best by the same scores for every user."""
    scorer = DotScorer(np.ones((train.n_users, 1), np.float32), scores.astype(np.float32)[:, None])
    return rank(scorer, task.users, task.candidates, train, 50).items

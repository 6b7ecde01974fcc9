"""Probes: labels are prepared, heads learn them, metrics and intervals agree with other computations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score

from timbrec import api
from timbrec.errors import ConfigError, DataError
from timbrec.probes import probe
from timbrec.probes.labels import OwnLabels
from timbrec.probes.shared import heads, metrics
from timbrec.probes.shared.base import Context
from timbrec.probes.shared.labels import Labels, Targets, class_labels, prepare
from timbrec.probes.shared.leaks import leak
from timbrec.probes.shared.scoring import score
from timbrec.probes.shared.splitting import grouped_split

IDS = pl.Series("id", [f"t{number:03}" for number in range(300)])
RNG = np.random.default_rng(0)
VECTORS = RNG.standard_normal((300, 6)).astype(np.float32)


def written(folder: Path, **columns: Any) -> Path:
    path = folder / "labels.csv"
    pl.DataFrame(columns).write_csv(path)
    return path


def of_table(folder: Path, settings: dict[str, Any] | None = None, **columns: Any) -> Labels:
    written(folder, **columns)
    return probe("labels", {"path": folder / "labels.csv"} | (settings or {})).labels(Context())


def targets(kind: Any, values: np.ndarray, names: tuple[str, ...]) -> Targets:
    part = np.repeat([0, 1, 2], [160, 60, 80])
    return Targets(IDS, kind, values, names, part, np.arange(300))


@pytest.fixture(scope="module")
def classes() -> Targets:
    """Three classes that depend on two dimensions, with noise."""
    noisy = VECTORS[:, :2] @ [[1, 0, -1], [0, 1, -1]] + np.random.default_rng(1).gumbel(size=(300, 3)) / 2
    return targets("classes", noisy.argmax(1), ("a", "b", "c"))


@pytest.fixture(scope="module")
def tags() -> Targets:
    noisy = VECTORS[:, :4] + np.random.default_rng(2).standard_normal((300, 4))
    return targets("tags", noisy > 0.7, ("a", "b", "c", "d"))


@pytest.fixture(scope="module")
def numbers() -> Targets:
    noise = np.random.default_rng(3).standard_normal((300, 1))
    return targets("numbers", VECTORS[:, :1].astype(float) * 2 + noise, ("height",))


class TestScores:
    def test_a_linear_probe_equals_scikit_learns_fit_of_the_chosen_setting(self, classes: Targets) -> None:
        result = score(classes, VECTORS)
        train, test = VECTORS[:160].astype(float), VECTORS[220:].astype(float)
        mean, deviation = train.mean(0), train.std(0)
        model = LogisticRegression(C=1 / (result.chosen["penalty"] * 160), tol=1e-8, max_iter=5_000)
        model.fit((train - mean) / deviation, classes.values[:160])
        expected = model.score((test - mean) / deviation, classes.values[220:])
        assert result.primary == pytest.approx(expected, abs=1.01 / 80), "a track near the border may change sides"
        assert result.primary > 0.6

    def test_a_regression_equals_ridge_in_closed_form(self, numbers: Targets) -> None:
        result = score(numbers, VECTORS)
        train, y = VECTORS[:160].astype(float), numbers.values[:160, 0]
        scaled = (VECTORS - train.mean(0)) / train.std(0)
        penalty = result.chosen["penalty"] * 160
        weights = np.linalg.solve(scaled[:160].T @ scaled[:160] + penalty * np.eye(6), scaled[:160].T @ (y - y.mean()))
        error = numbers.values[220:, 0] - y.mean() - scaled[220:] @ weights
        truth = numbers.values[220:, 0]
        assert result.primary == pytest.approx(1 - (error**2).sum() / ((truth - truth.mean()) ** 2).sum(), abs=1e-4)

    def test_tags_have_macro_areas(self, tags: Targets) -> None:
        result = score(tags, VECTORS)
        assert list(result.values) == ["roc-auc", "pr-auc"]
        assert 0.75 < result.primary < 0.9

    @pytest.mark.parametrize("name", ["classes", "tags", "numbers"])
    def test_the_hidden_layer_learns_too(self, name: str, request: pytest.FixtureRequest, monkeypatch: Any) -> None:
        monkeypatch.setattr(heads, "MLPS", heads.MLPS[:1])
        monkeypatch.setattr(heads, "EPOCHS", 15)
        monkeypatch.setattr(heads, "HIDDEN", 64)
        chosen: Targets = request.getfixturevalue(name)
        result = score(chosen, VECTORS, "mlp")
        assert result.primary > result.majority + 0.15
        assert result.at_chance
        assert result.chosen["epochs"] <= 15

    @pytest.mark.parametrize("name", ["classes", "tags", "numbers"])
    def test_shuffled_labels_are_at_chance(self, name: str, request: pytest.FixtureRequest) -> None:
        chosen: Targets = request.getfixturevalue(name)
        for seed in range(3):
            result = score(chosen, VECTORS, seed=seed)
            assert result.at_chance
            assert result.shuffled < result.primary - 0.1

    def test_a_head_that_saw_the_test_labels_is_not_at_chance(self, classes: Targets, monkeypatch: Any) -> None:
        from timbrec.probes.shared import scoring

        def cheating(head: Any, kind: Any, train: Any, values: Any, others: Any, outputs: int, **_: Any) -> Any:
            rng = np.random.default_rng([0, 0x5_4F])
            dealt = classes.values[rng.permutation(300)]
            parts = [classes.values[160:220], dealt[220:] if _.get("chosen") else classes.values[220:]]
            yield {"penalty": 1.0}, [np.eye(3)[part] for part in parts]

        monkeypatch.setattr(scoring, "candidates", cheating)
        assert not score(classes, VECTORS).at_chance

    def test_the_search_never_sees_the_test_part(self, classes: Targets) -> None:
        other = targets("classes", np.r_[classes.values[:220], RNG.integers(0, 3, 80)], classes.names)
        assert score(classes, VECTORS).chosen == score(other, VECTORS).chosen

    def test_majority_is_the_most_frequent_class_of_train(self, classes: Targets) -> None:
        most = np.bincount(classes.values[:160]).argmax()
        assert score(classes, VECTORS).majority == pytest.approx((classes.values[220:] == most).mean())


class TestMetrics:
    def test_key_scores_are_those_of_mirex(self) -> None:
        table = metrics.key_scores()
        row = {name: table[metrics.KEYS.index("C major"), place] for place, name in enumerate(metrics.KEYS)}
        assert row["C major"] == 1
        assert row["G major"] == 0.5
        assert row["A minor"] == 0.3
        assert row["C minor"] == 0.2
        assert sum(row.values()) == pytest.approx(2.0), "no other key scores, the fifth below included"

    @pytest.mark.parametrize(
        ("name", "key"),
        [("D# minor", "Eb minor"), ("Bb:maj", "Bb major"), ("c minor", "C minor"), ("Gb major", "F# major")],
    )
    def test_spellings_of_keys(self, name: str, key: str) -> None:
        assert metrics.KEYS[metrics.key_number(name) or 0] == key

    @pytest.mark.parametrize("name", ["H minor", "unknown", "C dorian", ""])
    def test_names_that_are_no_key(self, name: str) -> None:
        assert metrics.key_number(name) is None

    @pytest.mark.parametrize("kind", ["classes", "tags", "numbers", "key"])
    def test_the_variance_agrees_with_a_bootstrap(self, kind: Any) -> None:
        rng = np.random.default_rng(5)
        n = 400
        if kind == "tags":
            truth: Any = rng.random((n, 3)) < 0.3
            predicted: Any = truth + rng.standard_normal((n, 3))
        elif kind == "numbers":
            truth = rng.standard_normal((n, 2))
            predicted = truth * 0.7 + rng.standard_normal((n, 2)) * 0.5
        else:
            truth = rng.integers(0, 24 if kind == "key" else 4, n)
            predicted = np.eye(24 if kind == "key" else 4)[truth] + rng.standard_normal((n, 24 if kind == "key" else 4))
        influence = metrics.influences(kind, truth, predicted)
        assert influence.sum() == pytest.approx(0, abs=1e-9)
        names = ("x", "y", "z")[: 2 if kind == "numbers" else 3]

        rows = (rng.integers(0, n, n) for _ in range(300))
        drawn = np.std([metrics.primary(kind, truth[chosen], predicted[chosen]) for chosen in rows])
        (first, *_) = metrics.metrics(kind, truth, predicted, names).values()
        assert first == pytest.approx(metrics.primary(kind, truth, predicted), abs=1e-12)
        error, groups = metrics.standard_error(influence, np.arange(n))
        assert groups == n
        assert error == pytest.approx(drawn, rel=0.15)

    def test_tracks_of_one_artist_count_as_one_example(self) -> None:
        rng = np.random.default_rng(6)
        truth = np.repeat(rng.integers(0, 2, 50), 8)
        predicted = np.eye(2)[np.repeat(rng.integers(0, 2, 50), 8)]
        influence = metrics.influences("classes", truth, predicted)
        alone, _ = metrics.standard_error(influence, np.arange(400))
        grouped, artists = metrics.standard_error(influence, np.repeat(np.arange(50), 8))
        assert artists == 50
        assert grouped == pytest.approx(alone * 8**0.5, rel=0.02)

    def test_areas_leave_out_tags_that_do_not_vary(self) -> None:
        truth = np.array([[1, 1], [0, 1], [1, 1], [0, 1]], bool)
        scores = np.array([[0.9, 0], [0.1, 0], [0.4, 0], [0.6, 0]])
        assert metrics.metrics("tags", truth, scores, ("a", "b"))["roc-auc"] == 0.75
        assert metrics.areas(truth, scores).tolist() == [roc_auc_score(truth[:, 0], scores[:, 0])]


class TestPreparing:
    def test_tracks_without_vectors_and_without_labels_are_counted(self) -> None:
        labels = class_labels(pl.DataFrame({"id": [*IDS[:100], "lost", "gone"]}), pl.Series(["a", "b"] * 51))
        remarks = prepare(labels, IDS, 0).remarks
        assert "labelled tracks without vectors: 2, e.g. 'lost', 'gone'" in remarks
        assert "tracks with vectors and without a label: 200, e.g. 't100', 't101', 't102'" in remarks

    def test_ids_that_differ_in_spelling_are_named(self) -> None:
        labels = class_labels(pl.DataFrame({"id": IDS.str.to_uppercase()}), pl.Series(["a", "b"] * 150))
        with pytest.raises(DataError, match="no labelled track has vectors: ids differ by upper and lower case"):
            prepare(labels, IDS, 0)

    def test_a_class_with_a_single_track_is_left_out(self) -> None:
        labels = class_labels(pl.DataFrame({"id": IDS}), pl.Series([*["a", "b"] * 149, "rare", "a"]))
        prepared = prepare(labels, IDS, 0)
        assert prepared.names == ("a", "b")
        assert "classes with a single track, left out: 1: rare" in prepared.remarks
        assert len(prepared) == 299

    def test_a_class_without_train_tracks_is_left_out(self) -> None:
        part = ["train"] * 100 + ["validation"] * 50 + ["test"] * 150
        names = ["a", "b"] * 145 + ["late"] * 10
        prepared = prepare(class_labels(pl.DataFrame({"id": IDS, "part": part}), pl.Series(names)), IDS, 0)
        assert "classes without a track in the train part, left out: 1: late" in prepared.remarks
        assert len(prepared) == 290
        assert prepared.names == ("a", "b")

    def test_labels_that_are_always_or_never_there_are_left_out(self) -> None:
        values = np.stack([np.ones(300), np.zeros(300), RNG.integers(0, 2, 300)], 1).astype(bool)
        prepared = prepare(Labels(pl.DataFrame({"id": IDS}), "tags", values, ("always", "never", "tag")), IDS, 0)
        assert prepared.names == ("tag",)
        assert any(
            remark.startswith("labels that are always or never there") and ": 2: " in remark
            for remark in prepared.remarks
        )
        only = Labels(pl.DataFrame({"id": IDS}), "tags", values[:, :2], ("always", "never"))
        with pytest.raises(DataError, match="every label is always or never there"):
            prepare(only, IDS, 0)

    def test_a_track_in_two_parts_is_refused(self) -> None:
        tracks = pl.DataFrame(
            {"id": ["x", "x", *IDS], "part": ["train", "test"] + ["train", "validation", "test"] * 100}
        )
        with pytest.raises(
            DataError, match=r"two rows of labels, in different parts of the split \(1 in all, e.g. 'x'\)"
        ):
            prepare(class_labels(tracks, pl.Series(["a", "b"] * 151)), IDS, 0)

    def test_a_column_of_blanks_says_so(self, tmp_path: Path) -> None:
        labels = of_table(tmp_path, {}, id=["x", "y"], genre=["", " "])
        with pytest.raises(DataError, match="no track has a label"):
            prepare(labels, pl.Series(["x", "y"]), 0)

    def test_artists_in_train_and_test_are_counted(self) -> None:
        tracks = pl.DataFrame(
            {"id": IDS, "part": ["train", "validation", "test"] * 100, "artist": ["A"] * 4 + ["B"] * 296}
        )
        remarks = prepare(class_labels(tracks, pl.Series(["a", "a", "a", "b", "b", "b"] * 50)), IDS, 0).remarks
        assert any("2 of the 2 artists of the test part are in train" in remark for remark in remarks)

    def test_the_split_is_by_artist_where_artists_are_known(self) -> None:
        artists = [f"artist {number // 6}" for number in range(300)]
        tracks = pl.DataFrame({"id": IDS, "artist": artists})
        prepared = prepare(class_labels(tracks, pl.Series(["a", "b"] * 150)), IDS, 0)
        parts = (
            pl.DataFrame({"artist": artists, "part": prepared.part}).group_by("artist").agg(pl.col("part").n_unique())
        )
        assert parts["part"].to_list() == [1] * 50
        assert not [remark for remark in prepared.remarks if "artist" in remark]
        unknown = prepare(class_labels(pl.DataFrame({"id": IDS}), pl.Series(["a", "b"] * 150)), IDS, 0)
        assert "the artists are not known: tracks of one artist may be in train and test" in unknown.remarks

    @pytest.mark.parametrize("stratified", [False, True])
    def test_parts_have_about_their_shares(self, stratified: bool) -> None:
        groups = np.random.default_rng(0).integers(0, 150, 1000)
        values = np.random.default_rng(1).integers(0, 5, 1000) if stratified else None
        part = grouped_split(groups, values, 3)
        assert np.abs(np.bincount(part) / 1000 - [0.6, 0.2, 0.2]).max() < 0.03
        assert not set(groups[part == 0]) & set(groups[part == 2])

    def test_numbers_without_spread_are_refused(self) -> None:
        labels = Labels(pl.DataFrame({"id": IDS}), "numbers", np.ones((300, 1)), ("flat",))
        with pytest.raises(DataError, match="the label has the same value for all tracks of a part"):
            prepare(labels, IDS, 0)

    def test_fewer_tracks_than_dimensions_are_remarked(self, classes: Targets) -> None:
        wide = np.random.default_rng(0).standard_normal((300, 200)).astype(np.float32)
        assert score(classes, wide).remarks == ("160 train tracks, fewer than the 200 dimensions",)


class TestOwnLabels:
    def test_text_is_classes(self, tmp_path: Path) -> None:
        labels = of_table(tmp_path, track_id=["x", "y", "z"], genre=["rock", "pop", ""])
        assert (labels.kind, labels.names, labels.values.tolist()) == ("classes", ("pop", "rock"), [1, 0])
        assert labels.tracks["id"].to_list() == ["x", "y"]

    @pytest.mark.parametrize(
        "columns",
        [
            {"id": ["x", "y", "z"], "tags": ["rock|loud", "", "loud"]},
            {"id": ["x", "x", "y", "z"], "tag": ["rock", "loud", None, "loud"]},
            {"id": ["x", "y", "z"], "loud": [1, 0, 1], "rock": [1, 0, 0]},
        ],
    )
    def test_several_labels_a_track_in_three_forms(self, tmp_path: Path, columns: dict[str, Any]) -> None:
        labels = of_table(tmp_path, **columns)
        assert (labels.kind, labels.names) == ("tags", ("loud", "rock"))
        assert labels.values.tolist() == [[True, True], [False, False], [True, False]]

    def test_numbers_and_few_whole_numbers(self, tmp_path: Path) -> None:
        assert of_table(tmp_path, id=["x", "y"], tempo=[120.5, None]).kind == "numbers"
        assert of_table(tmp_path, id=["x", "y"], stars=[1, 5]).kind == "classes"
        assert of_table(tmp_path, id=list(range(100)), year=list(range(100))).kind == "numbers"
        assert of_table(tmp_path, id=["x", "y"], arousal=[0.5, 0.1], valence=[0.2, 0.3]).names == ("arousal", "valence")

    def test_keys(self, tmp_path: Path) -> None:
        labels = of_table(tmp_path, {"kind": "key"}, id=["x", "y", "z"], key=["C# minor", "Db:min", "none"])
        assert labels.values.tolist() == [metrics.KEYS.index("C# minor")] * 2
        assert "1 keys are not one of the 24, e.g. 'none'" in labels.remarks

    def test_parts_and_artists_of_the_table(self, tmp_path: Path) -> None:
        labels = of_table(
            tmp_path, id=["x", "y", "z"], split=["Train", "valid", "test"], artist=["A", "B", ""], g=["u"] * 3
        )
        assert labels.tracks["part"].to_list() == ["train", "validation", "test"]
        assert labels.tracks["artist"].to_list() == ["A", "B", None]

    def test_artists_of_the_run(self, tmp_path: Path) -> None:
        path = written(tmp_path, id=["x", "y"], genre=["u", "v"])
        context = Context(tracks=pl.DataFrame({"id": ["y", "x"], "artist": ["B", "A"]}))
        assert OwnLabels(path=path).labels(context).tracks["artist"].to_list() == ["A", "B"]

    @pytest.mark.parametrize(
        ("settings", "columns", "message"),
        [
            ({"kind": "classes"}, {"id": ["x", "y"], "tempo": [120.5, 99.1]}, "2 different numbers, not classes"),
            ({"kind": "numbers"}, {"id": ["x", "y"], "tempo": ["fast", "99"]}, "some values of 'tempo' are no numbers"),
            ({"kind": "key"}, {"id": ["x", "y"], "key": ["u", "v"]}, "holds no keys"),
            ({"kind": "classes"}, {"id": ["x", "x"], "g": ["u", "v"]}, "some tracks have several rows"),
            ({}, {"name": ["x", "y"], "g": ["u", "v"]}, "has no column of track ids"),
            ({}, {"id": ["x", "y"]}, "has no column of labels"),
            ({}, {"id": ["x", "y"], "split": ["1", "2"], "g": ["u", "v"]}, "neither train, validation nor test"),
            (
                {},
                {"id": ["x", "x", "y"], "part": ["train", "test", "test"], "g": ["u", "u", "v"]},
                r"several parts of the split \(1 in all, e\.g\. 'x'\)",
            ),
            ({}, {"id": ["x", "y"], "title": ["u", "v"], "g": ["u", "v"]}, "several columns that may be labels"),
            ({"columns": {"label": "genres"}}, {"id": ["x"], "genre": ["u"]}, "Did you mean 'genre'"),
        ],
    )
    def test_tables_that_cannot_be_used(
        self, tmp_path: Path, settings: dict[str, Any], columns: dict[str, Any], message: str
    ) -> None:
        with pytest.raises((DataError, ConfigError), match=message):
            of_table(tmp_path, settings, **columns)


class TestLeaks:
    def test_known_leaks_and_training_data_are_named(self) -> None:
        assert "saw GTZAN in training" in leak("m", "GTZAN", (), "data/musicnn_embeddings_1000/embeddings.npy")
        assert leak("musicnn-mtt", "MagnaTagATune", ("MagnaTagATune",)) == (
            "musicnn-mtt was trained on MagnaTagATune: its score is no test of the encoder"
        )
        assert leak("mfcc", "GTZAN", ()) == ""
        assert leak("own", "", ("GTZAN",), "genre_tzanetakis") == ""


class TestGTZAN:
    def test_the_split_is_that_of_the_published_lists(self, test_data: Path) -> None:
        tracks = probe("gtzan", {}).labels(Context()).tracks
        for name, part in (("train", "train"), ("valid", "validation"), ("test", "test")):
            lines = (test_data / "data" / "gtzan_features" / f"{name}_filtered.txt").read_text().split()
            assert sorted(Path(line).stem for line in lines) == sorted(tracks.filter(part=part)["id"])

    def test_vectors_of_a_network_that_saw_gtzan_score_as_known(self, test_data: Path, tmp_path: Path) -> None:
        folder = test_data / "data" / "musicnn_embeddings_1000"
        np.savetxt(tmp_path / "ids.txt", np.load(folder / "track_ids.npy"), fmt="%s")
        vectors = {"musicnn": folder / "embeddings.npy"}
        probed = api.probe_vectors(vectors, [{"use": "gtzan"}], ids=tmp_path / "ids.txt")
        (record,) = probed.records
        assert 0.92 < record.value < 0.94, "a logistic regression reaches .931 to .934"
        assert (record.train, record.validation, len(record.test)) == (443, 197, 290)
        assert "its score is no test of the encoder" in record.leak
        assert record.at_chance

    def test_audio_is_found_in_each_usual_layout(self, tmp_path: Path) -> None:
        clip = tmp_path / "genres_original" / "blues" / "blues.00029.wav"
        clip.parent.mkdir(parents=True)
        clip.touch()
        labels = probe("gtzan", {"path": tmp_path}).labels(Context())
        assert labels.tracks["path"].to_list() == [str(clip.resolve())]
        assert any(remark.startswith("929 clips have no audio in") for remark in labels.remarks)

    def test_another_layout_names_what_was_looked_for(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"has another layout: no file such as genres/blues/blues\.\d+\.wav"):
            probe("gtzan", {"path": tmp_path}).labels(Context())
        with pytest.raises(DataError, match="there is no folder"):
            probe("gtzan", {"path": tmp_path / "nowhere"}).labels(Context())


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"there is no probe called 'gtzn'\. Did you mean 'gtzan'"):
        probe("gtzn", {})
    with pytest.raises(ConfigError, match="has no setting 'heads'"):
        probe("gtzan", {"heads": "mlp"})
    with pytest.raises(ConfigError, match="`head` of GTZAN must be"):
        probe("gtzan", {"head": "deep"})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two encoders and three tables of labels, one of them unusable."""
    folder = tmp_path_factory.mktemp("files")
    good, poor = VECTORS, np.random.default_rng(9).standard_normal((300, 6)).astype(np.float32)
    for name, matrix in (("good", good), ("poor", poor)):
        np.save(folder / f"{name}.npy", matrix)
    (folder / "ids.txt").write_text("\n".join(IDS) + "\n")
    loud = np.where(VECTORS[:, 0] + RNG.standard_normal(300) / 3 > 0, "loud", "quiet")
    pl.DataFrame({"id": IDS, "genre": loud}).write_csv(folder / "genre.csv")
    pl.DataFrame({"id": IDS, "height": VECTORS[:, 1] + RNG.standard_normal(300) / 3}).write_csv(folder / "height.csv")
    pl.DataFrame({"id": IDS, "genre": ["one"] * 300}).write_csv(folder / "same.csv")
    return folder


def test_a_failing_probe_does_not_stop_the_others(files: Path) -> None:
    entries = [{"use": "labels", "path": files / f"{name}.csv", "label": name} for name in ("same", "genre", "height")]
    vectors = {name: files / f"{name}.npy" for name in ("good", "poor")}
    probed = api.probe_vectors(vectors, entries, ids=files / "ids.txt")
    assert [(record.probe, record.encoder) for record in probed.records] == [
        ("genre", "good"), ("genre", "poor"), ("height", "good"), ("height", "poor"),
    ]  # fmt: skip
    assert [(label, encoder) for label, encoder, _ in probed.failures] == [("same", "")]
    assert "fewer than two classes" in probed.failures[0][2]
    values = {(record.probe, record.encoder): record.value for record in probed.records}
    assert values["genre", "good"] > 0.8 > values["genre", "poor"]
    assert values["height", "good"] > 0.8 > 0.2 > values["height", "poor"]


def test_the_command_line(files: Path, tmp_path: Path, run_cli: Callable[..., tuple[int, str]]) -> None:
    code, out = run_cli(
        "probe", "--vectors", files / "good.npy", "--vectors", f"other={files / 'poor.npy'}",
        "--ids", files / "ids.txt", "--labels", files / "genre.csv", "--labels", f"all={files / 'same.csv'}",
        "--out", tmp_path / "all.csv",
    )  # fmt: skip
    assert code == 1
    assert "FAILED: all: there are fewer than two classes" in out
    assert "genre: the artists are not known" in out
    table = pl.read_csv(tmp_path / "all.csv")
    assert table.filter(primary=True)["encoder"].to_list() == ["good", "other"]
    assert json.loads(table["chosen"][0])["penalty"] > 0


def test_the_command_line_names_the_columns_of_a_table(
    files: Path, tmp_path: Path, run_cli: Callable[..., tuple[int, str]]
) -> None:
    """The same vectors as an array and as a table with a column `file` of ids, and a title, have the same score."""
    vectors, ids = np.load(files / "good.npy"), (files / "ids.txt").read_text().split()
    numbers = {f"x{number}": column for number, column in enumerate(vectors.T)}
    pl.DataFrame({"file": ids, "title": ids, **numbers}).write_parquet(tmp_path / "good.parquet")
    common = ("--labels", files / "genre.csv", "--out", tmp_path / "scores.csv")
    table = ("probe", "--vectors", tmp_path / "good.parquet", *common)
    scores = []
    for command in (
        ("probe", "--vectors", files / "good.npy", "--ids", files / "ids.txt", *common),
        (*table, "--columns", "id=file", "--columns", "x*"),
        (*table, "--columns", "vector=x*", "--columns", "id=file"),
    ):
        assert run_cli(*command)[0] == 0
        scores.append(pl.read_csv(tmp_path / "scores.csv")["value"].to_list())
    assert scores[0] == scores[1] == scores[2]
    with pytest.raises(ConfigError, match="names the vector twice"):
        run_cli(*table, "--columns", "x*", "--columns", "y*")
    with pytest.raises(DataError, match="has no column 'id'"):
        run_cli(*table, "--columns", "x*")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either a config or --vectors"),
        (["c.yaml", "--labels", "g.csv"], "belong to --vectors"),
        (["--vectors", "a.npy"], "there is nothing to predict"),
        (["--vectors", "a.npy", "--vectors", "b/a.npy", "--probe", "gtzan"], "two files of vectors are called 'a'"),
        (["--vectors", "a.npy", "--labels", "a/g.csv", "--labels", "b/g.csv"], "two tables of labels are called 'g'"),
        (["--vectors", "a.npy", "--probe", "gtzan", "--set", "mtt.head=mlp"], "'mtt' is not a probe of this command"),
        (["--vectors", "a.npy", "--probe", "gtzan", "--probe", "gtzan"], "two probes are called 'gtzan'|a.npy"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, run_cli: Callable[..., tuple[int, str]]) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        run_cli("probe", *arguments)


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(*arguments: object) -> tuple[int, str]:
        import typer

        from timbrec.cli.app import app

        try:
            code = app([str(argument) for argument in arguments], standalone_mode=False)
        except typer.Exit as leaving:
            code = leaving.exit_code
        return int(code or 0), capsys.readouterr().out

    return run


def test_ridge_is_scikit_learns(numbers: Targets) -> None:
    (candidate,) = heads.candidates("linear", "numbers", VECTORS, numbers.values, [VECTORS], 1, chosen={"penalty": 0.1})
    expected = Ridge(alpha=30.0).fit(VECTORS.astype(float), numbers.values).predict(VECTORS.astype(float))
    assert np.allclose(candidate[1][0], np.reshape(expected, (300, 1)))

"""From a run to recommendations: fitted combinations, their lists, filters and formats."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.stats

import small_world
import timbrec
from commands import in_process
from timbrec import catalog
from timbrec.cli.recommend import _allowed as allowed_names
from timbrec.cli.recommend import _names as listed_names
from timbrec.errors import ConfigError, DataError
from timbrec.models import hubs
from timbrec.models.catalogue import labels, nearest
from timbrec.protocols import Content
from timbrec.recommenders import recommender
from timbrec.study.config import read_config
from timbrec.study.description import describe_run
from timbrec.study.experiment import Experiment
from timbrec.study.fitting import fit as fit_as_the_study
from timbrec.study.grid import run_study
from timbrec.study.inputs import load_inputs
from timbrec.study.runs import Run

TIMBREC = Path(sys.executable).with_name("timbrec")
TINY = {"use": "contrastive", "epochs": 2, "width": 8, "batch": 64}


def command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TIMBREC, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of KNN, of KNN on principal components, of a trained recommender, and of the baselines."""
    folder = tmp_path_factory.mktemp("run")
    path = small_world.write(
        folder,
        recommenders=["knn", TINY],
        seeds=[0],
        encoders={"good": small_world.CONFIG["encoders"]["good"]},
        representations={"small": {"of": "good", "transforms": [{"use": "pca", "dim": 6}, "unit"]}},
        budget="quick",
        k=[20],
        metrics=["ndcg", "recall"],
    )
    tracks = pl.read_csv(folder / "tracks.csv")
    titled = tracks.with_columns(
        title=pl.Series([f"Song {row % 150}" for row in range(len(tracks))]),
        released=pl.Series([f"{1990 + row % 30}-05-01" for row in range(len(tracks))]),
    )
    titled.write_csv(folder / "tracks.csv")
    config = read_config(path)
    inputs = load_inputs(config)
    run = Run.create(config.at(config.output), describe_run(config, inputs), inputs.split)
    run_study(config, inputs, run)
    return run


def real_cell(run: Run, encoder: str, label: str) -> Experiment:
    return next(cell for cell in run.finished if (cell.encoder, cell.label, cell.control) == (encoder, label, "real"))


@pytest.fixture(scope="module")
def model(run: Run) -> timbrec.Model:
    """Fitted on train, after which new tracks come."""
    return timbrec.fit_run(run, encoder="good", recommender="knn", on="train")


@pytest.fixture(scope="module")
def whole(run: Run) -> timbrec.Model:
    return timbrec.fit_run(run, encoder="good", recommender="knn")


@pytest.mark.parametrize("encoder", ["good", "small"])
@pytest.mark.parametrize("scenario", ["hot", "mixed"])
def test_fitted_on_train_a_list_is_the_one_that_the_run_ranked(
    run: Run, model: timbrec.Model, encoder: str, scenario: Any
) -> None:
    """Exactly, except where two scores differ by less than rounding: then the same tracks in either order."""
    model = model if encoder == "good" else timbrec.fit_run(run, encoder=encoder, recommender="knn", on="train")
    cell = real_cell(run, encoder, "knn")
    lists = run.read(cell).lists[scenario]
    task = cell.split_of(run.split).test.task(scenario)
    candidates = run.split.items.take(task.candidates).to_list()
    for place in range(0, len(lists.users), 5):
        ranked = lists.items[place][lists.items[place] >= 0]
        user = run.split.users.ids[int(lists.users[place])]
        listed = model.recommend(user, k=len(ranked), candidates=candidates, same=True)
        scores = lists.scores[place][: len(ranked)]
        np.testing.assert_allclose(listed["score"], scores, atol=2e-6)
        if np.abs(np.diff(scores)).min() > 2e-6:
            assert listed["item"].to_list() == run.split.items.take(ranked).to_list()


def test_a_trained_recommender_lists_what_the_run_ranked(run: Run) -> None:
    """Its lists of known tracks are read out in another way than lists with new ones."""
    model = timbrec.fit_run(run, encoder="good", recommender="contrastive", on="train")
    cell = next(
        cell for cell in run.finished if (cell.encoder, cell.label, cell.control) == ("good", "contrastive", "real")
    )
    for scenario in ("hot", "cold"):
        lists = run.read(cell).lists[scenario]
        task = cell.split_of(run.split).test.task(scenario)
        candidates = run.split.items.take(task.candidates).to_list()
        for place in (0, 7, 20):
            ranked = lists.items[place][lists.items[place] >= 0][:5]
            user = run.split.users.ids[int(lists.users[place])]
            listed = model.recommend(user, k=len(ranked), candidates=candidates, same=True)
            assert listed["item"].to_list() == run.split.items.take(ranked).to_list()


def test_all_plays_are_fitted_and_the_figures_are_those_of_the_run(
    run: Run, model: timbrec.Model, whole: timbrec.Model
) -> None:
    log = small_world.WORLD.events.table
    assert whole.card["plays"] == len(log)
    assert len(whole.users) == len(small_world.WORLD.events.users)
    assert model.card["plays"] == int(run.split.test.train.plays.sum()) < whole.card["plays"]
    assert whole.card["expected"] == model.card["expected"]
    expected = {(row["scenario"], row["metric"]): row["value"] for row in whole.card["expected"]}
    lists = run.read(real_cell(run, "good", "knn"))
    hits, relevant = (lists.records["hot"][name].to_numpy() for name in ("hits", "relevant"))
    discounts = 1 / np.log2(np.arange(2, 22))
    ideal = np.array([discounts[: min(count, 20)].sum() for count in relevant])
    assert expected["hot", "ndcg@20"] == pytest.approx(float((hits[:, :20] @ discounts / ideal).mean()))
    assert ("mixed", "cold-recall@20") in expected


def test_the_leader_of_a_scenario_is_the_line_with_the_highest_figure(run: Run) -> None:
    cold = timbrec.fit_run(run, "cold")
    tables = timbrec.api.report(run).standings
    rows = tables.filter(pl.col("encoder").is_not_null(), scenario="cold", metric="ndcg@20", control="real")
    best = rows.sort("value", descending=True).row(0, named=True)
    assert (cold.card["encoder"], cold.card["label"]) == (best["encoder"], best["recommender"])
    with pytest.raises(ConfigError, match="Did you mean 'good'"):
        timbrec.fit_run(run, encoder="goood", recommender="knn")
    with pytest.raises(ConfigError, match="several combinations"):
        timbrec.fit_run(run, encoder="good")


def test_filters_keep_what_they_say(model: timbrec.Model) -> None:
    user = model.users.ids[0]
    played = set(model.items.take(model.played.of_users(np.array([0]))[1]))
    everything = model.recommend(user, k=500, same=True)
    assert len(everything) == len(model.items) - len(played)
    assert not played & set(everything["item"])
    assert model.recommend(user, k=500, heard=True, same=True)["item"].n_unique() == len(model.items)
    heard = model.recommend(user, k=500, heard=True)["item"]
    recordings = {model.recording[row] for row in range(len(model.items))}
    assert {model.recording[row] for row in model.items.rows(heard)} == recordings
    assert len(heard) == len(recordings)
    assert model.recommend(user, k=500, heard=True, allow=sorted(played), same=True)["item"].sort().to_list() == sorted(
        played
    )
    assert set(model.recommend(user, k=500, heard=True, allow=sorted(played))["item"]) <= played
    capped = model.recommend(user, k=60, per_artist=2)
    assert capped["artist"].value_counts()["count"].max() == 2
    assert capped["item"].to_list() == greedily_capped(everything, 2, 60)
    window = model.recommend(user, k=500, since=1995, until=1997)
    assert set(window["year"]) == {1995, 1996, 1997}
    new = model.recommend(user, k=500, kind="new", same=True)
    assert new["new"].all()
    assert len(new) == int((model.played.item_users == 0).sum())
    artist, track = everything["artist"][0], everything["item"][5]
    denied = model.recommend(user, k=500, deny=[artist.upper(), track])
    assert artist not in denied["artist"]
    assert track not in denied["item"]
    assert set(model.recommend(user, k=500, allow=[artist])["artist"]) == {artist}
    with pytest.raises(DataError, match=r"the deny list names no track or artist.*Did you mean"):
        model.recommend(user, deny=[artist + "x"])
    with pytest.raises(DataError, match=r"released since 1800 until 1801\. Its years are 1990 to 2019"):
        model.recommend(user, since=1800, until=1801)
    with pytest.raises(ConfigError, match="the release window starts in 1997 and ends before it, in 1995"):
        model.recommend(user, since=1997, until=1995)
    for year in (0, 19_700):
        with pytest.raises(ConfigError, match=rf"is a year of four digits \(e\.g\. {year}\)"):
            model.recommend(user, until=year)
    with pytest.raises(DataError, match="no track of the model passes"):
        model.recommend(user, since=1995, until=1995, deny=model.items.ids)


def greedily_capped(ranked: pl.DataFrame, most: int, k: int) -> list[str]:
    kept: list[str] = []
    counts: dict[str, int] = {}
    for artist, item in ranked.select("artist", "item").iter_rows():
        counts[artist] = counts.get(artist, 0) + 1
        if counts[artist] <= most:
            kept.append(item)
    return kept[:k]


def test_a_share_of_new_tracks_holds_at_every_place(model: timbrec.Model) -> None:
    user = model.users.ids[1]
    for share in (0.0, 0.25, 0.5, 1.0):
        listed = model.recommend(user, k=8, new_share=share)["new"].to_numpy()
        expected = np.floor(np.arange(1, 9) * share + 0.5)
        np.testing.assert_array_equal(np.cumsum(listed), expected)
    known, new = (model.recommend(user, k=8, kind=kind)["item"].to_list() for kind in ("known", "new"))
    mixed = model.recommend(user, k=8, new_share=0.5)
    assert mixed.filter(~pl.col("new"))["item"].to_list() == known[:4]
    assert mixed.filter("new")["item"].to_list() == new[:4]
    with pytest.raises(ConfigError, match="between 0 and 1"):
        model.recommend(user, new_share=1.5)


def test_reasons_are_the_most_similar_played_tracks(whole: timbrec.Model) -> None:
    model, user = whole, whole.users.ids[2]
    listed = model.recommend(user, k=3)
    good = np.load(Path(model.card["run"]).parent / "good.npy")
    scaled = (good - good.mean(0)) / good.std(0)  # every track was played
    scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
    ids = (Path(model.card["run"]).parent / "ids.txt").read_text().split()
    played = model.items.take(model.played.of_users(np.array([2]))[1]).to_list()
    names = dict(zip(model.catalogue["track"], labels(model.catalogue), strict=True))
    for item, because in listed.select("item", "because").iter_rows():
        similar = {track: float(scaled[ids.index(track)] @ scaled[ids.index(item)]) for track in played}
        expected = sorted(similar, key=lambda track: -similar[track])[:3]
        assert because == [names[track] for track in expected]


def test_tracks_are_named_by_id_title_or_artist_and_title(model: timbrec.Model) -> None:
    row = model.catalogue.filter(title="Song 149").row(0, named=True)
    expected = model.similar(row["track"], 4)
    for name in ("song 149", f"{row['artist']} - Song 149", f"Song 149 - {row['artist']}"):
        assert model.similar(name, 4).equals(expected)
    with pytest.raises(DataError, match="2 tracks are called 'Song 3'"):
        model.similar("Song 3")
    with pytest.raises(DataError, match=r"no track 'Song 1499'\. Did you mean 'Song 149'"):
        model.similar("Song 1499")


def test_a_part_of_a_title_leads_to_the_titles_that_contain_it() -> None:
    titles = [
        "Dance of the Sugar-Plum Fairy",
        "Veränderung",
        "Sugar",
        None,
        "Plum, and Sugar",
        "Sugar Plum (Live)",
        "x",
    ]
    catalogue = pl.DataFrame({"track": [f"{n:04}" for n in range(7)], "title": titles, "artist": ["Kevin MacLeod"] * 7})
    assert nearest("sugar plum", catalogue) == (
        "Did you mean 'Plum, and Sugar' or 'Sugar Plum (Live)' or 'Dance of the Sugar-Plum Fairy'? "
    )
    assert nearest("veranderung", catalogue).startswith("Did you mean 'Veränderung' or ")
    assert nearest("sugr", catalogue) == "Did you mean 'Sugar'? ", "no title contains it"
    assert nearest("qq", catalogue) == ""


def test_a_path_takes_the_nearest_tracks_along_the_arc(model: timbrec.Model) -> None:
    start, end = model.items.ids[10], model.items.ids[20]
    way = model.path(start, end, 3)
    assert way["item"][0] == start
    assert way["item"][-1] == end
    assert way["item"].n_unique() == 5
    assert model.index is not None
    unit = model.index.items / np.linalg.norm(model.index.items, axis=1, keepdims=True)
    angle = np.arccos(unit[10] @ unit[20])
    used = {10, 20}
    for number, item in enumerate(way["item"][1:-1], 1):
        point = np.sin((1 - number / 4) * angle) * unit[10] + np.sin(number / 4 * angle) * unit[20]
        order = [row for row in np.argsort(-(unit @ point)) if row not in used]
        assert item == model.items.ids[int(order[0])]
        used.add(int(order[0]))
    with pytest.raises(DataError, match="starts and ends with the same track"):
        model.path(start, start)


def test_a_loaded_model_gives_the_same_lists_without_torch_and_scipy(model: timbrec.Model, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "model")
    user, seed = model.users.ids[4], model.items.ids[7]
    code = (
        "import sys; from timbrec.models.model import Model; model = Model.load(sys.argv[1]);"
        "print(model.recommend(sys.argv[2], per_artist=1).write_json());"
        "print(model.recommend(seeds=[sys.argv[3]]).write_json()); "
        "print(sorted({'torch', 'scipy'} & {*sys.modules}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, folder, user, seed], capture_output=True, text=True, check=True
    )
    lists = answer.stdout.splitlines()
    for line, expected in zip(
        lists, (model.recommend(user, per_artist=1), model.recommend(seeds=[seed])), strict=False
    ):
        rows = json.loads(line)
        assert [row["item"] for row in rows] == expected["item"].to_list()
        assert [row["because"] for row in rows] == expected["because"].to_list()
    assert lists[-1] == "[]"  # their imports take longer than any list


@pytest.mark.parametrize("name", ["index.safetensors", "items.parquet", "scorer.safetensors", "played.parquet"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_a_damaged_file_is_refused_by_name(model: timbrec.Model, tmp_path: Path, name: str, damage: str) -> None:
    folder = model.save(tmp_path / "model")
    path = folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: len(content) // 3] if damage == "cut" else content)
    with pytest.raises(DataError, match=rf"no readable model: {name} (was changed|is missing)"):
        timbrec.Model.load(folder).recommend(seeds=[model.items.ids[0]])


def test_another_format_is_refused_with_a_sentence(model: timbrec.Model, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "model")
    facts = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(facts | {"format": 1}))
    with pytest.raises(DataError, match="format 1, this version reads 4"):
        timbrec.Model.load(folder)


def test_the_commands_fit_recommend_and_write_playlists(run: Run, tmp_path: Path) -> None:
    folder = run.folder
    fitted = command("fit", folder, "--best", "cold", "-o", "model", cwd=tmp_path)
    assert fitted.returncode == 0, fitted.stderr
    assert "expected (the run's, fitted on its train part alone)" in fitted.stdout
    assert "cold  ndcg@20" in fitted.stdout
    user = run.split.users.ids[0]
    shown = in_process("recommend", "model", "--user", user, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "because of" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert in_process("recommend", "model", "--user", user, "-o", "list.csv", cwd=tmp_path).returncode == 0
    table = pl.read_csv(tmp_path / "list.csv")
    assert table["rank"].to_list() == list(range(1, 11))
    wrong = in_process("recommend", "model", "--user", f"{user}x", cwd=tmp_path)
    assert wrong.returncode == 2
    assert f"Did you mean '{user}'?" in wrong.stderr
    files = in_process("similar", "model", run.split.items.ids[0], "-f", "m3u", cwd=tmp_path)
    assert files.returncode == 2
    assert "the path of no track is known" in files.stderr


def test_lists_name_files_and_artists_that_begin_with_an_at_sign(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("@D\n\n Duo \n", encoding="utf-8")
    assert listed_names(["Band", f"@{path}", "@@D", "@@@D"]) == ["Band", "@D", "Duo", "@D", "@@D"]
    with pytest.raises(ConfigError, match=r"D cannot be read: No such file.* write @@D for the name @D"):
        listed_names(["@D"])


def test_an_allow_list_without_names_is_refused_and_not_taken_for_everything(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text(" \n\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="the allow list holds no name"):
        allowed_names([f"@{path}"])
    assert listed_names([f"@{path}"]) == allowed_names([]) == []


def test_every_format_holds_the_tracks_in_order(model: timbrec.Model) -> None:
    tracks = model.recommend(model.users.ids[0], k=3).with_columns(
        path=pl.Series(["/music/a b.flac", None, "/music/ü.mp3"]), duration_s=pl.Series([61.4, None, 3.0])
    )
    written = {name: catalog.load("formats", name)().text(tracks, "a list") for name in catalog.names("formats")}
    titles = tracks["title"].to_list()
    assert [row["title"] for row in json.loads(written["json"])["tracks"]] == titles
    playlist = json.loads(written["jspf"])["playlist"]["track"]
    assert [row["title"] for row in playlist] == titles
    assert playlist[0]["location"] == ["file:///music/a%20b.flac"]
    assert playlist[0]["duration"] == 61_400
    assert written["m3u"].splitlines()[2:] == [
        f"#EXTINF:61,{tracks['artist'][0]} - {titles[0]}", "/music/a b.flac",
        f"#EXTINF:3,{tracks['artist'][2]} - {titles[2]}", "/music/ü.mp3",
    ]  # fmt: skip
    assert pl.read_csv(written["csv"].encode())["title"].to_list() == titles
    assert [written["table"].index(title) for title in titles] == sorted(written["table"].index(t) for t in titles)


def test_changed_inputs_are_refused(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.folder.parent, tmp_path / "moved")
    facts = json.loads((tmp_path / "moved" / "run" / "run.json").read_text())
    facts["config"]["base"] = str(tmp_path / "moved")
    (tmp_path / "moved" / "run" / "run.json").write_text(json.dumps(facts))
    vectors = np.load(tmp_path / "moved" / "good.npy")
    np.save(tmp_path / "moved" / "good.npy", vectors + 1)
    with pytest.raises(DataError, match="have changed since its cells were ranked"):
        timbrec.fit_run(tmp_path / "moved" / "run", encoder="good", recommender="knn")


def test_the_study_and_the_model_fit_the_same(run: Run) -> None:
    """A second way to the same numbers: the fitting of the study, on the fold of the run."""
    config = read_config(run.folder.parent / "config.yaml")
    inputs = load_inputs(config)
    vectors = inputs.vectors(inputs.representation("small"))
    scorer, _ = fit_as_the_study(recommender("knn", {}), inputs.split, Content(vectors), 0)
    model = timbrec.fit_run(run, encoder="small", recommender="knn", on="train")
    rows = np.arange(len(model.items))
    np.testing.assert_array_equal(
        scorer.score(np.arange(5), rows).numpy(), model.scorer.score(np.arange(5), rows).numpy()
    )


def test_hubs_are_corrected_by_half_the_mean_cosine_with_the_nearest(whole: timbrec.Model) -> None:
    assert whole.index is not None
    unit = whole.index.items / np.linalg.norm(whole.index.items, axis=1, keepdims=True)
    cosines = unit @ unit.T - 2 * np.eye(len(unit))
    nearest = np.sort(cosines, axis=1)[:, -10:].mean(1)
    scores = cosines[3] - nearest / 2
    listed = whole.similar(whole.items.ids[3], 6, hubs=True, same=True)
    assert listed["item"].to_list() == whole.items.take(np.argsort(-scores)[:6]).to_list()
    user = whole.index.users[2] / np.linalg.norm(whole.index.users[2])
    listed = whole.recommend(whole.users.ids[2], k=200, hubs=True, same=True)
    np.testing.assert_allclose(
        listed["score"], np.sort((unit @ user - nearest / 2)[~played(whole, 2)])[::-1], atol=1e-5
    )


def test_mutual_proximity_is_the_product_of_two_normal_probabilities(whole: timbrec.Model) -> None:
    assert whole.index is not None
    unit = whole.index.items / np.linalg.norm(whole.index.items, axis=1, keepdims=True)
    cosines = (unit @ unit.T).astype(float)
    means, deviations = cosines.mean(1), cosines.std(1)
    mine = scipy.stats.norm.cdf(cosines[3], means[3], deviations[3])
    product = mine * scipy.stats.norm.cdf(cosines[3], means, deviations)
    product[3] = 0
    listed = whole.similar(whole.items.ids[3], 6, hubs="mutual", same=True)
    assert listed["item"].to_list() == whole.items.take(np.argsort(-product)[:6]).to_list()
    np.testing.assert_allclose(np.exp(listed["score"]), np.sort(product)[::-1][:6], atol=1e-5)
    profile = whole.index.users[2] / np.linalg.norm(whole.index.users[2])
    similar = (unit @ profile).astype(float)
    product = scipy.stats.norm.cdf(similar, similar.mean(), similar.std())
    product *= scipy.stats.norm.cdf(similar, means, deviations)
    listed = whole.recommend(whole.users.ids[2], k=9, hubs="mutual", same=True)
    np.testing.assert_allclose(np.exp(listed["score"]), np.sort(product[~played(whole, 2)])[::-1][:9], atol=1e-5)


def played(model: timbrec.Model, user: int) -> np.ndarray:
    mask = np.zeros(len(model.items), bool)
    mask[model.played.of_users(np.array([user]))[1]] = True
    return mask


def test_k_occurrences_and_their_skew_by_counting() -> None:
    vectors = np.random.default_rng(5).standard_normal((60, 4)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    counts = np.zeros(60)
    for row in range(60):
        order = [other for other in np.argsort(-(unit @ unit[row])) if other != row]
        counts[order[:5]] += 1
    np.testing.assert_array_equal(hubs.occurrences(vectors, 5), counts)
    assert hubs.skew(counts) == pytest.approx(float(scipy.stats.skew(counts)))

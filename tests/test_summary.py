"""From stored lists to figures, on a run with lists and figures worked out here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from made import TableScorer, fold
from timbrec.data.split import SCENARIOS, Scenario, Split
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import CannotRankError
from timbrec.metrics.recall import Recall
from timbrec.ranking.outcomes import outcome
from timbrec.results.figures import Figures, compute_figures, make_metrics
from timbrec.results.lines import lines
from timbrec.results.summary import summarise
from timbrec.results.verdict import judge, more_data
from timbrec.statistics.comparison import Comparison, compare
from timbrec.statistics.influence import Influence, influence
from timbrec.statistics.spread import Spread
from timbrec.study.cell import Cell
from timbrec.study.cells.ranking import lists_table
from timbrec.study.experiment import Experiment
from timbrec.study.fitting import answer
from timbrec.study.representation import Representation, Source
from timbrec.study.runs import Run

FOLD = fold(4, n_users=50, n_items=60, new=12)
SPLIT = Split(
    "made", FOLD, FOLD, Vocabulary([f"u{u:02}" for u in range(50)]), Vocabulary([f"i{i:02}" for i in range(60)])
)
LIKED = FOLD.hot.joined(FOLD.cold).csr().toarray()
METRICS, KS = ["ndcg", "recall", "coverage", "popularity", "cold-recall"], [3, 10]
GOOD = Representation("good", (Source("good", "good"),))
BASE = Experiment(
    split=SPLIT.digest, representation=GOOD, control="real", artists=None, recommender="knn", settings={},
    version=1, label="nearest", seed=0, depth=11, cold_candidates="tested",
)  # fmt: skip
BAD: dict[str, Any] = {"representation": Representation("bad", (Source("bad", "bad"),))}
PLAN = [  # experiments, and how much of what is liked their scores know
    (BASE, 0.4),
    (replace(BASE, seed=1), 0.4),
    (replace(BASE, control="shuffled"), 0.1),
    (replace(BASE, control="shuffled", seed=1), 0.1),
    (replace(BASE, control="gaussian", seed=1), 0.0),
    (replace(BASE, **BAD), 0.2),
    (replace(BASE, **BAD, control="shuffled"), 0.0),
    (replace(BASE, representation=None, recommender="popularity", label="popularity"), 0.9),
    (replace(BASE, representation=None, recommender="random", label="never ran"), None),
]  # fmt: skip


def lists_of(place: int, knows: float, scenario: Scenario) -> Any:
    """The top 11 by scores of noise plus, to some degree, the user's taste."""
    table = np.random.default_rng(place).random(LIKED.shape) + knows * LIKED
    scorer = TableScorer(table, can_rank_cold=knows < 0.9)  # as popularity
    return answer(scorer, FOLD.task(scenario), FOLD, 11, seed=0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    new_run = Run.create(tmp_path_factory.mktemp("run"), {}, SPLIT)
    new_run.plan([experiment for experiment, _ in PLAN])
    for place, (experiment, knows) in enumerate(PLAN):
        if knows is None:
            continue
        lists: dict[str, pl.DataFrame] = {}
        refused: dict[str, str] = {}
        for scenario in SCENARIOS:
            try:
                lists[scenario] = lists_table(lists_of(place, knows, scenario), FOLD.task(scenario), FOLD.train)
            except CannotRankError as error:
                refused[scenario] = str(error)
        new_run.write(Cell(experiment, lists, refused, {}, {}))
    return new_run


@pytest.fixture(scope="module")
def figures(run: Run) -> Figures:
    return compute_figures(run, METRICS, KS, "ndcg@10")


@pytest.fixture(scope="module")
def summary(figures: Figures) -> pl.DataFrame:
    return summarise(figures)


def test_figures_have_a_row_for_every_seed(figures: Figures) -> None:
    """`results.csv`: a row per representation, recommender, control, scenario, metric and seed, and no other."""
    key = ["encoder", "recommender", "control", "scenario", "metric", "seed"]
    assert figures.figures.select(key).is_duplicated().sum() == 0
    rows = figures.figures.filter(encoder="good", scenario="cold", metric="recall@10").sort("control", "seed")
    assert rows.select("control", "seed").rows() == [
        ("gaussian", 1), ("real", 0), ("real", 1), ("shuffled", 0), ("shuffled", 1)
    ]  # fmt: skip
    cells = [(4, 0.0), (0, 0.4), (1, 0.4), (2, 0.1), (3, 0.1)]
    expected = [counted_recall(place, knows, "cold", 10).mean() for place, knows in cells]
    np.testing.assert_allclose(rows["value"], expected, atol=1e-12)
    means = figures.figures.group_by(key[:-1]).agg(pl.col("value").mean()).sort(key[:-1])
    standings = figures.standings.filter(pl.col("status").is_null()).sort(key[:-1])
    np.testing.assert_allclose(means["value"], standings["value"], atol=1e-12)


def test_gains_stand_for_every_control(figures: Figures) -> None:
    gains = figures.gains.filter(encoder="good", scenario="hot", metric="recall@3")
    assert set(gains["control"]) == {"shuffled", "gaussian"}
    real = counted_recall(0, 0.4, "hot", 3).mean() / 2 + counted_recall(1, 0.4, "hot", 3).mean() / 2
    drawn = counted_recall(4, 0.0, "hot", 3).mean()
    assert gains.filter(control="gaussian")["difference"].item() == pytest.approx(real - drawn, abs=1e-12)


def row(summary: pl.DataFrame, encoder: str | None, label: str, scenario: Scenario, metric: str) -> dict[str, Any]:
    entry = summary.filter(
        pl.col("encoder").eq_missing(pl.lit(encoder)), recommender=label, scenario=scenario, metric=metric
    ).to_dicts()
    assert len(entry) == 1
    return entry[0]


def counted_recall(place: int, knows: float, scenario: Scenario, k: int) -> np.ndarray:
    """Recall of each user of the scenario, one item at a time."""
    task = FOLD.task(scenario)
    expected = set(zip(task.relevant.user.tolist(), task.relevant.item.tolist(), strict=True))
    lists = lists_of(place, knows, scenario)
    return np.array([
        sum((user, item) in expected for item in items[:k]) / sum(other == user for other, _ in expected)
        for user, items in zip(task.users.tolist(), lists.items.tolist(), strict=True)
    ])  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("k", KS)
def test_figures_are_means_over_users_and_seeds(summary: pl.DataFrame, scenario: Scenario, k: int) -> None:
    entry = row(summary, "good", "nearest", scenario, f"recall@{k}")
    real, dealt, drawn = (
        np.mean([counted_recall(place, knows, scenario, k) for place, knows in seeds], axis=0)
        for seeds in ([(0, 0.4), (1, 0.4)], [(2, 0.1), (3, 0.1)], [(4, 0.0)])
    )
    assert entry["value"] == pytest.approx(real.mean(), abs=1e-12)
    assert entry["shuffled"] == pytest.approx(dealt.mean(), abs=1e-12)
    assert entry["gaussian"] == pytest.approx(drawn.mean(), abs=1e-12)
    assert entry["lift"] == pytest.approx(real.mean() / dealt.mean())
    assert entry["difference"] == pytest.approx((real - dealt).mean(), abs=1e-12)
    assert entry["low"] < entry["value"] < entry["high"]
    assert entry["difference_low"] < entry["difference"] < entry["difference_high"]
    task = FOLD.task(scenario)
    assert (entry["users"], entry["pairs"], entry["seeds"]) == (len(task.users), len(task.relevant), 2)
    seen = [np.isin(task.candidates, FOLD.train.item[FOLD.train.user == user]).sum() for user in task.users]
    assert entry["chance"] == pytest.approx(np.mean([k / (len(task.candidates) - n) for n in seen]))
    assert entry["status"] is None


def test_intervals_are_those_of_one_comparison_of_all_lines(figures: Figures) -> None:
    """Standings, gains and differences of a metric against the statistics wing, called here with lists made here."""
    task = FOLD.task("cold")

    def of(seeds: list[tuple[int, float]]) -> Influence:
        return influence(
            [outcome(lists_of(place, knows, "cold").items, task, FOLD.train) for place, knows in seeds],
            task,
            Recall(10),
        )

    lines = [of([(0, 0.4), (1, 0.4)]), of([(2, 0.1), (3, 0.1)]), of([(4, 0.0)]), of([(5, 0.2)]), of([(6, 0.0)])]
    names = ["nearest real", "nearest shuffled", "nearest gaussian", "nearest real", "nearest shuffled"]
    expected = compare(lines, names)
    rows = figures.standings.filter(scenario="cold", metric="recall@10").drop_nulls("value")
    np.testing.assert_allclose(rows["value"], expected.values, atol=1e-12)
    limits = [(interval.low, interval.high) for interval in expected.intervals]
    np.testing.assert_allclose(rows.select("low", "high").to_numpy(), limits, atol=1e-12)
    gains = figures.gains.filter(scenario="cold", metric="recall@10", control="shuffled")
    limits = [(interval.low, interval.high) for interval in expected.gains([(0, 1), (3, 4)])]
    np.testing.assert_allclose(gains.select("low", "high").to_numpy(), limits, atol=1e-12)
    assert rows.filter(control="real")["tied"].to_list() == expected.among([0, 3]).tied.tolist()


def counted_popularity(place: int) -> np.ndarray:
    """Mean share of train items with fewer users, ties half, of the first three items."""
    plays = [int((FOLD.train.item == item).sum()) for item in range(60)]
    known = [count for count in plays if count]
    share = [(sum(c < p for c in known) + sum(c == p for c in known) / 2) / len(known) for p in plays]
    lists = lists_of(place, 0.4, "hot").items
    return np.asarray(np.array([[share[item] for item in items[:3]] for items in lists]).mean(1))


def test_what_has_no_interval_or_chance_is_null(summary: pl.DataFrame) -> None:
    entry = row(summary, "good", "nearest", "hot", "coverage@10")
    assert 0 < entry["value"] <= 1
    assert entry["value"] > row(summary, "good", "nearest", "hot", "coverage@3")["value"]
    assert [entry[name] for name in ("low", "high", "chance", "difference")] == [None] * 4
    hot = row(summary, "good", "nearest", "hot", "cold-recall@10")
    assert [hot[name] for name in ("value", "low", "high", "chance", "lift")] == [None] * 5
    assert row(summary, "good", "nearest", "mixed", "cold-recall@10")["value"] > 0


def test_controls_that_did_not_run_are_null(summary: pl.DataFrame) -> None:
    entry = row(summary, "bad", "nearest", "hot", "recall@10")
    assert entry["gaussian"] is None
    assert entry["shuffled"] is not None
    assert entry["seeds"] == 1
    popularity = row(summary, None, "popularity", "hot", "recall@10")
    assert [popularity[name] for name in ("shuffled", "lift", "difference")] == [None] * 3
    assert popularity["value"] > 0


def test_what_cannot_rank_says_why(summary: pl.DataFrame) -> None:
    entry = row(summary, None, "popularity", "cold", "recall@10")
    assert "cannot rank items that nobody has played in train" in entry["status"]
    assert all(entry[name] is None for name in ("value", "low", "chance", "users"))
    mixed = row(summary, None, "popularity", "mixed", "cold-share@10")
    assert mixed["value"] == 0


def test_rows_are_every_line_by_half_and_metric(summary: pl.DataFrame) -> None:
    expected = {(scenario, f"{metric}@{k}") for scenario in SCENARIOS for metric in METRICS for k in KS}
    expected |= {("mixed", f"cold-share@{k}") for k in KS}
    lines = {(encoder, label) for encoder, label in (("good", "nearest"), ("bad", "nearest"), (None, "popularity"))}
    entry = summary.select("encoder", "recommender", "scenario", "metric").rows()
    assert len(entry) == len(set(entry)) == len(expected) * 3
    assert {line[:2] for line in entry} == lines  # an experiment that is not finished has no line yet
    assert {line[2:] for line in entry} == expected


def test_values_per_user_are_kept(figures: Figures, summary: pl.DataFrame) -> None:
    kept = figures.users
    mine = kept.filter(encoder="good", recommender="nearest", scenario="cold")
    assert mine["user"].to_list() == SPLIT.users.take(FOLD.task("cold").users).to_list()
    expected = np.mean([counted_recall(place, 0.4, "cold", 10) for place in (0, 1)], axis=0)
    np.testing.assert_allclose(mine["recall@10"], expected, atol=1e-12)
    means = kept.group_by("encoder", "recommender", "scenario").agg(pl.col("ndcg@3").mean())
    for encoder, label, scenario, value in means.rows():
        assert row(summary, encoder, label, scenario, "ndcg@3")["value"] == pytest.approx(value)


def test_the_verdict_names_a_winner_only_where_it_is_better_than_all(figures: Figures, summary: pl.DataFrame) -> None:
    for verdict in figures.verdicts:
        best, second = (row(summary, name, "nearest", verdict.scenario, "ndcg@10")["value"] for name in ("good", "bad"))
        assert (verdict.leader, verdict.second, verdict.lines) == ("good / nearest", "bad / nearest", 2)
        assert verdict.lead is not None
        assert verdict.lead.value == pytest.approx(best - second)
        assert (verdict.best is not None) == (verdict.lead.low > 0)
        assert (len(verdict.winners) == 1) == (verdict.best is not None)
    hot = figures.verdicts[0]
    popularity = row(summary, None, "popularity", "hot", "ndcg@10")["value"]
    good = row(summary, "good", "nearest", "hot", "ndcg@10")["value"]
    assert popularity > good
    assert hot.unbeaten == ("popularity",)
    assert hot.sentence == "Hot: no audio model is shown to beat popularity."
    pairs = figures.differences.filter(scenario="hot").select("first", "second").rows()
    assert set(map(frozenset, pairs)) == {
        frozenset(pair)
        for pair in (
            ("good / nearest", "bad / nearest"),
            ("good / nearest", "popularity"),
            ("bad / nearest", "popularity"),
        )
    }


def test_a_lead_that_is_not_shown_says_how_much_more_data_would_show_it(figures: Figures) -> None:
    for verdict in figures.verdicts:
        assert bool(verdict.more_data) == (verdict.best is None)
    users = np.linspace(-1, 1, 50) / 300
    items = np.linspace(-1, 1, 40) / 300
    zero = 0 * users
    spread = Spread(
        np.stack([0.1 * users, zero], 1), np.stack([items, 0 * items], 1), np.zeros((2, 2)), np.zeros(2), np.arange(2),
        np.ones(2), 39.0,
    )  # fmt: skip
    close = Comparison(np.array([0.025, 0.0]), np.full(2, 50), spread)
    allowed = (0.025 / (close.pairs.simultaneous[0] + 0.8416)) ** 2 - (0.1 * users).var() * 50 * 50 / 49
    more = int(np.ceil(40 * ((items**2).sum() / allowed - 1)))
    assert 20 < more < 60
    assert more_data("cold", close, 0, 1) == (
        "The lead of 0.025 over the next is too small to show: between these two it takes 0.036; "
        f"at least about {more} more cold tracks are needed to show it, if it is real."
    )
    far = replace(close, values=np.array([1e-6, 0.0]))
    assert more_data("cold", far, 0, 1).endswith("; no log of a realistic size would show it.")
    assert more_data("cold", replace(close, values=np.array([0.5, 0.0])), 0, 1) == ""


def test_a_line_that_one_track_carries_neither_leads_nor_hides_another_that_beats_a_baseline() -> None:
    """The highest line owes half of its figure to one track and differs from nothing for sure; the second does."""
    rng = np.random.default_rng(0)
    users = rng.standard_normal((200, 3)) * 0.001
    items = rng.standard_normal((80, 3)) * 0.001
    items[0, 0] = 0.08
    spread = Spread(
        users - users.mean(0), items, np.zeros((3, 3)), np.zeros(3), np.arange(3), np.ones(3), 79.0
    )  # fmt: skip
    comparison = Comparison(np.array([0.16, 0.14, 0.05]), np.full(3, 200), spread)
    verdict = judge("hot", ["a / knn", "b / knn", "popularity"], [0, 1], [2], [0.02] * 3, comparison)
    assert verdict is not None
    assert (verdict.leader, verdict.winners) == ("b / knn", ("b / knn", "a / knn"))
    assert (verdict.carried, verdict.highest, verdict.unit) == (("a / knn",), "a / knn", "track")
    assert verdict.standing == "the highest figure that does not hang on one track"
    assert verdict.times_chance == pytest.approx(7.0)
    assert verdict.lead is not None
    assert verdict.lead.value == pytest.approx(-0.02)
    assert comparison.among([0, 2]).difference(0, 1).low < 0 < comparison.among([1, 2]).difference(0, 1).low
    assert verdict.unbeaten == ()
    assert verdict.one_track < 0.03
    sure = judge("hot", ["b / knn", "popularity"], [0], [1], [0.02] * 2, comparison.among([1, 2]))
    assert sure is not None
    assert (sure.carried, sure.highest) == ((), "")
    alone = judge("hot", ["a / knn", "popularity"], [0], [1], [0.02] * 2, comparison.among([0, 2]))
    assert alone is not None
    assert alone.unbeaten == ("popularity",)
    assert alone.one_track == pytest.approx(0.5)
    only = judge("hot", ["a / knn"], [0], [], [None], comparison.among([0]))
    assert only is not None
    assert only.sentence == (
        "Hot: a / knn, the only audio model, is better than chance; one track brings 50 % of the figure."
    )


def test_among_many_tied_lines_the_sentence_names_one_that_no_artist_carries() -> None:
    rng = np.random.default_rng(0)
    users, items = rng.standard_normal((200, 4)) * 0.001, rng.standard_normal((80, 4)) * 0.001
    items[0] = [0.08, 0.02, 0.08, 0.03]
    spread = Spread(
        users, items, np.zeros((4, 4)), np.zeros(4), np.arange(4), np.ones(4), 79.0, clustered=True
    )  # fmt: skip
    comparison = Comparison(np.array([0.16, 0.14, 0.15, 0.13]), np.full(4, 200), spread)
    verdict = judge("cold", ["a", "b", "c", "d"], [0, 1, 2, 3], [], [0.02] * 4, comparison)
    assert verdict is not None
    assert (verdict.winners, verdict.carried, verdict.highest) == (("b", "d", "a", "c"), ("a", "c"), "a")
    assert verdict.sentence == (
        "Cold: 4 of 4 combinations are tied; b has the highest figure that does not hang on one artist, "
        "7.0 times chance."
    )


def test_a_baseline_that_knows_vectors_by_artist_takes_no_win_but_is_named() -> None:
    rng = np.random.default_rng(0)
    users, items = rng.standard_normal((200, 4)) * 0.001, rng.standard_normal((80, 4)) * 0.001
    spread = Spread(users, items, np.zeros((4, 4)), np.zeros(4), np.arange(4), np.ones(4), 79.0)
    names = ["a / knn", "popularity", "a / artist-mean", "b / artist-mean"]

    def sentence(artist: float) -> str:
        comparison = Comparison(np.array([0.16, 0.05, artist, 0.1]), np.full(4, 200), spread)
        verdict = judge("cold", names, [0], [1], [0.02] * 4, comparison, by_artist={2: "artist-mean", 3: "artist-mean"})
        assert verdict is not None
        assert (verdict.unbeaten, verdict.state) == ((), "only")
        return verdict.sentence

    reached = "Cold: a / knn, the only audio model, reaches 8.0 times chance"
    assert sentence(0.16) == f"{reached}; it is not shown to beat artist-mean."
    assert sentence(0.10) == f"{reached}."


def test_tracks_of_an_artist_are_drawn_together(run: Run, figures: Figures, tmp_path: Path) -> None:
    """Twelve artists of five tracks, one artist unknown: intervals are over the artists."""
    artists = np.arange(60) // 5
    artists[-5:] = -1
    names = [None if artist < 0 else f"artist {artist:02}" for artist in artists]
    clustered = Run.create(tmp_path, {}, SPLIT)
    pl.DataFrame({"id": SPLIT.items.ids, "artist": names}).write_parquet(tmp_path / "tracks.parquet")
    clustered.plan([BASE])
    clustered.write(run.read(BASE))
    shown = compute_figures(clustered, ["recall"], [3], "recall@3").standings
    for scenario in SCENARIOS:
        line = next(lines(run, scenario))
        assert line.artists is None
        outcomes = line.of()[:1]
        expected = compare([influence(outcomes, line.task, Recall(3), artists)]).intervals[0]
        entry = shown.filter(scenario=scenario, metric="recall@3")
        assert (entry["low"].item(), entry["high"].item()) == pytest.approx((expected.low, expected.high))
        assert expected != compare([influence(outcomes, line.task, Recall(3))]).intervals[0]


def test_artists_with_one_track_each_are_no_clusters(tmp_path: Path) -> None:
    alone = Run.create(tmp_path, {}, SPLIT)
    assert alone.artists is None
    pl.DataFrame({"id": SPLIT.items.ids, "artist": [f"a{i:02}" for i in range(60)]}).write_parquet(
        tmp_path / "tracks.parquet"
    )
    assert Run(tmp_path).artists is None


def test_a_line_alone_has_no_second(run: Run, tmp_path: Path) -> None:
    alone = Run.create(tmp_path, {}, SPLIT)
    alone.plan([BASE])
    alone.write(run.read(BASE))
    for verdict in compute_figures(alone, ["ndcg"], [10], "ndcg@10").verdicts:
        assert (verdict.leader, verdict.second, verdict.lead, verdict.lines) == ("good / nearest", None, None, 1)


def test_mixed_lists_also_get_the_metrics_of_cold_items() -> None:
    assert [metric.label for metric in make_metrics(["ndcg"], [3], "hot")] == ["ndcg@3"]
    assert [metric.label for metric in make_metrics(["ndcg"], [3], "mixed")] == [
        "ndcg@3",
        "cold-share@3",
        "cold-recall@3",
    ]
    assert [metric.label for metric in make_metrics(["cold-recall"], [3], "mixed")] == ["cold-recall@3", "cold-share@3"]


def test_lines_are_read_one_at_a_time(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Experiment] = []
    original = Run.read

    def counting(self: Run, experiment: Experiment, *names: Any) -> Cell:
        read.append(experiment)
        return original(self, experiment, *names)

    monkeypatch.setattr(Run, "read", counting)
    each = lines(run, "hot")
    next(each)
    assert len(read) == 5
    assert len(list(each)) == 2


def test_progress_is_reported_by_scenario_and_line(run: Run) -> None:
    calls: list[tuple[str, int, int]] = []
    compute_figures(run, ["ndcg"], [3], "ndcg@3", lambda what, done, total: calls.append((what, done, total)))
    assert calls[-1] == ("figures", 3, 3)
    assert len(calls) == 3 * 3 + 1

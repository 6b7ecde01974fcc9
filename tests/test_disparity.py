"""Rank correlations of probes and recommendation: exact levels, intervals that cover, and the tables of a run."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import kendalltau, spearmanr

import probe_world
from report_samples import sample
from timbrec import api
from timbrec.report.sections.disparity import Disparity
from timbrec.results.disparity import DISPARITY, groups_of, of_the_log, sentences
from timbrec.results.published import published_figures
from timbrec.statistics.agreement import (
    _middle,
    agreement,
    critical_tau,
    holm,
    kendall,
    null_counts,
    p_value,
    partial,
    spearman,
)
from timbrec.study.config import read_config
from timbrec.study.inputs import load_inputs
from timbrec.study.probing import run_probes
from timbrec.study.runs import Run


class TestNullLevels:
    @pytest.mark.parametrize(
        ("n", "level"),
        [(4, None), (6, 0.867), (7, 0.714), (8, 0.643), (9, 0.556), (10, 0.511), (12, 0.455)],
    )
    def test_the_published_two_sided_levels(self, n: int, level: float | None) -> None:
        critical = critical_tau(n)
        assert level is None if critical is None else critical == pytest.approx(level, abs=5e-4)

    @pytest.mark.parametrize("n", [2, 3, 5, 6])
    def test_counts_are_those_of_all_orders(self, n: int) -> None:
        discordant = [
            sum(order[i] > order[j] for i in range(n) for j in range(i + 1, n)) for order in permutations(range(n))
        ]
        assert null_counts(n) == tuple(np.bincount(discordant))

    def test_a_stricter_level_needs_a_larger_tau(self) -> None:
        assert critical_tau(8, 0.05 / 60) == pytest.approx(26 / 28), "2 (1 + 7) of 40,320 orders"
        assert critical_tau(6, 0.05 / 60) is None

    @pytest.mark.parametrize("n", [5, 8, 11])
    def test_p_values_without_ties_are_scipys_exact_ones(self, n: int) -> None:
        rng = np.random.default_rng(n)
        for _ in range(5):
            first, second = rng.standard_normal((2, n))
            assert p_value(first, second) == pytest.approx(kendalltau(first, second, method="exact").pvalue, abs=1e-12)

    def test_p_values_with_ties_count_all_orders(self) -> None:
        first, second = np.array([1.0, 1, 2, 3, 4]), np.array([1.0, 2, 2, 5, 4])
        observed = abs(kendall(first, second))
        every = [abs(kendall(first, second[list(order)])) >= observed - 1e-9 for order in permutations(range(5))]
        assert p_value(first, second) == pytest.approx(np.mean(every))

    def test_holm_by_hand(self) -> None:
        adjusted = holm(np.array([0.01, np.nan, 0.04, 0.03]))
        assert adjusted[[0, 2, 3]] == pytest.approx([0.03, 0.06, 0.06])
        assert np.isnan(adjusted[1])


class TestAgreement:
    def test_correlations_are_scipys(self) -> None:
        first, second = np.random.default_rng(0).integers(0, 5, (2, 9)).astype(float)
        assert kendall(first, second) == pytest.approx(kendalltau(first, second).statistic)
        assert spearman(first, second) == pytest.approx(spearmanr(first, second).statistic)

    def test_without_noise_these_encoders_are_certain(self) -> None:
        rng = np.random.default_rng(1)
        first, second, none = rng.standard_normal(8), rng.standard_normal(8), np.zeros((8, 8))
        result = agreement(first, none, second, none)
        assert (result.tau.low, result.tau.high) == pytest.approx((result.tau.value, result.tau.value))
        assert result.like.high - result.like.low > 0.5, "eight encoders say little about others"

    def test_noise_of_either_side_widens_the_interval(self) -> None:
        rng = np.random.default_rng(2)
        first, second, none, noise = *rng.standard_normal((2, 8)), np.zeros((8, 8)), 0.3 * np.eye(8)
        for noises in ((noise, none), (none, noise)):
            result = agreement(first, noises[0], second, noises[1])
            assert result.tau.high - result.tau.low > 0.2

    def test_noise_that_all_encoders_share_changes_nothing(self) -> None:
        first, second = np.random.default_rng(3).standard_normal((2, 7))
        small, shared = 0.05 * np.eye(7), np.full((7, 7), 3.0)
        alone = agreement(first, small, second, small)
        together = agreement(first, small + shared, second, small)
        assert (alone.tau.low, alone.tau.high) == (together.tau.low, together.tau.high)

    @pytest.mark.slow
    @pytest.mark.parametrize(("tau", "least", "most"), [(0.0, 0.88, 1.0), (0.5, 0.88, 1.0), (1.0, 0.93, 1.0)])
    def test_both_intervals_cover_planted_truth(self, tau: float, least: float, most: float) -> None:
        rng, covered, worlds, noise = np.random.default_rng(4), np.zeros(2), 60, 0.3
        correlation = np.sin(np.pi / 2 * tau)
        for seed in range(worlds):
            first = rng.standard_normal(8)
            second = correlation * first + (1 - correlation**2) ** 0.5 * rng.standard_normal(8)
            estimates = [side + noise * rng.standard_normal(8) for side in (first, second)]
            variance = noise**2 * np.eye(8)
            result = agreement(estimates[0], variance, estimates[1], variance, seed=seed, draws=400)
            true = kendall(first, second)
            covered += [
                result.tau.low - 1e-9 <= true <= result.tau.high + 1e-9,
                result.like.low - 1e-9 <= tau <= result.like.high + 1e-9,
            ]
        assert (covered / worlds >= least).all()
        assert (covered / worlds <= most).all()

    def test_equal_values_have_no_correlation(self) -> None:
        result = agreement(np.ones(5), np.eye(5), np.arange(5.0), np.eye(5))
        assert np.isnan([result.tau.value, result.like.low, result.p]).all()

    def test_partial_correlation_with_one_covariate_is_the_textbook_formula(self) -> None:
        first, second, given = np.random.default_rng(5).standard_normal((3, 10))
        ab, ac, bc = (spearman(*pair) for pair in ((first, second), (first, given), (second, given)))
        expected = (ab - ac * bc) / ((1 - ac**2) * (1 - bc**2)) ** 0.5
        assert partial(first, second, given[:, None]) == pytest.approx(expected)

    @pytest.mark.parametrize(("tail", "low", "high"), [(20, -1, 1), (6, -1, 1), (5, 0, 0), (2, 0, 0), (0, 0, 0)])
    def test_a_value_whose_larger_share_is_in_a_tail_is_left_out(self, tail: int, low: float, high: float) -> None:
        draws = np.repeat([1.0, 0.0, -1.0], [tail, 100 - 2 * tail, tail])
        assert _middle(draws) == (low, high)

    def test_partial_correlation_needs_encoders(self) -> None:
        assert partial(np.arange(4.0), np.arange(4.0), np.random.default_rng(0).standard_normal((4, 2))) is None
        assert partial(np.arange(6.0), np.arange(6.0), np.arange(6.0)[:, None]) is None, "nothing is left"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of six encoders: better at taste is worse at labels."""
    return api.bench(probe_world.write(tmp_path_factory.mktemp("disparity"))).run


@pytest.fixture(scope="module")
def table(run: Run) -> pl.DataFrame:
    return pl.read_parquet(run.folder / "tables" / "disparity.parquet")


@pytest.mark.slow
class TestRun:
    def test_the_encoder_best_at_labels_is_not_best_at_taste(self, table: pl.DataFrame) -> None:
        rows = table.filter(probe="height", scenario="cold")
        assert (rows["best_probe"][0], rows["best_recommender"][0]) == ("a", "f")
        assert rows["tau"][0] < 0
        assert rows["low"][0] == -1, "the qualities are exactly reversed"

    def test_published_scores_in_the_order_of_taste_agree(self, table: pl.DataFrame) -> None:
        rows = table.filter(probe="tagging", scenario="cold")
        assert rows["tau"][0] == pytest.approx(1)
        assert rows["p"][0] == pytest.approx(2 / 720)

    def test_every_cell_has_its_correction(self, table: pl.DataFrame) -> None:
        assert dict(table.schema) == DISPARITY
        assert len(table) == 3 * 3
        assert table["tests"].unique().to_list() == [9]
        assert table["detectable"].unique().to_list() == [pytest.approx(13 / 15)]
        assert (table["p_adjusted"] >= table["p"]).all()
        assert table["detectable_adjusted"].to_list() == [critical_tau(6, 0.05 / 9)] * 9

    def test_sentences_say_what_it_means(self, table: pl.DataFrame) -> None:
        texts = list(sentences(table, "ndcg@20"))
        assert len(texts) == 9
        assert texts[0].startswith(
            "Cold, knn: a is best at height, f recommends best by ndcg@20; no relation was found"
        )
        assert any("encoders better at tagging recommend better" in text for text in texts)

    def test_the_page_has_the_section_and_needs_no_probing(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        from timbrec.probes.shared import running

        monkeypatch.setattr(running, "score", None)
        (run.folder / "tables.json").unlink()
        page = api.report(run).report.read_text()
        section = page.split('<section id="disparity"')[1].split("</section>")[0]
        assert section.count('<figure class="plot chart"') == 9
        assert "A single |tau| of 6 encoders is significant at 5 % from 0.867 on" in section
        assert "correcting for 9 comparisons" in section
        assert (run.folder / "disparity.csv").is_file()
        assert pl.read_csv(run.folder / "probes.csv")["probe"].unique().sort().to_list() == [
            "genre",
            "height",
            "tagging",
        ]

    def test_a_run_without_probes_has_no_section(self) -> None:
        assert Disparity().content(sample()) is None


def test_the_probe_of_the_log_that_goes_with_cold_start_most_is_named() -> None:
    taus: dict[str, dict[str, float | None]] = {
        "taste": {"knn": 0.9, "shallow": 0.5}, "artist": {"knn": 0.6, "shallow": 0.4}, "year": {"knn": -0.2},
        "genre": {"knn": 1.0, "shallow": 1.0}, "popularity": {"knn": None},
    }  # fmt: skip
    rows: list[dict[str, Any]] = [
        {"probe": probe, "among": among, "scenario": scenario, "recommender": recommender, "tau": tau}
        for probe, of in taus.items() for recommender, tau in of.items()
        for among, scenario in (("encoders", "cold"), ("encoders", "hot"), ("variants of a", "cold"))
    ]  # fmt: skip
    for row in rows:
        if row["scenario"] == "hot" or row["among"] != "encoders":
            row["tau"] = 0.99
    table = pl.DataFrame([dict.fromkeys(DISPARITY) | row for row in rows], schema=DISPARITY)
    assert of_the_log(table) == (
        "Of the properties that the log gives tracks, taste agrees best with cold start: tau +0.70 "
        "(mean over 2 recommenders), artist +0.50, year -0.20. Whether one of them agrees better than another was "
        "not tested."
    )
    assert of_the_log(table.filter(pl.col("probe").is_in(["taste", "genre"]))) is None


def test_layers_of_an_encoder_are_its_variants() -> None:
    encoders: dict[str, Any] = {
        f"mert-{layer}": {"audio": "audio", "encoder": "mert-95m", "layer": layer} for layer in (3, 6, 9)
    }
    encoders |= {"mfcc": {"audio": "audio"}, "other": {"vectors": "x.npy"}}
    representations = {"other-pca": {"of": ["other"]}, "both": {"of": ["mfcc", "other"]}}
    groups = groups_of({"encoders": encoders, "representations": representations})
    assert groups["encoders"] == ["mert-3", "mfcc", "other", "both"]
    assert groups["variants of mert-3"] == ["mert-3", "mert-6", "mert-9"]


def test_published_scores_and_figures_share_one_encoder() -> None:
    table = api.published_disparity("mteb")
    assert set(table["encoders"]) == {1}
    assert table["tau"].null_count() == len(table), "no tau comes of the two tables alone"


def test_a_table_of_published_scores_meets_the_studys_figures(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    figures = published_figures().filter(scenario="cold", control="real", metric="ndcg@50", published_table="Shallow")
    chosen = figures.drop_nulls("encoder").unique("published_encoder", keep="first").sort("encoder").head(6)
    chosen.select("encoder", task=pl.lit("tags"), score=-pl.col("published")).write_csv(path)
    rows = api.published_disparity(path).filter(metric="ndcg@50", table="Shallow")
    assert (rows["tau"][0], rows["encoders"][0]) == (pytest.approx(-1), 6)
    assert rows["p"][0] == pytest.approx(2 / 720)
    assert rows["defects"][0].startswith("2, 4, 5, 8"), "what is wrong with the figures is said"


def test_published_scores_must_fit(tmp_path: Path) -> None:
    config = read_config(probe_world.write(tmp_path, probes=[]))
    (tmp_path / "published.csv").write_text("encoder,task,score\nnobody,tagging,0.9\n")
    ((label, _, reason),) = run_probes(config, load_inputs(config), tmp_path / "run").failures
    assert label == "mir_scores", "the run goes on"
    assert "has scores of no encoder of the config" in reason

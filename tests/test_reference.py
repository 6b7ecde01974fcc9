"""Encoders against a reference, on a run with known best and worst encoders, and published figures beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from made import TableScorer, fold, rewrite
from timbrec.cli import compare_show as cli
from timbrec.data.split import SCENARIOS, Split
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import ConfigError
from timbrec.results.comparing import single_run
from timbrec.results.figures import Figures, compute_figures
from timbrec.results.published import DEFECTS, beside_published, published_figures
from timbrec.results.reference import REFERENCE, check_reference, compare_with, reference_table, summary_sentences
from timbrec.study.cell import Cell
from timbrec.study.cells.ranking import lists_table
from timbrec.study.config import make_config
from timbrec.study.experiment import Experiment
from timbrec.study.fitting import answer
from timbrec.study.representation import Representation, Source
from timbrec.study.runs import Run

FOLD = fold(4, n_users=60, n_items=80, new=20)
SPLIT = Split(
    "made", FOLD, FOLD, Vocabulary([f"u{u:02}" for u in range(60)]), Vocabulary([f"i{i:02}" for i in range(80)])
)
LIKED = FOLD.hot.joined(FOLD.cold).csr().toarray()
KNOWS = {"musicnn-msd": 0.3, "mert-95m": 0.9, "mfcc": 0.0}  # how much of what is liked the scores know
BASE = Experiment(
    split=SPLIT.digest, representation=None, control="real", artists=None, recommender="knn", settings={},
    version=1, label="knn", seed=0, depth=51, cold_candidates="tested",
)  # fmt: skip
CONFIG = {"primary": "ndcg@50", "encoders": {name: {} for name in KNOWS}, "reference": "musicnn-msd"}


def experiments(encoders: list[str], recommenders: list[str]) -> list[Experiment]:
    representations = [Representation(name, (Source(name, name),)) for name in encoders]
    return [
        replace(BASE, representation=representation, recommender=label, label=label)
        for representation in representations
        for label in recommenders
    ]


def make_run(folder: Path, encoders: list[str], recommenders: list[str], **facts: object) -> Run:
    run = Run.create(folder, {"config": CONFIG, "version": "1"} | facts, SPLIT)
    cells = experiments(encoders, recommenders)
    run.plan(cells)
    for place, cell in enumerate(cells):
        table = np.random.default_rng([7, place]).random(LIKED.shape) + KNOWS[str(cell.encoder)] * LIKED
        lists: dict[str, pl.DataFrame] = {
            scenario: lists_table(
                answer(TableScorer(table), FOLD.task(scenario), FOLD, 51, seed=0), FOLD.task(scenario), FOLD.train
            )
            for scenario in SCENARIOS
        }
        run.write(Cell(cell, lists, {}, {}, {}))
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("run"), list(KNOWS), ["knn", "hybrid"])


@pytest.fixture(scope="module")
def figures(run: Run) -> Figures:
    return compute_figures(run, ["ndcg"], [50], "ndcg@50")


@pytest.fixture(scope="module")
def table(run: Run) -> pl.DataFrame:
    return compare_with(run, "musicnn-msd", "ndcg@50")


def test_every_encoder_is_compared_under_each_recommender_and_over_all(table: pl.DataFrame) -> None:
    assert dict(table.schema) == REFERENCE
    keys = table.select("scenario", "recommender", "encoder").rows()
    expected = [
        (scenario, label, name)
        for scenario in SCENARIOS
        for label in ("knn", "hybrid", None)
        for name in ("mert-95m", "mfcc")
    ]
    assert sorted(keys, key=str) == sorted(expected, key=str)


def test_a_better_encoder_is_ahead_and_a_worse_one_behind(table: pl.DataFrame) -> None:
    rows = table.filter(pl.col("recommender").is_null())
    ahead, behind = (rows.filter(encoder=name, scenario="hot") for name in ("mert-95m", "mfcc"))
    assert ahead["standing"].to_list() == ["ahead"]
    assert behind["standing"].to_list() == ["behind"]
    assert ahead["leads"].to_list() == [2]
    assert behind["leads"].to_list() == [0]
    assert summary_sentences(table)[0] == (
        "Hot: mert-95m is ahead of musicnn-msd; mfcc is behind musicnn-msd over all recommenders."
    )


def test_differences_are_those_of_the_standings(table: pl.DataFrame, figures: Figures) -> None:
    values = {
        (row["scenario"], row["recommender"], row["encoder"]): row["value"]
        for row in figures.standings.filter(metric="ndcg@50").to_dicts()
    }
    for row in table.to_dicts():
        labels = ["knn", "hybrid"] if row["recommender"] is None else [row["recommender"]]
        expected = np.mean(
            [values[row["scenario"], label, row["encoder"]] - values[row["scenario"], label, "musicnn-msd"]
             for label in labels]
        )  # fmt: skip
        assert row["difference"] == pytest.approx(expected, abs=1e-12)
        assert row["low"] <= row["difference"] <= row["high"]
        sign = "ahead" if row["low"] > 0 else "behind" if row["high"] < 0 else "tied"
        assert row["standing"] == sign


def test_the_same_lists_under_another_name_are_tied_with_a_difference_of_0(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["mfcc", "mert-95m"], ["knn"])
    first, second = run.finished
    rewrite(run, replace(run.read(first), experiment=second))
    copied = compare_with(Run(tmp_path), "mfcc", "ndcg@50")
    assert copied["standing"].to_list() == ["tied"] * 3
    assert copied["difference"].to_list() == pytest.approx([0, 0, 0], abs=1e-12)


def test_one_recommender_gives_no_mean_over_recommenders(tmp_path: Path) -> None:
    single = compare_with(make_run(tmp_path, list(KNOWS), ["knn"]), "mfcc", "ndcg@50")
    assert single["recommender"].to_list() == ["knn"] * 6
    assert summary_sentences(single)[0].endswith("with knn, the only recommender.")


def test_the_reference_of_the_config_gives_a_table_of_the_page(run: Run, figures: Figures, table: pl.DataFrame) -> None:
    stored = reference_table(run, figures)
    assert stored is not None
    assert stored.equals(table)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("musicn-msd", "Did you mean 'musicnn-msd'"),
        ("mule", "It has: musicnn-msd, mert-95m, mfcc"),
    ],
)
def test_an_unknown_reference_is_refused_with_the_names_there_are(run: Run, reference: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compare_with(run, reference, "ndcg@50")


def test_a_reference_without_finished_cells_and_a_single_encoder_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["mfcc"], ["knn"])
    with pytest.raises(ConfigError, match="is in the config, but no cell of it is finished"):
        check_reference(run, "mert-95m")
    with pytest.raises(ConfigError, match="the run's only encoder"):
        check_reference(run, "mfcc")


def test_a_config_refuses_a_reference_it_lacks() -> None:
    data = {
        "name": "run", "output": "out", "interactions": {"path": "log.csv", "columns": {"user": "u", "item": "i"}},
        "encoders": {"mine": {"vectors": "mine.npz"}, "other": {"vectors": "other.npz"}},
        "split": {"protocol": "item-holdout"},
    }  # fmt: skip
    assert make_config(data | {"reference": "mine"}).reference == "mine"
    with pytest.raises(ConfigError, match="Did you mean 'mine'"):
        make_config(data | {"reference": "mime"})
    data["encoders"] = {"mine": {"vectors": "mine.npz"}}
    with pytest.raises(ConfigError, match="the only encoder"):
        make_config(data | {"reference": "mine"})


def test_two_runs_are_not_compared_with_each_other(run: Run, tmp_path: Path) -> None:
    other = make_run(tmp_path, ["mfcc"], ["knn"], version="2")
    assert single_run([run.folder]).folder == run.folder
    with pytest.raises(ConfigError, match="they differ in the version of timbrec"):
        single_run([run.folder, other.folder])


def test_the_terminal_table_fits_80_columns(
    table: pl.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_out", Console(width=80, highlight=False))
    cli.show_reference(table)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert text.count("musicnn-msd") >= 4


# Published figures


def test_every_published_figure_is_in_the_package() -> None:
    rows = published_figures().unique(["scenario", "published_table", "published_encoder", "published_metric"])
    assert len(rows) == 783
    elsa = published_figures().filter(recommender="elsa", metric="hitrate@50")
    assert elsa.select("published", "encoder", "defects").rows() == [(0.558, None, "")]


def test_figures_carry_the_defects_that_affect_them() -> None:
    rows = published_figures().filter(metric="ndcg@50", control="real")
    defects = {
        (row["scenario"], row["published_table"], row["published_encoder"]): row["defects"] for row in rows.to_dicts()
    }
    assert defects["hot", "Cosine", "mert"] == "1, 8"
    assert defects["cold", "Shallow", "musicfm"] == "2, 3, 4, 5, 8"
    assert defects["cold", "Bimodal Content", "mule"] == "2, 7, 8, 9, 11"
    assert {int(number) for text in defects.values() for number in text.split(", ") if number} == set(DEFECTS)


def test_a_run_stands_beside_its_counterparts(run: Run, figures: Figures) -> None:
    table = beside_published(run, figures)
    row = table.filter(scenario="cold", recommender="knn", encoder="mfcc").row(0, named=True)
    own = figures.standings.filter(scenario="cold", recommender="knn", encoder="mfcc")["value"][0]
    assert row["value"] == own
    assert row["published_metric"] == "NDCG@20"
    assert row["defects"] == "1, 2, 8, 13"
    assert set(table["published_encoder"]) == {"mfcc", "mert", "musicnn"}


def test_studies_that_do_not_exist_and_runs_without_counterparts_are_refused(run: Run, figures: Figures) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'tamm2026'"):
        published_figures("tamm2025")
    with pytest.raises(ConfigError, match="no cell of the run has a counterpart"):
        beside_published(run, replace(figures, standings=figures.standings.head(0)))

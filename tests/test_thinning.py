"""Thinning: the levels, the crossing, and worlds in which the answer is known."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import small_world
from timbrec.errors import ConfigError
from timbrec.metrics.ndcg import NDCG
from timbrec.protocols import Content
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import rank
from timbrec.recommenders.ease import EASE
from timbrec.recommenders.knn import KNN
from timbrec.results.thinning import crossing, sentence
from timbrec.statistics.comparison import compare
from timbrec.statistics.influence import influence
from timbrec.statistics.intervals import Interval
from timbrec.study.cells.thinning import reached_levels, thin, thinned_task
from timbrec.study.config import read_config
from timbrec.worlds.planted import PlantedWorld

LEVELS = (0, 1, 2, 5, 10, 20)


def test_levels_keep_nested_plays_and_touch_nothing_else() -> None:
    split = small_world.WORLD.split
    train, task = split.test.train, thinned_task(split, (0, 5))
    assert len(task.candidates) >= 20
    assert np.isin(task.relevant.item, task.candidates).all()
    kept: set[tuple[int, int]] = set()
    for level in (0, 1, 2, 5):
        thinned = thin(train, task.candidates, level)
        pairs = set(zip(thinned.user.tolist(), thinned.item.tolist(), strict=True))
        inside = {pair for pair in pairs if pair[1] in set(task.candidates.tolist())}
        assert np.bincount([item for _, item in inside], minlength=train.n_items)[task.candidates].tolist() == [
            level
        ] * len(task.candidates)
        assert kept <= inside
        assert len(pairs - inside) == (~np.isin(train.item, task.candidates)).sum()
        kept = inside


def test_levels_that_few_items_reach_are_left_out() -> None:
    split = small_world.WORLD.split
    assert reached_levels(split, (0, 1, 2, 10_000)) == (0, 1, 2)
    with pytest.raises(ConfigError, match="thinning needs 20 items of the hot test"):
        reached_levels(split, (0, 10_000))


def _gains(values: list[float], half_width: float) -> list[Interval]:
    return [Interval(value, value - half_width, value + half_width) for value in values]


def test_the_crossing_is_interpolated_on_a_logarithmic_scale() -> None:
    levels = [0, 1, 3, 7, 15]  # log2(1 + level) = 0, 1, 2, 3, 4
    gains = _gains([-0.3, -0.1, 0.1, 0.3, 0.5], 0.2)
    point, low, high = crossing(levels, gains)
    assert point == pytest.approx(2**1.5 - 1)
    assert low == pytest.approx(2**0.5 - 1)
    assert high == pytest.approx(2**2.5 - 1)
    assert crossing(levels, _gains([-0.1] * 5, 0.2)) == (None, 0.0, None)
    assert crossing([1, 3], _gains([0.3, 0.4], 0.1)) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("crossings", "expected"),
    [
        ((None, 3.0, None), "elsa does not overtake mert / knn within 50 plays."),
        ((7.2, 4.0, None), "elsa overtakes mert / knn at about 7 plays (95 % interval 4 to more than 50)."),
    ],
)
def test_sentences(crossings: tuple[float | None, ...], expected: str) -> None:
    names = ("crossing", "crossing_low", "crossing_high")
    row: dict[str, Any] = dict(zip(names, crossings, strict=True))
    assert sentence(row | {"encoder": "mert", "recommender": "knn", "against": "elsa"}, 50) == expected


def _crossing(world: PlantedWorld, quality: float) -> tuple[float | None, float | None, float | None]:
    """The crossing of EASE over KNN on vectors of this quality."""
    train, task = world.split.test.train, thinned_task(world.split, LEVELS)
    content, gains = Content(world.vectors(quality)), []
    for level in LEVELS[1:]:
        lines = []
        for parts in (EASE(), KNN()):
            scorer = parts.fit(thin(train, task.candidates, level), content, None, np.random.default_rng(0))
            lists = rank(scorer, task.users, task.candidates, train, 11)
            lines.append(influence([outcome(lists.items, task, train)], task, NDCG(10)))
        gains.append(compare(lines).contrast(np.array([1.0, -1.0])))
    return crossing(LEVELS[1:], gains)


def test_without_taste_in_the_vectors_few_plays_overtake_them_and_otherwise_none_do() -> None:
    """Plays follow co-listening alone, which vectors do not hold; or taste alone, which they hold without noise."""
    plays_only = PlantedWorld(users=400, items=300, dial=0.0, popularity=0.0, co_listening=4.0, dim=16, seed=4)
    early = _crossing(plays_only, 0.9)[0]
    assert early is not None
    assert early <= 5
    taste_only = PlantedWorld(users=400, items=300, dial=1.0, popularity=0.0, co_listening=0.0, dim=16, seed=4)
    late = _crossing(taste_only, 1.0)[1]
    assert late is None or late > early


def test_thinning_is_a_config_key_that_is_off_by_default(tmp_path: Path) -> None:
    assert [cell.use for cell in read_config(small_world.write(tmp_path)).cells] == ["ranking"]
    config = read_config(small_world.write(tmp_path, thinning={"recommenders": ["knn", "ease"], "plays": [0, 2]}))
    assert [cell.use for cell in config.cells] == ["ranking", "thinning"]
    assert config.cells[1].settings == {"recommenders": ["knn", "ease"], "plays": [0, 2]}
    assert [cell.use for cell in read_config(small_world.write(tmp_path, thinning=False)).cells] == ["ranking"]


def test_thinning_honours_the_quick_budget(tmp_path: Path) -> None:
    from timbrec.recommenders import recommender
    from timbrec.study.inputs import load_inputs
    from timbrec.study.plan import plan

    settings = {"plays": [0, 2], "recommenders": ["hybrid"]}
    for budget in ("quick", "full"):
        config = read_config(small_world.write(tmp_path, thinning=settings, recommenders=["knn"], budget=budget))
        (cell, *_) = [item for item in plan(config, load_inputs(config)) if item.kind == "thinning"]
        assert cell.settings == asdict(recommender("hybrid", {}, budget))
    assert asdict(recommender("hybrid", {}, "quick")) != asdict(recommender("hybrid", {}))


def test_a_run_with_thinning_shows_the_crossing(tmp_path: Path) -> None:
    from timbrec.results.figures import compute_figures
    from timbrec.results.thinning import thinning
    from timbrec.study.description import describe_run
    from timbrec.study.grid import run_study
    from timbrec.study.inputs import load_inputs
    from timbrec.study.runs import Run

    config = read_config(
        small_world.write(
            tmp_path, thinning={"recommenders": ["knn", "ease"], "plays": [0, 1, 2]}, recommenders=["knn"], seeds=[0],
            k=[10], primary="ndcg@10", cells=["ranking"],
        )
    )  # fmt: skip
    inputs = load_inputs(config)
    run = Run.create(tmp_path / "run", describe_run(config, inputs), inputs.split)
    run_study(config, inputs, run)
    assert not run.missing
    table = thinning(run, compute_figures(run, ["ndcg"], [10], "ndcg@10"))
    assert table is not None
    assert set(table["encoder"]) == {"good", "poor"}
    assert set(table["plays"]) == {0, 1, 2}
    cold = table.filter(pl.col("plays") == 0)
    assert cold["difference"].null_count() == len(cold)  # EASE cannot rank items without plays
    assert table.filter(pl.col("plays") > 0)["difference"].null_count() == 0

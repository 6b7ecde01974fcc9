from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from timbrec.data.interactions import Interactions
from timbrec.data.split import Fold
from timbrec.errors import ConfigError, DataError
from timbrec.protocols import Content, Recommender, Workspace
from timbrec.ranking.rank import rank
from timbrec.ranking.scorers import DotScorer
from timbrec.recommenders.bert4rec import BERT4Rec
from timbrec.recommenders.contrastive import Contrastive
from timbrec.recommenders.ease import EASE
from timbrec.recommenders.elsa import ELSA
from timbrec.recommenders.hybrid import Hybrid
from timbrec.recommenders.knn import KNN
from timbrec.recommenders.shallow import ShallowNet
from timbrec.recommenders.shared.saving import load_scorer, save_scorer
from timbrec.training import Trainable, TrainedRecommender, TrainedScorer, negatives, validate
from timbrec.training.judge import Ranking
from timbrec.training.negatives import Systematic, Unplayed, sample_negatives
from timbrec.training.settings import StopOn
from trained_world import grad_of, world

PLACE = world(60, 50, 12)
TRAIN, CONTENT, FOLD = PLACE.fold.train, PLACE.content, PLACE.fold
SMALL: dict[str, TrainedRecommender] = {
    "shallow": ShallowNet(epochs=2, batch=100, width=8),
    "contrastive": Contrastive(epochs=2, batch=16, width=8, factors=6, elsa_epochs=2),
    "hybrid": Hybrid(epochs=2, batch=32, width=8),
    "elsa": ELSA(epochs=2, batch=32, factors=8),
    "bert4rec": BERT4Rec(epochs=2, batch=32, width=8, length=10, feed_forward=16),
}
CONTENT_MODELS = [name for name in SMALL if name != "elsa"]
ALL: dict[str, Recommender] = {**SMALL, "knn": KNN(), "ease": EASE()}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def fitted() -> dict[str, Any]:
    return {name: recommender.fit(TRAIN, CONTENT, None, rng()) for name, recommender in ALL.items()}


@pytest.mark.parametrize("name", SMALL)
def test_blocks_change_loss_and_gradients_by_rounding_alone(name: str) -> None:
    """Smaller blocks are the fallback when memory runs out; 7 divides no batch here."""
    results = []
    for block in (None, 7):
        torch.manual_seed(0)
        model = SMALL[name].model(TRAIN, CONTENT, rng())
        model.block = block or model.block
        examples = model.examples(TRAIN)
        loss = model(examples, np.arange(min(len(examples), SMALL[name].batch)), rng(1))
        loss.backward()
        results.append(
            torch.cat([loss.reshape(1), *(grad_of(parameter).flatten() for parameter in model.parameters())]).detach()
        )
    assert (results[0] - results[1]).norm() < 1e-5 * results[0].norm()


# Negatives


@given(st.integers(1, 12), st.integers(1, 8), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_unplayed_users_are_exactly_the_others(n_users: int, n_items: int, density: float, seed: int) -> None:
    """Every draw is a user without the item, and each of them comes up when all ranks are drawn."""
    played = rng(seed).random((n_users, n_items)) < density
    user, item = np.nonzero(played)
    pairs = Interactions(user, item, np.ones(len(user), int), None, n_users, n_items)

    with pytest.MonkeyPatch.context() as patch:
        ranks = np.arange(n_users)[None]
        patch.setattr(negatives, "sample_negatives", lambda rng, shape, n: np.minimum(ranks, n - 1))
        drawn = Unplayed(pairs).users(rng(), np.arange(n_items), n_users)
    for column, users in enumerate(drawn):
        others = np.flatnonzero(~played[:, column])
        assert set(users) == set(others if len(others) else range(n_users))


def test_negatives_reach_every_row_evenly() -> None:
    counts = np.bincount(sample_negatives(rng(), (400, 100), 50).ravel(), minlength=50)
    assert counts.min() > 0
    assert ((counts - 800) ** 2 / 800).sum() < 90, "chi-squared with 49 degrees of freedom, p about 0.0003"


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=12), st.integers(1, 14), st.integers(0, 2**32 - 1))
def test_a_systematic_sample_has_its_inclusion_probabilities(weights: list[float], size: int, seed: int) -> None:
    sample, n, drawn = Systematic(np.array(weights), size), len(weights), min(size, len(weights))
    assert sample.chances.sum() == pytest.approx(drawn)
    assert (sample.chances <= 1 + 1e-9).all()
    share = sample.chances / weights
    np.testing.assert_array_less(np.where(sample.chances < 1, share.max() * (1 - 1e-9), 0), share, "capped at 1 alone")
    draws = np.random.default_rng(seed)
    rows = [sample.rows(draws) for _ in range(1000)]
    assert all(len(set(drawn_rows)) == drawn for drawn_rows in rows)
    shares = np.bincount(np.concatenate(rows), minlength=n) / 1000
    np.testing.assert_allclose(shares, sample.chances, atol=0.08, err_msg="five standard deviations")


# The loop, on a model whose every value is known


@dataclass(frozen=True)
class Steps(TrainedRecommender):
    """Its one weight falls by the learning rate at every step; the validation loss is read from a script."""

    script: tuple[float, ...] = (1.0,)
    breaks_at: int = 1000
    stop_on: Any = "validation loss"

    def model(
        self, train: Interactions, content: Content, rng: np.random.Generator, workspace: Workspace = Workspace()
    ) -> Trainable[Any]:
        return StepsModel(self)


class StepsModel(Trainable[Any]):
    def __init__(self, settings: Steps) -> None:
        super().__init__()
        self.settings, self.steps, self.judged = settings, 0, 0
        self.weight = nn.Parameter(torch.ones(1))

    def examples(self, pairs: Interactions) -> Interactions:
        return pairs

    def forward(self, examples: Interactions, rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        if examples is not TRAIN:
            self.judged += 1
            return torch.tensor(self.settings.script[self.judged - 1])
        self.steps += 1
        return self.weight.sum() * (np.nan if self.steps == self.settings.breaks_at else 1)

    def scorer(self, users: np.ndarray | None = None) -> TrainedScorer:
        return TrainedScorer(np.ones((60, 1), np.float32), np.full((50, 1), self.weight.item(), np.float32))


def weight_after(settings: Steps, validation: Fold | None) -> tuple[float, dict[str, Any]]:
    scorer = settings.fit(TRAIN, CONTENT, validation, rng())
    return float(scorer.items[0, 0]), scorer.chosen


def test_the_best_epoch_is_served_and_patience_ends_training() -> None:
    """Adam's first steps on a constant gradient are the learning rate each."""
    settings = Steps(epochs=9, batch=len(TRAIN), lr=0.01, patience=3, script=(0.5, 0.4, 0.45, 0.4, 0.41, 0.1, 0.1))
    weight, chosen = weight_after(settings, FOLD)
    assert chosen == {"epochs": 2, "lr_drops": ()}
    assert weight == pytest.approx(1 - 2 * 0.01, abs=1e-6)
    weight, chosen = weight_after(settings, None)
    assert weight == pytest.approx(1 - 9 * 0.01, abs=1e-5)
    assert chosen == {}


def test_a_gain_too_small_to_matter_is_none() -> None:
    """Of these the second is 1.6 % better than the first, the third 2.4 %, and the rest at most .4 % than the third."""
    settings = Steps(epochs=9, batch=len(TRAIN), lr=0.01, patience=2, script=(0.5, 0.492, 0.488, 0.487, 0.486))
    assert weight_after(replace(settings, least_gain=0.02), FOLD)[1] == {"epochs": 3, "lr_drops": ()}
    rising = Ranking(FOLD, "hot", can_rank_cold=False)
    assert not rising.prefers(0.509, 0.5, 0.02)
    assert rising.prefers(0.509, 0.5, 0.0)
    assert rising.prefers(0.1, math.nan, 0.02)


def test_a_plateau_lowers_the_learning_rate_and_a_refit_follows() -> None:
    """One bad epoch is let pass; after the second, epoch 3, the rate falls; the later drop is behind the best epoch."""
    script = (0.5, 0.6, 0.6, 0.3, 0.6, 0.6, 0.6)
    settings = Steps(epochs=7, batch=len(TRAIN), lr=0.1, plateau=1, patience=9, script=script)
    weight, chosen = weight_after(settings, FOLD)
    assert chosen == {"epochs": 4, "lr_drops": (3,)}
    assert weight == pytest.approx(1 - 3 * 0.1 - 0.01, abs=1e-5)
    assert weight_after(replace(settings, **chosen), None)[0] == pytest.approx(weight, abs=1e-7)


def test_averaged_weights_are_judged_and_served() -> None:
    """Step t of T weighs C(t + 7, 8), of C(T + 8, 9) together; training itself goes on from the weights as they are."""
    settings = Steps(epochs=4, batch=len(TRAIN) // 3, lr=0.01, average=True)
    per_epoch, judged = (-(-len(pairs) // settings.batch) for pairs in (TRAIN, FOLD.hot))
    for validation, epochs in ((FOLD, 3), (None, 4)):
        steps = range(1, epochs * per_epoch + 1)
        mean = sum(step * math.comb(step + 7, 8) for step in steps) / math.comb(len(steps) + 8, 9)
        script = tuple(loss for loss in (0.5, 0.5, 0.4, 0.6) for _ in range(judged))
        weight, _ = weight_after(replace(settings, script=script), validation)
        assert weight == pytest.approx(1 - 0.01 * mean, abs=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_a_refit_for_as_long_as_validation_chose_is_the_validated_model(name: str) -> None:
    settings = replace(SMALL[name], epochs=4, patience=1, plateau=1)
    validated = settings.fit(TRAIN, CONTENT, FOLD, rng(7))
    assert set(validated.chosen) == {"epochs", "lr_drops"}
    refitted = replace(settings, **validated.chosen).fit(TRAIN, CONTENT, None, rng(7))
    np.testing.assert_array_equal(validated.items, refitted.items)
    np.testing.assert_array_equal(validated.users, refitted.users)
    assert refitted.chosen == {}


def test_a_loss_that_is_no_number_names_step_and_rate_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    settings = Steps(epochs=5, batch=len(TRAIN) // 2, lr=0.01, breaks_at=8)
    scenario = -(-len(TRAIN) // (len(TRAIN) // 2))
    step, epoch = (8 - 1) % scenario + 1, (8 - 1) // scenario + 1
    with pytest.raises(ConfigError, match=f"step {step} of epoch {epoch}, learning rate 0.01"):
        settings.fit(TRAIN, CONTENT, None, rng(), Workspace(tmp_path))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, epoch))
    scorer = replace(settings, breaks_at=8).fit(TRAIN, CONTENT, None, rng(), Workspace(tmp_path))
    assert scorer.facts["epochs trained"] == 5, "the count of steps began anew with the checkpoint"


def test_out_of_memory_halves_the_block_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Greedy(StepsModel):
        block = 64

        def forward(self, examples: Any, rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
            if self.block > 10:
                raise torch.OutOfMemoryError("out of memory")
            return super().forward(examples, rows, rng)

    @dataclass(frozen=True)
    class Greed(Steps):
        def model(
            self, train: Interactions, content: Content, rng: np.random.Generator, workspace: Workspace = Workspace()
        ) -> Trainable[Any]:
            return Greedy(self)

    scorer = Greed(epochs=1, batch=len(TRAIN), lr=0.01).fit(TRAIN, CONTENT, None, rng())
    assert scorer.items[0, 0] == pytest.approx(0.99)
    assert "working in blocks of 8 from now on" in caplog.text
    Greedy.block = 1 << 70
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Greedy, "forward", lambda *_: torch.empty(2**60))
        with pytest.raises(ConfigError, match="Greed ran out of memory in step 1 of epoch 1"):
            Greed(epochs=1, batch=len(TRAIN)).fit(TRAIN, CONTENT, None, rng())


# Checkpoints and the log


class Stopped(Exception):  # noqa: N818 - no error, an interruption
    pass


@pytest.mark.parametrize("name", SMALL)
def test_a_resumed_training_gives_the_bits_of_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    settings = replace(SMALL[name], epochs=4, patience=3)
    whole = settings.fit(TRAIN, CONTENT, FOLD, rng(3))

    def stop(what: str, done: int, total: int) -> None:
        if what.startswith("epoch 3"):
            raise Stopped

    with pytest.raises(Stopped):
        settings.fit(TRAIN, CONTENT, FOLD, rng(3), Workspace(tmp_path, progress=stop))
    resumed = settings.fit(TRAIN, CONTENT, FOLD, rng(3), Workspace(tmp_path))
    np.testing.assert_array_equal(whole.users, resumed.users)
    np.testing.assert_array_equal(whole.items, resumed.items)
    assert whole.chosen == resumed.chosen
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert lines[0].keys() >= {"epoch", "loss", "lr", "seconds"}


def test_a_checkpoint_of_other_settings_is_refused_and_left_alone(tmp_path: Path) -> None:
    SMALL["hybrid"].fit(TRAIN, CONTENT, None, rng(3), Workspace(tmp_path))
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    others = [
        (replace(SMALL["hybrid"], lr=0.5), CONTENT, 3, "lr is 0.01 there and 0.5 here"),
        (SMALL["shallow"], CONTENT, 3, "recommender is 'Hybrid' there and 'ShallowNet' here"),
        (SMALL["hybrid"], Content(CONTENT.vectors + 1), 3, "vectors is"),
        (SMALL["hybrid"], CONTENT, 4, "seed is"),
    ]
    for settings, content, seed, message in others:
        with pytest.raises(ConfigError, match=message):
            settings.fit(TRAIN, content, None, rng(seed), Workspace(tmp_path))
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    (tmp_path / "checkpoint.safetensors").write_bytes(before[:99])
    with pytest.raises(ConfigError, match="no readable checkpoint"):
        SMALL["hybrid"].fit(TRAIN, CONTENT, None, rng(3), Workspace(tmp_path))


def test_a_training_can_be_continued_for_more_epochs(tmp_path: Path) -> None:
    longer = replace(SMALL["hybrid"], epochs=4)
    SMALL["hybrid"].fit(TRAIN, CONTENT, None, rng(3), Workspace(tmp_path))
    resumed = longer.fit(TRAIN, CONTENT, None, rng(3), Workspace(tmp_path))
    np.testing.assert_array_equal(resumed.items, longer.fit(TRAIN, CONTENT, None, rng(3)).items)


def test_progress_names_loss_and_metric_and_counts_steps() -> None:
    reports: list[tuple[str, int, int]] = []
    workspace = Workspace(progress=lambda *report: reports.append(report))
    replace(SMALL["hybrid"], epochs=2).fit(TRAIN, CONTENT, FOLD, rng(), workspace)
    assert [done for _, done, _ in reports] == [1, 2, 3, 4]
    assert {total for _, _, total in reports} == {4}
    assert reports[0][0].startswith("epoch 1: loss 0.0")
    assert "ndcg@50 mixed 0." in reports[-1][0]


# Validation


def test_validation_is_the_ndcg_of_full_lists_without_the_history() -> None:
    scores = rng().standard_normal((60, 50)).astype(np.float32)
    scorer = DotScorer(scores, np.eye(50, dtype=np.float32))
    task, values = FOLD.task("mixed"), []
    for user in task.users:
        seen = set(TRAIN.item[TRAIN.user == user])
        ranked = sorted(set(task.candidates) - seen, key=lambda item: -scores[user, item])[:50]
        relevant = set(task.relevant.item[task.relevant.user == user])
        gain = sum(1 / np.log2(place + 2) for place, item in enumerate(ranked) if item in relevant)
        values.append(gain / sum(1 / np.log2(place + 2) for place in range(min(50, len(relevant)))))
    assert validate(scorer, FOLD) == pytest.approx(np.mean(values), rel=1e-9)


def test_only_the_scenario_of_stop_on_decides() -> None:
    """`hot` ignores the cold scenario, and stopping on the train loss ignores the fold."""
    nobody = FOLD.hot.where(np.zeros(len(FOLD.hot), bool))
    no_cold = Fold(TRAIN, FOLD.hot, nobody)
    settings = replace(SMALL["hybrid"], epochs=3, stop_on="hot")
    fits = [settings.fit(TRAIN, CONTENT, fold, rng(2)) for fold in (FOLD, no_cold)]
    np.testing.assert_array_equal(fits[0].items, fits[1].items)
    assert replace(settings, stop_on="train loss").fit(TRAIN, CONTENT, Fold(TRAIN, nobody, nobody), rng(2)).chosen


def test_a_fold_without_pairs_to_stop_on_is_refused() -> None:
    nobody = FOLD.hot.where(np.zeros(len(FOLD.hot), bool))
    cases: tuple[tuple[StopOn, Fold], ...] = (
        ("cold", Fold(TRAIN, FOLD.hot, nobody)),
        ("validation loss", Fold(TRAIN, nobody, FOLD.cold)),
    )
    for stop_on, fold in cases:
        with pytest.raises(DataError, match=r"no (hot|cold) pairs to stop on"):
            replace(SMALL["hybrid"], stop_on=stop_on).fit(TRAIN, CONTENT, fold, rng())


@pytest.mark.parametrize("name", SMALL)
def test_tamm2026_trains_by_name(name: str) -> None:
    small = {"epochs": 2, "batch": 32} | {
        setting: getattr(SMALL[name], setting) for setting in ("factors", "elsa_epochs", "length", "feed_forward")
        if hasattr(SMALL[name], setting)
    }  # fmt: skip
    scorer = type(SMALL[name]).preset("tamm2026", **small).fit(TRAIN, CONTENT, FOLD, rng())
    assert scorer.score(np.arange(60), np.arange(50)).isfinite().all()


# What holds for every fitted recommender


@pytest.mark.parametrize("name", SMALL)
def test_the_same_seed_gives_the_same_bits_and_no_other_generator_moves(name: str, fitted: dict[str, Any]) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    again = SMALL[name].fit(TRAIN, CONTENT, None, rng())
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(again.items, fitted[name].items)
    np.testing.assert_array_equal(again.users, fitted[name].users)
    assert not np.array_equal(SMALL[name].fit(TRAIN, CONTENT, None, rng(1)).items, again.items)


@pytest.mark.parametrize("name", ALL)
def test_saved_and_loaded_it_scores_the_same(name: str, fitted: dict[str, Any], tmp_path: Path) -> None:
    save_scorer(fitted[name], tmp_path)
    loaded: Any = load_scorer(tmp_path)
    users, items = np.arange(60), np.arange(50) if fitted[name].can_rank_cold else TRAIN.items
    assert torch.equal(loaded.score(users, items), fitted[name].score(users, items))
    assert loaded.facts == fitted[name].facts
    if name in CONTENT_MODELS:
        np.testing.assert_array_equal(loaded.user_vectors(TRAIN), fitted[name].user_vectors(TRAIN))
        new = CONTENT.vectors[:3] + 1
        np.testing.assert_array_equal(loaded.add_items(new).items, fitted[name].add_items(new).items)


def test_an_unreadable_scorer_is_refused(fitted: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no readable recommender"):
        load_scorer(tmp_path)
    save_scorer(fitted["knn"], tmp_path)
    text = (tmp_path / "scorer.json").read_text()
    (tmp_path / "scorer.json").write_text(text.replace("timbrec.recommenders.knn:KNNScorer", "subprocess:Popen"))
    with pytest.raises(DataError, match="subprocess is not a module of recommenders"):
        load_scorer(tmp_path)


@pytest.mark.parametrize("name", [*CONTENT_MODELS, "elsa", "knn"])
def test_folded_in_users_depend_on_their_own_history_alone(name: str, fitted: dict[str, Any]) -> None:
    """A user's vector does not change with the order of users or with another user's history."""
    order = rng(4).permutation(60)
    place = np.argsort(order)
    moved = (
        Interactions.of(TRAIN.frame().with_columns(user=place[TRAIN.user]), 60, 50)
        if TRAIN.first is None
        else _moved(place)
    )
    vectors = fitted[name].user_vectors(TRAIN)
    np.testing.assert_allclose(fitted[name].user_vectors(moved), vectors[order], atol=1e-5)
    changed = TRAIN.where((TRAIN.user != 9) | (TRAIN.item % 2 == 0))
    others = np.arange(60) != 9
    np.testing.assert_allclose(fitted[name].user_vectors(changed)[others], vectors[others], atol=1e-5)


def _moved(place: np.ndarray) -> Interactions:
    order = np.lexsort((TRAIN.item, place[TRAIN.user]))
    first = None if TRAIN.first is None else TRAIN.first[order]
    return Interactions(place[TRAIN.user][order], TRAIN.item[order], TRAIN.plays[order], first, 60, 50)


@pytest.mark.parametrize("name", ["contrastive", "hybrid", "elsa", "bert4rec", "knn"])
def test_folding_in_the_train_part_gives_the_trained_users(name: str, fitted: dict[str, Any]) -> None:
    np.testing.assert_allclose(fitted[name].user_vectors(TRAIN), fitted[name].users, atol=1e-5)


@pytest.mark.parametrize("name", [*CONTENT_MODELS, "knn"])
def test_an_added_item_has_the_vector_of_a_known_item(name: str, fitted: dict[str, Any]) -> None:
    cold = np.flatnonzero(TRAIN.item_users == 0)[:3]
    grown = fitted[name].add_items(CONTENT.vectors[cold])
    assert len(grown.items) == 53
    np.testing.assert_allclose(grown.items[50:], fitted[name].items[cold], atol=1e-6)
    np.testing.assert_array_equal(grown.items[:50], fitted[name].items)


@pytest.mark.parametrize("name", CONTENT_MODELS)
def test_more_candidates_do_not_reorder_the_others(name: str, fitted: dict[str, Any]) -> None:
    few = FOLD.cold.items
    many = np.union1d(few, TRAIN.items)
    short, long = (rank(fitted[name], FOLD.cold.users, items, TRAIN, len(items)) for items in (few, many))
    for mine, theirs in zip(short.items, long.items, strict=True):
        np.testing.assert_array_equal(theirs[np.isin(theirs, few)], mine[mine >= 0])


# Bad input


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("kind", ["one play each", "three tracks", "zero vectors", "constant vectors", "no times"])
def test_poor_input_trains_and_scores(name: str, kind: str) -> None:
    pairs, vectors = _poor(kind)
    scorer = SMALL[name].fit(pairs, Content(vectors), None, rng())
    items = np.arange(pairs.n_items) if scorer.can_rank_cold else pairs.items
    assert scorer.score(np.arange(pairs.n_users), items).isfinite().all()
    top = rank(scorer, pairs.users, items, pairs, 60)
    assert ((top.items >= 0).sum(1) == len(items) - pairs.user_items[pairs.users]).all()


def _poor(kind: str) -> tuple[Interactions, np.ndarray]:
    user, item, n_items = np.arange(8), np.arange(8), 10
    if kind == "three tracks":
        user, item, n_items = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3
    times = None if kind == "no times" else np.arange(len(user))
    vectors = rng().standard_normal((n_items, 6)).astype(np.float32)
    if kind == "zero vectors":
        vectors[:] = 0
    if kind == "constant vectors":
        vectors[:] = 0.7
    return Interactions(user, item, np.ones(len(user), int), times, int(user.max()) + 1, n_items), vectors


def test_a_split_without_cold_items_trains() -> None:
    nobody = FOLD.cold.where(np.zeros(len(FOLD.cold), bool))
    for recommender in SMALL.values():
        assert recommender.fit(TRAIN, CONTENT, Fold(TRAIN, FOLD.hot, nobody), rng()).chosen["epochs"] in (1, 2)


@pytest.mark.parametrize("name", ["shallow", "hybrid", "bert4rec"])
def test_the_log_holds_the_ndcg_of_the_served_model(name: str, tmp_path: Path) -> None:
    scorer = replace(SMALL[name], epochs=1).fit(TRAIN, CONTENT, FOLD, rng(), Workspace(tmp_path))
    logged = json.loads((tmp_path / "log.jsonl").read_text())["ndcg@50 mixed"]
    assert logged == pytest.approx(validate(scorer, FOLD), abs=1e-9), "BERT4Rec is judged without dropout"

"""Published defects, written into the running code: the check that names a defect refuses it.

Numbers are those of the defects in docs/tamm2026.md. Every test shows that the same check passes the unchanged code.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from test_audit import make_run
from timbrec.audio import file, resampling
from timbrec.audit import CHECKS, Finding
from timbrec.audit.audited import Audited
from timbrec.audit.parts import RecommenderPart
from timbrec.audit.protocol import never_reads_test, refit_serves, train_statistics
from timbrec.audit.trained import frozen_stays_frozen
from timbrec.audit.trial import Trial
from timbrec.data import cuts
from timbrec.data.events import Events
from timbrec.data.interactions import Interactions
from timbrec.data.pairs import later_pairs
from timbrec.data.split import Fold, Split, Task
from timbrec.embed import pooling
from timbrec.embed.encode import encode_track
from timbrec.encoders.mfcc import MFCC
from timbrec.errors import DataError
from timbrec.metrics.hit_rate import HitRate
from timbrec.metrics.ndcg import NDCG
from timbrec.metrics.recall import Recall
from timbrec.protocols import Content, Recommender, Workspace
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import rank
from timbrec.recommenders import ease, knn
from timbrec.recommenders.shallow import ShallowModel
from timbrec.recommenders.shared import losses, towers
from timbrec.recommenders.shared.sequences import Sequences
from timbrec.recommenders.shared.towers import Tower
from timbrec.recommenders.shared.transformer import ItemTransformer
from timbrec.store.source import VectorSource
from timbrec.study import fitting
from timbrec.study.controls import gaussian
from timbrec.training import Trainable, judge, loop, negatives

ROOT = Path(__file__).parents[1]
CHECK = {check.name: check for check in CHECKS}
Patch = pytest.MonkeyPatch
_TICK = timedelta(microseconds=1)


CLEAN = Trial(size=1_000)  # its worlds serve the mutated code too: data is no code


@cache
def clean_of_code(name: str) -> Finding:
    check = CHECK[name].of_code
    assert check is not None
    return check(CLEAN)


def of_code(name: str) -> Finding:
    """The finding of a check about the code as it is now."""
    check, trial = CHECK[name].of_code, Trial(size=CLEAN.size)
    assert check is not None
    for worlds in ("worlds", "small"):
        trial.__dict__[worlds] = getattr(CLEAN, worlds)
    return check(trial)


@pytest.fixture(scope="module")
def clean_run(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    return Audited(*make_run(tmp_path_factory.mktemp("clean") / "run"))


def refused_in_code(name: str, mutate: Callable[[Patch], None], patch: Patch) -> None:
    """Assert that the check passes the unchanged code and refuses the mutated code."""
    assert clean_of_code(name).passed, clean_of_code(name)
    mutate(patch)
    assert not (finding := of_code(name)).passed, finding


def refused_in_run(name: str, clean: Audited, mutate: Callable[[Patch], None], patch: Patch, folder: Path) -> None:
    """Assert that the check passes a run of the unchanged code and refuses a run of the mutated code."""
    check = CHECK[name].of_run
    assert check is not None
    assert check(clean).passed
    mutate(patch)
    assert not (finding := check(Audited(*make_run(folder)))).passed, finding


def named(number: int, name: str) -> str:
    """The name of the check. Asserts that the table lists this defect for it."""
    assert str(number) in CHECK[name].defects.split(", ")
    return name


# 1. KNN's profiles index the wrong rows


def other_rows(patch: Patch) -> None:
    """Profiles from an array in another order than the items."""
    profiles = knn._profiles
    patch.setattr(knn, "_profiles", lambda fitted, plays, vectors: profiles(fitted, plays, np.roll(vectors, 1, 0)))


def rows_by_position(patch: Patch) -> None:
    """The first rows of the whole array in place of the rows of the requested ids."""

    def aligned(self: VectorSource, ids: Iterable[str]) -> np.ndarray:
        return np.asarray(self._part(0)[: len(list(ids))], np.float32)

    patch.setattr(VectorSource, "aligned", aligned)


@pytest.mark.parametrize(
    ("check", "mutation"),
    [
        ("planted-order", other_rows),
        ("planted-order", rows_by_position),
        ("planted-ceiling", rows_by_position),
        ("relabelling", other_rows),
    ],
)
def test_1_wrong_rows_are_refused_on_planted_worlds(
    check: str, mutation: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    refused_in_code(named(1, check), mutation, monkeypatch)


@pytest.mark.parametrize("mutation", [other_rows, rows_by_position])
def test_1_wrong_rows_are_refused_in_a_run(
    mutation: Callable[[Patch], None], clean_run: Audited, tmp_path: Path, monkeypatch: Patch
) -> None:
    refused_in_run(named(1, "profiles-own-rows"), clean_run, mutation, monkeypatch, tmp_path)


# 2. Metrics ignore their k


def whole_list(patch: Patch) -> None:
    """Metrics over the whole list instead of the first k places."""
    for kind in (HitRate, Recall, NDCG):
        gains = kind.gains
        patch.setattr(kind, "gains", lambda self, outcome, gains=gains: gains(replace(self, k=outcome.depth), outcome))


@pytest.mark.parametrize("check", ["metrics-recomputed", "controls-cold"])
def test_2_a_metric_that_ignores_its_k_is_refused(
    check: str, clean_run: Audited, tmp_path: Path, monkeypatch: Patch
) -> None:
    refused_in_run(named(2, check), clean_run, whole_list, monkeypatch, tmp_path)


def test_2_the_label_of_a_metric_cannot_be_set() -> None:
    assert HitRate(20).label == "hitrate@20"
    with pytest.raises(AttributeError):
        HitRate(20).label = "hitrate@50"  # type: ignore[misc]


# 3. Pooled over channels, not over time


def over_channels(patch: Patch) -> None:
    def encode(self: MFCC, windows: np.ndarray) -> np.ndarray:
        return np.asarray(self.frames(windows).mean(axis=2))

    patch.setattr(MFCC, "encode", encode)


def windows_over_channels(patch: Patch) -> None:
    patch.setattr("timbrec.audit.encoders.pool", lambda frames: frames.mean(axis=1))


@pytest.mark.parametrize("mutation", [over_channels, windows_over_channels])
def test_3_pooling_over_channels_is_refused(mutation: Callable[[Patch], None], monkeypatch: Patch) -> None:
    refused_in_code(named(3, "pooled-over-time"), mutation, monkeypatch)


def test_3_vectors_pooled_over_channels_cannot_be_stored(monkeypatch: Patch) -> None:
    windows = np.random.default_rng(0).normal(0, 0.1, (1, 22_050)).astype(np.float32)
    assert encode_track(MFCC(), windows).shape == (104,)
    over_channels(monkeypatch)
    with pytest.raises(DataError, match="pooled over the wrong axis"):
        encode_track(MFCC(), windows)


# 4. Negative users from a constant number of ids


def first_ids(patch: Patch) -> None:
    draw = negatives.sample_negatives
    patch.setattr(negatives, "sample_negatives", lambda rng, shape, n: draw(rng, shape, np.minimum(n, 17_052)))


def players_too(patch: Patch) -> None:
    def users(self: negatives.Unplayed, rng: np.random.Generator, items: np.ndarray, count: int) -> np.ndarray:
        return rng.integers(self.n_users, size=(len(items), count))

    patch.setattr(negatives.Unplayed, "users", users)


@pytest.mark.parametrize("mutation", [first_ids, players_too])
def test_4_negatives_from_a_part_of_the_users_or_from_players_are_refused(
    mutation: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    refused_in_code(named(4, "negatives-cover-all"), mutation, monkeypatch)


# 5. Freeze flags the wrong way round


def inverted_flags(patch: Patch) -> None:
    add = Trainable.add_table

    def inverted(self: Trainable[Any], name: str, start: torch.Tensor, learned: bool) -> None:
        add(self, name, start, not learned)

    patch.setattr(Trainable, "add_table", inverted)


@pytest.mark.parametrize("name", ["shallow", "bert4rec", "hybrid", "contrastive"])
def test_5_inverted_freeze_flags_are_refused(name: str, monkeypatch: Patch) -> None:
    assert named(5, "frozen-stays-frozen")
    refused_of_part(frozen_stays_frozen, name, inverted_flags, monkeypatch)


# The protocol of a fit


def refused_of_part(
    check: Callable[[RecommenderPart], Finding], name: str, mutate: Callable[[Patch], None], patch: Patch
) -> None:
    """Assert that the check passes a recommender with its defaults and refuses it in the mutated code."""
    assert check(RecommenderPart(name)).passed
    mutate(patch)
    assert not (finding := check(RecommenderPart(name))).passed, finding


def fitting_on_test(patch: Patch) -> None:
    fit = fitting.fit

    def mutated(recommender: object, split: Split, *rest: object) -> object:
        fold = split.test
        larger = Fold(fold.train.joined(fold.hot), fold.cold.where(fold.cold.user < 0), fold.cold)
        return fit(recommender, replace(split, test=larger), *rest)  # type: ignore[arg-type]

    patch.setattr("timbrec.study.cells.ranking.fit", mutated)


def stopping_on_test(patch: Patch) -> None:
    fit = fitting.fit

    def mutated(recommender: object, split: Split, *rest: object) -> object:
        validation = Fold(split.validation.train, *_after(split))
        return fit(recommender, replace(split, validation=validation), *rest)  # type: ignore[arg-type]

    patch.setattr("timbrec.study.cells.ranking.fit", mutated)


def _after(split: Split) -> tuple[Interactions, Interactions]:
    """The test pairs, hot or cold by the train part of the validation fold."""
    train, pairs = split.validation.train, split.test.hot.joined(split.test.cold)
    pairs = pairs.where(train.user_items[pairs.user] > 0)
    hot = train.item_users[pairs.item] > 0
    return pairs.where(hot), pairs.where(~hot)


def serving_without_refit(patch: Patch) -> None:
    def mutated(
        recommender: Recommender, split: Split, content: Content, seed: int, workspace: Workspace = Workspace()
    ) -> object:
        rng = np.random.default_rng(seed)
        scorer = recommender.fit(split.validation.train, content, split.validation, rng, workspace)
        return scorer, scorer.chosen

    patch.setattr("timbrec.study.cells.ranking.fit", mutated)


def scaled_by_the_catalogue(patch: Patch) -> None:
    def scaling(content: Content, train: object) -> np.ndarray:
        return np.asarray(content.vectors - content.vectors.mean(0))

    fit = fitting.fit

    def mutated(recommender: object, split: object, content: Content, *rest: object) -> object:
        return fit(recommender, split, replace(content, vectors=scaling(content, split)), *rest)  # type: ignore[arg-type]

    patch.setattr("timbrec.study.cells.ranking.fit", mutated)


@pytest.mark.parametrize(
    ("check", "name", "mutation"),
    [
        (never_reads_test, "knn", fitting_on_test),
        (never_reads_test, "popularity", fitting_on_test),
        (never_reads_test, "hybrid", stopping_on_test),
        (refit_serves, "hybrid", serving_without_refit),
        (refit_serves, "shallow", serving_without_refit),
        (refit_serves, "knn", fitting_on_test),
        (train_statistics, "knn", scaled_by_the_catalogue),
    ],
)
def test_fits_that_break_the_protocol_are_refused(
    check: Callable[[RecommenderPart], Finding], name: str, mutation: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    refused_of_part(check, name, mutation, monkeypatch)


# 7. Trained normalised, served unnormalised


def unnormalised(patch: Patch) -> None:
    embed_rows = Tower.embed

    def embedded(self: Tower, *arguments: Any, **named_arguments: Any) -> np.ndarray:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(towers, "unit", lambda rows: rows)
            return embed_rows(self, *arguments, **named_arguments)

    patch.setattr(Tower, "embed", embedded)


def test_7_vectors_served_without_their_normalisation_are_refused(monkeypatch: Patch) -> None:
    refused_in_code(named(7, "served-is-trained"), unnormalised, monkeypatch)


# 9. Validation without histories, or without held-out data


def held_out_rows_alone(patch: Patch) -> None:
    """Training stops on the loss of held-out pairs, as in the study."""
    _judged_by(patch, lambda fold, settings: judge.HeldOutLoss(fold, settings.batch))


def train_loss(patch: Patch) -> None:
    """Training stops on the loss of its own batches."""
    _judged_by(patch, lambda fold, settings: judge.TrainLoss())


def _judged_by(patch: Patch, judged: Callable[..., judge.Judge]) -> None:
    """Training with another judge."""
    patch.setattr(
        "timbrec.training.loop.judge_of", lambda settings, fold, can_rank_cold: fold and judged(fold, settings)
    )


def without_histories(patch: Patch) -> None:
    """Validation lists with items that the users already played."""

    def validated(scorer: Any, task: Task, train: Interactions, k: int = 50) -> float:
        nothing = train.where(np.zeros(len(train), bool))
        top = rank(scorer(task.users), task.users, task.candidates, nothing, k)
        return NDCG(k).value(outcome(top.items, task, train))

    patch.setattr(judge, "validated", validated)


@pytest.mark.parametrize("mutation", [held_out_rows_alone, train_loss, without_histories])
def test_9_stopping_on_anything_but_rankings_with_histories_is_refused(
    mutation: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    refused_in_code(named(9, "validation-ranks"), mutation, monkeypatch)


def test_9_held_out_pairs_of_users_without_history_cannot_be_a_fold() -> None:
    fold = CLEAN.small.split.validation
    nobody = fold.train.where(np.zeros(len(fold.train), bool))
    with pytest.raises(DataError):
        Fold(nobody, fold.hot, fold.cold)


# 11. Summed, not averaged


def summed(patch: Patch) -> None:
    def sums(frames: np.ndarray, pool: str = "mean", over: str = "time") -> np.ndarray:
        return np.asarray(frames.sum(axis=0))

    patch.setattr(pooling, "pool", sums)


def test_11_vectors_that_grow_with_the_track_are_refused(monkeypatch: Patch) -> None:
    refused_in_code(named(11, "mean-not-sum"), summed, monkeypatch)


# Definitions, settings and sequences


def later_end(patch: Patch) -> None:
    """A play at the end counts."""
    patch.setattr(
        "timbrec.data.splitting.by_time",
        lambda events, *times: cuts.by_time(events, *times[:3], times[3] + timedelta(microseconds=1)),  # type: ignore[call-arg]
    )


def boundary_in_train(patch: Patch) -> None:
    """A play at T is train."""

    def wrong(events: Events, at: list[datetime]) -> list[tuple[Interactions, Interactions]]:
        return later_pairs(events, [at[0], *(moment + _TICK for moment in at[1:-1]), at[-1]])

    patch.setattr("timbrec.data.cuts.later_pairs", wrong)


def ties_by_row(patch: Patch) -> None:
    patch.setattr("timbrec.ranking.rank.tie_order", lambda n_items, seed: np.arange(n_items))


def half_in_place(patch: Patch) -> None:
    def half(vectors: np.ndarray, seed: int) -> np.ndarray:
        mixed = vectors.copy()
        mixed[: len(vectors) // 2] = vectors[np.random.default_rng(seed).permutation(len(vectors) // 2)]
        return mixed

    patch.setattr("timbrec.audit.definitions.shuffled", half)


def gaussian_of_all_tracks(patch: Patch) -> None:
    patch.setattr(
        "timbrec.audit.definitions.gaussian",
        lambda vectors, train, seed: gaussian(vectors, np.arange(len(vectors)), seed),
    )


def no_temperature(patch: Patch) -> None:
    loss = losses.contrastive
    patch.setattr(
        "timbrec.recommenders.contrastive.contrastive",
        lambda name, z1, z2, temperature, sigma, block: loss(name, z1, z2, 1.0, sigma, block),
    )


def no_confidence(patch: Patch) -> None:
    hinge = ShallowModel._hinge
    patch.setattr(ShallowModel, "_hinge", lambda self, items, users, plays: hinge(self, items, users, 0 * plays))


def all_masked(patch: Patch) -> None:
    patch.setattr("timbrec.recommenders.bert4rec._masked", lambda present, share, rng: present.copy())


def visible_tracks(patch: Patch) -> None:
    """The input of the transformer is the sequence without masks."""
    patch.setattr("timbrec.recommenders.bert4rec.MASK", 0)


def histories_without_order(patch: Patch) -> None:
    init = Sequences.__init__
    patch.setattr(Sequences, "__init__", lambda self, pairs: init(self, replace(pairs, first=None)))


def impatience(patch: Patch) -> None:
    """Training stops after `patience` epochs, whenever the best one was."""
    patch.setattr(
        loop._Epochs, "follow",
        property(lambda self: self.course.epoch < min(self.settings.epochs, self.settings.patience)),
    )  # fmt: skip


def constant_learning_rates(patch: Patch) -> None:
    patch.setattr(loop._Epochs, "_lr", lambda self: self.settings.lr)


def positive_among_negatives(patch: Patch) -> None:
    patch.setattr(losses, "_OUT", 0.0)


def gradients_that_add_up(patch: Patch) -> None:
    patch.setattr(torch.optim.Optimizer, "zero_grad", lambda self, set_to_none=True: None)


def ease_without_regularisation(patch: Patch) -> None:
    weights = ease._weights
    patch.setattr(ease, "_weights", lambda x, l2: weights(x, 1e-3 * l2))


def plays_as_popularity(patch: Patch) -> None:
    patch.setattr(Interactions, "item_users", property(lambda self: np.bincount(self.item, self.plays, self.n_items)))


def padding_attended(patch: Patch) -> None:
    hidden = ItemTransformer.hidden

    def attended(
        self: ItemTransformer, vectors: torch.Tensor, padding: torch.Tensor, at: torch.Tensor | None = None
    ) -> torch.Tensor:
        return hidden(self, vectors, torch.zeros_like(padding), at)

    patch.setattr(ItemTransformer, "hidden", attended)


def choice_forgotten(patch: Patch) -> None:
    def mutated(
        recommender: Recommender, split: Split, content: Content, seed: int, workspace: Workspace = Workspace()
    ) -> object:
        inside, rng = workspace.inside("validation"), np.random.default_rng(seed)
        chosen = recommender.fit(split.validation.train, content, split.validation, rng, inside).chosen
        inside, rng = workspace.inside("refit"), np.random.default_rng(seed)
        return recommender.fit(split.test.train, content, None, rng, inside), chosen

    patch.setattr("timbrec.study.cells.ranking.fit", mutated)


def other_candidates(patch: Patch) -> None:
    """Cold candidates by the other policy."""
    new = Fold._new
    patch.setattr(Fold, "_new", lambda self, policy: new(self, "catalogue" if policy == "tested" else "tested"))


def not_resampled(patch: Patch) -> None:
    resampler = resampling.resampler
    patch.setattr("timbrec.audio.clip.resampler", lambda rate, to, name: resampler(rate, rate, name))


def first_channel(patch: Patch) -> None:
    mono = file._mono

    def first(frame: Any, kind: str, channels: int) -> Any:
        planes = mono(frame, kind, channels)[1]
        return (planes[0] / 2**15).astype(np.float32), planes

    patch.setattr(file, "_mono", first)


def silence_counts(patch: Patch) -> None:
    patch.setattr("timbrec.audio.windows.SILENCE", 0.0)


@pytest.mark.parametrize(
    ("check", "mutation"),
    [
        ("split-by-definition", other_candidates),
        ("sound-by-definition", not_resampled),
        ("sound-by-definition", first_channel),
        ("sound-by-definition", silence_counts),
        ("split-by-definition", later_end),
        ("split-by-definition", boundary_in_train),
        ("ranking-by-definition", ties_by_row),
        ("controls-by-definition", half_in_place),
        ("controls-by-definition", gaussian_of_all_tracks),
        pytest.param("settings-matter", no_temperature, marks=pytest.mark.slow),
        pytest.param("settings-matter", no_confidence, marks=pytest.mark.slow),
        ("refit-keeps-choice", impatience),
        ("refit-keeps-choice", constant_learning_rates),
        ("learning-by-definition", positive_among_negatives),
        ("learning-by-definition", gradients_that_add_up),
        ("learning-by-definition", ease_without_regularisation),
        ("learning-by-definition", plays_as_popularity),
        ("sequences-masked", all_masked),
        ("sequences-masked", visible_tracks),
        ("sequences-masked", histories_without_order),
        ("sequences-masked", padding_attended),
        ("refit-keeps-choice", choice_forgotten),
    ],
)
def test_other_mistakes_are_refused(check: str, mutation: Callable[[Patch], None], monkeypatch: Patch) -> None:
    refused_in_code(check, mutation, monkeypatch)


def test_lists_of_other_candidates_are_refused(clean_run: Audited, tmp_path: Path, monkeypatch: Patch) -> None:
    """Candidates are recomputed from the parts of the split, without the task that the ranking used."""
    monkeypatch.setattr(
        Fold, "_new", lambda self, policy: np.flatnonzero(self.train.item_users == 0)[:: 1 + (policy == "tested")]
    )
    finding = CHECK["lists-clean"].of_run
    assert finding is not None
    assert not finding(Audited(*make_run(tmp_path))).passed


def test_the_mistakes_that_are_measured_fit_the_code() -> None:
    """`measurements/audit_mutations.py` takes half an hour: a patch that fits nothing any more is found here."""
    mistakes = runpy.run_path(str(ROOT / "measurements" / "mistakes.py"))["MISTAKES"]
    texts = {item.file: (ROOT / "src" / "timbrec" / item.file).read_text() for item in mistakes}
    assert [item.name for item in mistakes if texts[item.file].count(item.old) != 1] == []
    assert len({item.name for item in mistakes}) == len(mistakes)

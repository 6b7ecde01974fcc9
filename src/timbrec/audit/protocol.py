"""The protocol of a fit: no fit reads the test, and the refit serves. All checks go through `run_cell`, like a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from timbrec.audit.audited import SEED
from timbrec.audit.finding import Finding, nothing_to_check
from timbrec.audit.parts import RecommenderPart
from timbrec.audit.trial import Trial
from timbrec.data.interactions import Interactions
from timbrec.data.split import SCENARIOS, Fold, Scenario, Split
from timbrec.errors import CannotRankError
from timbrec.protocols import Content, Workspace
from timbrec.ranking.rank import rank
from timbrec.recommenders.hybrid import Hybrid
from timbrec.study.cell import Cell, run_cell
from timbrec.study.controls import REAL
from timbrec.study.experiment import Experiment
from timbrec.study.representation import Representation, Source
from timbrec.training import TrainedRecommender
from timbrec.types import Array, Int
from timbrec.worlds.planted import PlantedWorld

_BETTER = 1e-4  # the relative improvement below which PyTorch's scheduler counts an epoch as none
_USERS, _ITEMS, _ARTISTS, _DIM, _DEPTH = 100, 120, 25, 16, 11


@dataclass(frozen=True, eq=False)
class Small:
    """A world of 100 users and 120 tracks, with variants: another test part, other vectors of cold tracks."""

    @cached_property
    def split(self) -> Split:
        """The split by the `corrected` protocol."""
        return PlantedWorld(_USERS, _ITEMS, dim=_DIM, seed=SEED).split

    @cached_property
    def content(self) -> Content:
        """Vectors of a perfect encoder, and artists drawn at random."""
        vectors = PlantedWorld(_USERS, _ITEMS, dim=_DIM, seed=SEED).vectors(1.0)
        return Content(vectors, np.random.default_rng(SEED).integers(_ARTISTS, size=_ITEMS))

    @cached_property
    def poisoned(self) -> Split:
        """The split with other items in the test pairs. The users and cold items of the test stay the same."""
        fold = self.split.test
        return replace(
            self.split,
            test=Fold(fold.train, _rotated(fold.hot, fold.train), _rotated(fold.cold, fold.train)),
        )

    @cached_property
    def other_cold(self) -> Content:
        """The content with noise in place of the vectors of items outside train."""
        vectors = self.content.vectors.copy()
        new = self.split.test.train.item_users == 0
        rng = np.random.default_rng(SEED)
        vectors[new] = 50 * rng.standard_normal((int(new.sum()), vectors.shape[1]), dtype=np.float32)
        return replace(self.content, vectors=vectors)


@cache
def small() -> Small:
    """The small world, one per process."""
    return Small()


def never_reads_test(part: RecommenderPart) -> Finding:
    """Run a cell twice, the second time with other test pairs, and require equal lists, settings and training logs.

    Refuses fits that read test pairs or stop training on them.
    """
    world = small()
    clean, clean_log = _cell(part, world.split, world.content)
    other, other_log = _cell(part, world.poisoned, world.content)
    differences = [f"{scenario} lists" for scenario in SCENARIOS if not _equal(clean, other, scenario)]
    differences += ["chosen settings"] * (clean.chosen != other.chosen)
    differences += ["training log"] * (clean_log != other_log)
    return Finding(not differences, f"{len(differences)} differences", "0 differences", ", ".join(differences))


def refit_serves(part: RecommenderPart) -> Finding:
    """Compare the lists of a cell with the lists of a fit on the whole train part, with the chosen settings.

    Refuses cells that serve the fit of the validation fold, and cells that are fitted on more than train.
    """
    world, fold = small(), small().split.test
    cell, _ = _cell(part, world.split, world.content)
    fitted = replace(part.short, **cell.chosen).fit(fold.train, world.content, None, np.random.default_rng(SEED))
    differences = []
    for scenario in SCENARIOS:
        task = fold.task(scenario)
        candidates = task.candidates
        if scenario == "mixed" and not fitted.can_rank_cold:
            candidates = candidates[fold.train.item_users[candidates] > 0]
        try:
            lists = rank(fitted, task.users, candidates, fold.train, _DEPTH, seed=SEED)
        except CannotRankError:
            differences += [f"{scenario} lists"] * (scenario in cell.lists)
            continue
        stored = cell.lists.get(scenario)
        if stored is None or not _same(stored.items, lists.items) or not _same(stored.scores, lists.scores):
            differences.append(f"{scenario} lists")
    return Finding(not differences, f"{len(differences)} differences", "0 differences", ", ".join(differences))


def refit_keeps_choice(trial: Trial) -> Finding:
    """Run cells that stop early or lower their learning rate, and compare the logs of validation and refit.

    The refit trains as many epochs as were chosen, at the same learning rates. Validation ends when `patience` epochs
    have passed since the best one, and not before. After `plateau` epochs without improvement the rate is a tenth.
    """
    world, part, faults, rates = small(), RecommenderPart("hybrid"), list[str](), list[list[float]]()
    for scenario in ("mixed", "cold"):  # at this rate, the first lowers its rate and the second stops early
        trained = Hybrid(epochs=8, lr=0.05, width=16, plateau=1, patience=3, stop_on=scenario)
        cell, log = _cell(part, world.split, world.content, trained=trained)
        validated = [entry["lr"] for entry in log if f"ndcg@50 {scenario}" in entry]
        values = [entry[f"ndcg@50 {scenario}"] for entry in log if f"ndcg@50 {scenario}" in entry]
        if len(values) != _last_epoch(values, trained):
            faults.append(f"stopping on {scenario}: after epoch {len(values)} of values {values}")
        rates.append([entry["lr"] for entry in log if f"ndcg@50 {scenario}" not in entry])
        if not np.allclose(validated, expected := _rates(values, trained)):
            faults.append(f"stopping on {scenario}: {validated} in validation, not {expected}")
        if rates[-1] != validated[: cell.chosen["epochs"]]:
            faults.append(f"stopping on {scenario}: {validated} in validation, {rates[-1]} in the refit")
    return Finding(not faults, f"{len(faults)} differ", "0 differ", "; ".join(faults) or f"learning rates {rates}")


def _last_epoch(values: Sequence[float], trained: TrainedRecommender) -> int:
    """The epoch after which a training with these validation values ends; one more than known if it goes on."""
    best, best_epoch = -np.inf, 0
    for epoch, value in enumerate(values, 1):
        if value > best:
            best, best_epoch = value, epoch
        if epoch == trained.epochs or epoch - best_epoch >= trained.patience:
            return epoch
    return len(values) + 1


def _rates(values: Sequence[float], trained: TrainedRecommender) -> list[float]:
    """The learning rate of each epoch of a training with these validation values."""
    rate, best, waited, rates = trained.lr, -np.inf, 0, list[float]()
    for value in values:
        rates.append(rate)
        improved = value > best * (1 + _BETTER) if best > 0 else value > best
        best, waited = (value, 0) if improved else (best, waited + 1)
        if waited > trained.plateau:
            rate, waited = rate / 10, 0
    return rates


def train_statistics(part: RecommenderPart) -> Finding:
    """Run a cell again with other vectors for items outside train, and require equal hot lists.

    Refuses a scaling or a mean over the whole catalogue. Nothing to check for recommenders without content, and for
    recommenders that train on the whole catalogue by their setting `targets`, as in the paper.
    """
    recommender = part.short
    if not recommender.uses_content or getattr(recommender, "targets", "train") == "catalogue":
        return nothing_to_check("it reads no vectors, or those of the whole catalogue by its settings")
    world = small()
    clean, _ = _cell(part, world.split, world.content, validated=False)
    other, _ = _cell(part, world.split, world.other_cold, validated=False)
    equal = _equal(clean, other, "hot")
    return Finding(equal, "equal" if equal else "different hot lists", "equal")


def _cell(
    part: RecommenderPart,
    split: Split,
    content: Content,
    validated: bool = True,
    trained: TrainedRecommender | None = None,
) -> tuple[Cell, list[dict[str, Any]]]:
    """A cell of the recommender, by default the part's with few epochs, and the logs of its trainings without times.

    Unless `validated`, a trained recommender trains all epochs, because cold vectors may decide when to stop.
    """
    recommender = trained or part.short
    if not validated and isinstance(recommender, TrainedRecommender):
        recommender = replace(recommender, stop_on="nothing")
    experiment = Experiment(
        split=split.digest, representation=_representation() if recommender.uses_content else None, control=REAL,
        artists=None, recommender=part.name, settings=asdict(recommender), version=recommender.version,
        label=part.name, seed=SEED, depth=_DEPTH, cold_candidates="tested",
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        cell = run_cell(experiment, split, content, Workspace(Path(folder)))
        lines = [line for path in sorted(Path(folder).rglob("log.jsonl")) for line in path.read_text().splitlines()]
    log = [{name: value for name, value in json.loads(line).items() if name != "seconds"} for line in lines]
    return cell, log


def _representation() -> Representation:
    return Representation("planted", (Source("planted", "planted"),))


def _equal(cell: Cell, other: Cell, scenario: Scenario) -> bool:
    """Whether two cells have the same users, items and scores, to the bit."""
    if (scenario in cell.lists) != (scenario in other.lists):
        return False
    if scenario not in cell.lists:
        return True
    stored, again = cell.lists[scenario], other.lists[scenario]
    return all(_same(getattr(stored, name), getattr(again, name)) for name in ("users", "items", "scores"))


def _same(values: Array, others: Array) -> bool:
    return values.shape == others.shape and values.tobytes() == others.tobytes()


def _rotated(pairs: Interactions, train: Interactions) -> Interactions:
    """The pairs with each item replaced by the next of its part, except where that gives a pair of train."""
    following = np.arange(pairs.n_items)
    following[pairs.items] = np.roll(pairs.items, 1)
    item = following[pairs.item]
    known = np.isin(pairs.user * pairs.n_items + item, train.user * train.n_items + train.item)
    item = np.where(known, pairs.item, item)
    frame = pairs.frame().with_columns(item=_series(item)).unique(["user", "item"], keep="first")
    return Interactions.of(frame, pairs.n_users, pairs.n_items)


def _series(rows: Int[Array, "n"]) -> pl.Series:
    return pl.Series("item", rows)

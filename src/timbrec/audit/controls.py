"""Controls: whether they rank like chance, each against its own null distribution, not against the spread of users."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from timbrec import catalog
from timbrec.audit.audited import SEED, Audited, sample
from timbrec.audit.finding import Finding, nothing_to_check
from timbrec.audit.relabelling import METRICS, familywise, permutations, relabelled, users_at_most
from timbrec.data.split import Task
from timbrec.metrics.shared.base import Metric
from timbrec.protocols import Content
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import rank
from timbrec.recommenders import recommender
from timbrec.study.controls import shuffled
from timbrec.study.experiment import Experiment
from timbrec.types import Array, Float, Int

LEVEL = 0.002  # of each of the two checks; measurements/audit_false_alarms.py counts the clean runs it refuses
REPLICATES, REFITS = 1_000, 50
_HOT_USERS = 500


def controls_cold(audited: Audited) -> Finding:
    """Compare all cold control cells of the run with chance, by a single p value over all their metrics.

    Cells of the same control and seed share their random numbers, whatever their encoder and recommender, so they are
    relabelled together; all other cells are relabelled separately.
    """
    groups = groupby(sorted(filter(_is_control, audited.experiments), key=_dealt), key=_dealt)
    controls = [control for number, (_, cells) in enumerate(groups) for control in _cold(audited, list(cells), number)]
    if not controls:
        return nothing_to_check("no control ranks cold items in this run")
    observed = np.concatenate([control.observed for control in controls])
    null = np.concatenate([control.null for control in controls], 1)
    p, worst = familywise(observed, null)
    cells, tests = len(controls), len(controls[0].observed)
    name = f"{controls[worst // tests].name} {_metrics(audited)[worst % tests].label}"
    mean, deviation = null[:, worst].mean(), null[:, worst].std()
    detail = f"{cells} control cells; farthest out: {name} {observed[worst]:.4f}, null {mean:.4f} ± {deviation:.4f}"
    return Finding(p >= LEVEL, f"p = {p:.4f}", f"at least {LEVEL}", detail)


def controls_hot(audited: Audited) -> Finding:
    """Compare shuffled controls of untrained recommenders with 50 other shuffles, and these with exact chance."""
    shuffles = (cell for cell in audited.experiments if cell.control == "shuffled" and _is_untrained(cell))
    cells = sorted(shuffles, key=lambda cell: (cell.encoder or "", cell.label))
    groups = [list(group) for _, group in groupby(cells, key=lambda cell: (cell.encoder, cell.label))]
    tests = [test for group in groups for test in _hot(audited, group)]
    if not tests:
        return nothing_to_check("no untrained recommender has a shuffled control in this run")
    worst = min(tests, key=lambda test: test.p)
    p = min(worst.p * len(tests), 1.0)  # Bonferroni's correction for the smallest of many
    detail = f"{len(tests)} comparisons with {REFITS} refits; farthest out: {worst.name}"
    return Finding(p >= LEVEL, f"p = {p:.4f}", f"at least {LEVEL}", detail)


@dataclass(frozen=True, eq=False)
class _Control:
    """The metrics of a control cell in cold start, and their null distribution."""

    name: str
    observed: Float[Array, "tests"]
    null: Float[Array, "replicates tests"]


@dataclass(frozen=True)
class _Test:
    name: str
    p: float


def _is_control(experiment: Experiment) -> bool:
    """Whether chance is expected. A baseline may read more than vectors (artists), which shuffling leaves intact."""
    kind = catalog.load("recommenders", experiment.recommender)
    return experiment.recommender == "random" or (experiment.control != "real" and not kind.baseline)


def _is_untrained(experiment: Experiment) -> bool:
    """Whether chance is expected in hot start. A trained recommender learns tracks from shuffled vectors too."""
    kind = catalog.load("recommenders", experiment.recommender)
    return not kind.validates and not kind.baseline


def _dealt(experiment: Experiment) -> tuple[str, int]:
    return "random" if experiment.recommender == "random" else experiment.control, experiment.seed


def _metrics(audited: Audited) -> list[Metric]:
    return [catalog.load("metrics", name)(k) for name in METRICS for k in audited.config.k]


def _cold(audited: Audited, experiments: list[Experiment], number: int) -> Iterator[_Control]:
    labels = None
    for experiment, task, items, _ in audited.lists(experiments, "cold"):
        if labels is None:
            labels = permutations(task, REPLICATES, [SEED, number])
        places = sample(len(task.users), users_at_most(len(task.candidates)))
        observed = _values(audited, items[places], task, task.users[places])
        null = relabelled(items[places], task.users[places], task, audited.config.k, labels)
        yield _Control(_name(experiment), observed, null)


def _hot(audited: Audited, experiments: list[Experiment]) -> Iterator[_Test]:
    """Yield the tests of every stored shuffle against the refits, and of the refits' mean against chance."""
    from scipy.stats import t as student

    train = audited.run.split.test.train
    task = audited.task(experiments[0], "hot")
    if not len(task.users):
        return
    places = sample(len(task.users), _HOT_USERS)
    users = task.users[places]
    refits = _refits(audited, experiments[0], task, users)
    mean, deviation = refits.mean(0), refits.std(0, ddof=1)

    def tests(what: str, values: Float[Array, "tests"], variance: float) -> Iterator[_Test]:
        for metric, value, centre, spread in zip(_metrics(audited), values, mean, deviation, strict=True):
            if spread > 1e-9:
                p = 2 * student.sf(abs(value - centre) / (spread * np.sqrt(variance)), REFITS - 1)
                yield _Test(f"{what} {metric.label} {value:.4f}, refits {centre:.4f} ± {spread:.4f}", float(p))

    for experiment, _, items, _ in audited.lists(experiments, "hot"):
        values = _values(audited, items[places], task, users)
        yield from tests(_name(experiment), values, 1 + 1 / REFITS)
    judged = outcome(np.full((len(users), max(audited.config.k)), -1), task, train, users)
    chance = [np.mean(metric.chance(judged)) for metric in _metrics(audited)]  # type: ignore[arg-type]  # all have one
    yield from tests("chance of", np.array(chance), 1 / REFITS)


def _refits(
    audited: Audited, experiment: Experiment, task: Task, users: Int[Array, "users"]
) -> Float[Array, "refits tests"]:
    """The metrics of these users under other shuffles. Only their own plays are fitted, which bounds the cost."""
    train = audited.run.split.test.train
    own = train.where(np.isin(train.user, users))
    assert experiment.representation is not None  # a control has one
    vectors = audited.inputs.vectors(experiment.representation)
    untrained = recommender(experiment.recommender, experiment.settings)
    rows = []
    for seed in range(SEED, SEED + REFITS):
        content = Content(shuffled(vectors, seed), audited.inputs.artist_rows)
        scorer = untrained.fit(own, content, None, np.random.default_rng(seed))
        lists = rank(scorer, users, task.candidates, own, max(audited.config.k), seed=seed)
        rows.append(_values(audited, lists.items, task, users))
    return np.array(rows)


def _values(
    audited: Audited, items: Int[Array, "users depth"], task: Task, users: Int[Array, "users"]
) -> Float[Array, "tests"]:
    """Means over these users of HitRate, Recall and NDCG at every k of the run."""
    judged = outcome(items, task, audited.run.split.test.train, users)
    return np.array([metric.value(judged) for metric in _metrics(audited)])


def _name(experiment: Experiment) -> str:
    parts = [experiment.encoder, experiment.label, experiment.control, f"seed {experiment.seed}"]
    return " ".join(part for part in parts if part)

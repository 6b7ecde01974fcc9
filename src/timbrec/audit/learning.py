"""Recommenders that are trained, on small worlds whose answer is known: do they find it, by the vectors alone?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from timbrec.audit.audited import SEED
from timbrec.audit.finding import Finding
from timbrec.audit.planted import planted_ceiling, planted_dial, planted_order, planted_silence
from timbrec.audit.relabelling import familywise, permutations, relabelled
from timbrec.audit.trial import DIALS, METRIC, QUALITIES, Trial
from timbrec.metrics.ndcg import NDCG
from timbrec.protocols import Content, Recommender, Scorer
from timbrec.ranking.outcomes import outcome
from timbrec.recommenders.bert4rec import BERT4Rec
from timbrec.recommenders.contrastive import Contrastive
from timbrec.recommenders.hybrid import Hybrid
from timbrec.recommenders.shallow import ShallowNet
from timbrec.study.controls import shuffled
from timbrec.study.fitting import answer

LEVEL, REPLICATES = 0.002, 1_000  # as of the controls of a run

# Small and fast; how well the defaults do stands in docs/recommenders.md.
LEARNERS: dict[str, Recommender] = {
    "shallow": ShallowNet(epochs=5, batch=2_000, width=32),
    "contrastive": Contrastive(epochs=15, batch=100, width=64, factors=64, elsa_epochs=5),
    "hybrid": Hybrid(epochs=6, batch=64, width=64),
    "bert4rec": BERT4Rec(epochs=12, lr=1e-3, width=32, feed_forward=64, length=40),
}


@dataclass(frozen=True, eq=False)
class Lesson(Trial):
    """A trial in which everything is trained once, for the epochs that are set, and asked about the test month."""

    recommenders: Mapping[str, Recommender] = field(default_factory=lambda: LEARNERS)
    size: int = 400
    qualities: tuple[float, ...] = (0.3, 1.0)
    dials: tuple[float, ...] = (0.0, 1.0)

    def scorer(self, name: str, dial: float, quality: float) -> Scorer:
        """The recommender trained on a world with the vectors of an encoder."""
        key = (name, dial, quality)
        if key not in self._scorers:
            self._scorers[key] = self.trained(name, dial, Content(self.vectors(dial, quality)))
        return self._scorers[key]

    def trained(self, name: str, dial: float, content: Content) -> Scorer:
        """The recommender trained on a world with this content."""
        train = self.worlds[dial].split.test.train
        return self.recommenders[name].fit(train, content, None, np.random.default_rng(SEED))


def planted_trained(trial: Trial) -> Finding:
    """What is trained gives the known answers too: order, dial, ceiling and silence as of the recommenders on trial,
    and nothing but chance of cold tracks whose vectors were dealt at random."""
    lesson = Lesson(encoders=trial.encoders)
    checks = {
        "order": planted_order, "dial": planted_dial, "ceiling": planted_ceiling, "silence": planted_silence,
        "shuffled": shuffled_cold,
    }  # fmt: skip
    found = {name: check(lesson) for name, check in checks.items()}
    failed = [name for name, finding in found.items() if not finding.passed]
    detail = "; ".join(f"{name}: {finding.figure} ({finding.detail})" for name, finding in found.items())
    return Finding(not failed, f"{len(found) - len(failed)} of {len(found)} hold", "all", detail)


def shuffled_cold(lesson: Lesson) -> Finding:
    """Trained on the best encoder's vectors dealt to the tracks at random, all rank cold tracks like chance.

    The null is that of a run's controls: the cold tracks relabelled at random in the lists, for all recommenders alike.
    """
    fold = lesson.worlds[DIALS[-1]].split.test
    task = fold.task("cold")
    content = Content(shuffled(lesson.vectors(DIALS[-1], QUALITIES[-1]), SEED))
    labels, ks = permutations(task, REPLICATES, [SEED]), (10, METRIC.k)
    observed, null = [], []
    for name in lesson.recommenders:
        lists = answer(lesson.trained(name, DIALS[-1], content), task, fold, METRIC.k, seed=SEED)
        found = outcome(lists.items, task, fold.train)
        observed.append([NDCG(k).value(found) for k in ks])
        null.append(relabelled(lists.items, task.users, task, ks, labels)[:, -len(ks) :])
    p, worst = familywise(np.concatenate(observed), np.concatenate(null, 1))
    where = f"farthest: {list(lesson.recommenders)[worst // len(ks)]} NDCG@{ks[worst % len(ks)]}"
    return Finding(p >= LEVEL, f"p = {p:.3f}", f"at least {LEVEL}", where)

"""Trained recommenders on small worlds with a known answer: they find it, and through the vectors alone."""

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

LEVEL, REPLICATES = 0.002, 1_000  # the same as for the controls of a run

# Small and fast; docs/recommender-measurements.md has the accuracy of the defaults.
LEARNERS: dict[str, Recommender] = {
    "shallow": ShallowNet(epochs=5, batch=2_000, width=32),
    "contrastive": Contrastive(epochs=15, batch=100, width=64, factors=64, elsa_epochs=5),
    "hybrid": Hybrid(epochs=6, batch=64, width=64),
    "bert4rec": BERT4Rec(epochs=6, lr=3e-3, width=32, feed_forward=64, length=40),
}


@dataclass(frozen=True, eq=False)
class Lesson(Trial):
    """A trial of trained recommenders. Each trains all of its epochs, once per world and encoder."""

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
    """Check order, dial, ceiling and silence of trained recommenders.

    Cold tracks with shuffled vectors are ranked like chance.
    """
    lesson = Lesson(encoders=trial.encoders)
    checks = {
        "order": planted_order, "dial": planted_dial, "ceiling": planted_ceiling, "silence": planted_silence,
        "shuffled": shuffled_cold,
    }  # fmt: skip
    findings = {name: check(lesson) for name, check in checks.items()}
    failed = [name for name, finding in findings.items() if not finding.passed]
    detail = "; ".join(f"{name}: {finding.figure} ({finding.detail})" for name, finding in findings.items())
    return Finding(not failed, f"{len(findings) - len(failed)} of {len(findings)} hold", "all", detail)


def shuffled_cold(lesson: Lesson) -> Finding:
    """Compare cold lists with chance after training on shuffled vectors of the best encoder.

    The null distribution is the same as for the controls of a run: cold tracks of the lists are relabelled at random,
    in all recommenders alike.
    """
    fold = lesson.worlds[DIALS[-1]].split.test
    task = fold.task("cold")
    content = Content(shuffled(lesson.vectors(DIALS[-1], QUALITIES[-1]), SEED))
    labels, ks = permutations(task, REPLICATES, [SEED]), (10, METRIC.k)
    observed, null = [], []
    for name in lesson.recommenders:
        lists = answer(lesson.trained(name, DIALS[-1], content), task, fold, METRIC.k, seed=SEED)
        outcomes = outcome(lists.items, task, fold.train)
        observed.append([NDCG(k).value(outcomes) for k in ks])
        null.append(relabelled(lists.items, task.users, task, ks, labels)[:, -len(ks) :])
    p, worst = familywise(np.concatenate(observed), np.concatenate(null, 1))
    where = f"farthest: {list(lesson.recommenders)[worst // len(ks)]} NDCG@{ks[worst % len(ks)]}"
    return Finding(p >= LEVEL, f"p = {p:.3f}", f"at least {LEVEL}", where)

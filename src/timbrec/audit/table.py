"""The table of checks, and the two calls that go through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from timbrec.audit.audited import Audited
from timbrec.audit.controls import controls_cold, controls_hot
from timbrec.audit.encoders import mean_not_sum, pooled_over_time
from timbrec.audit.equivariance import relabelling
from timbrec.audit.figures import metrics_recomputed
from timbrec.audit.finding import Finding
from timbrec.audit.learning import planted_trained
from timbrec.audit.lists import lists_clean
from timbrec.audit.planted import planted_ceiling, planted_dial, planted_order, planted_silence
from timbrec.audit.profiles import profiles_own_rows
from timbrec.audit.splits import split_clean
from timbrec.audit.trained import (
    frozen_stays_frozen,
    negatives_cover_all_users,
    served_is_trained,
    validation_ranks,
)
from timbrec.audit.trial import Trial
from timbrec.protocols import Recommender
from timbrec.study.inputs import Inputs
from timbrec.study.runs import Run
from timbrec.types import Progress


@dataclass(frozen=True)
class Check:
    """A check by name: the numbers of the published defects it refuses, what it proves, and how."""

    name: str
    defects: str
    proves: str
    of_run: Callable[[Audited], Finding] | None = None
    of_code: Callable[[Trial], Finding] | None = None


CHECKS = (
    Check("split-clean", "", "no test pair, cold item or later play is in train", split_clean),
    Check("lists-clean", "", "lists hold unseen candidates alone, each once, best first, in full", lists_clean),
    Check("metrics-recomputed", "2", "every figure is its label's formula at its label's k", metrics_recomputed),
    Check("profiles-own-rows", "1", "profiles are made of the tracks their users played", profiles_own_rows),
    Check("controls-cold", "1, 2", "vectors of nothing rank cold tracks like chance", controls_cold),
    Check("controls-hot", "", "shuffled vectors, untrained, rank hot tracks like chance", controls_hot),
    Check("planted-order", "1", "better encoders come out better, hot and cold", of_code=planted_order),
    Check("planted-dial", "1", "the more taste decides, the better the figures", of_code=planted_dial),
    Check("planted-ceiling", "1", "figures lie between chance and the possible", of_code=planted_ceiling),
    Check("planted-silence", "", "where plays are uniform, figures are chance", of_code=planted_silence),
    Check("planted-trained", "", "trained recommenders find what is there and no more", of_code=planted_trained),
    Check("relabelling", "1", "no list depends on the numbering of users and tracks", of_code=relabelling),
    Check("pooled-over-time", "3", "tracks are pooled over time, not over channels", of_code=pooled_over_time),
    Check("mean-not-sum", "11", "a vector does not grow with its track's length", of_code=mean_not_sum),
    Check("negatives-cover-all", "4", "any user may stand as a negative", of_code=negatives_cover_all_users),
    Check("frozen-stays-frozen", "5", "training moves the tables it says it learns", of_code=frozen_stays_frozen),
    Check("served-is-trained", "7", "vectors are served as they were trained", of_code=served_is_trained),
    Check("validation-ranks", "9", "training stops on rankings for users with histories", of_code=validation_ranks),
)


def audit_run(run: Run, inputs: Inputs, progress: Progress | None = None) -> list[Finding]:
    """What the checks say of a run, in the order of the table; `inputs` are those it was made from."""
    audited = Audited(run, inputs)
    return _gone_through([(check, check.of_run, audited) for check in CHECKS if check.of_run], progress)


def audit_code(
    progress: Progress | None = None, recommenders: Mapping[str, Recommender] | None = None
) -> list[Finding]:
    """What the checks say of the running code on planted worlds; by default of KNN on centred vectors."""
    trial = Trial() if recommenders is None else Trial(recommenders)
    return _gone_through([(check, check.of_code, trial) for check in CHECKS if check.of_code], progress)


def _gone_through(checks: list[tuple[Check, Any, Any]], progress: Progress | None) -> list[Finding]:
    findings = []
    for done, (check, function, subject) in enumerate(checks):
        if progress:
            progress(f"audit: {check.name}", done, len(checks))
        found = function(subject)
        findings.append(replace(found, name=check.name, defects=check.defects))
    if progress:
        progress("audit", len(checks), len(checks))
    return findings

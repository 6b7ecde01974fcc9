"""Planted worlds: recommenders reach the known answer, no more and no less."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from timbrec.audit.finding import Finding
from timbrec.audit.trial import DIALS, Trial
from timbrec.data.split import Scenario

APART = 5.0  # standard errors between neighbours
NEAR = 4.0  # standard errors from chance that still count as chance
SHARE = 0.2  # of the oracle's advantage over chance

_SCENARIOS: tuple[Scenario, ...] = ("hot", "cold")


def planted_order(trial: Trial) -> Finding:
    """Compare encoders of ascending quality: a better encoder has better figures, hot and cold."""
    gaps = []
    for name, scenario in _cases(trial):
        answers = [trial.answer(name, scenario, quality=quality) for quality in trial.qualities]
        gaps += [(better.gap(worse), f"{name} {scenario}") for worse, better in pairwise(answers)]
    gap, where = min(gaps)
    return Finding(
        gap >= APART, f"{gap:.1f} standard errors", f"at least {APART} between neighbours", f"closest: {where}"
    )


def planted_dial(trial: Trial) -> Finding:
    """Compare worlds in which taste decides ever more: the best encoder has ever better figures."""
    rises = []
    for name, scenario in _cases(trial):
        answers = [trial.answer(name, scenario, dial=dial) for dial in trial.dials]
        for less, more in pairwise(answers):
            error = (less.error**2 + more.error**2) ** 0.5
            rises.append(((more.value - less.value) / error, f"{name} {scenario}"))
    rise, where = min(rises)
    return Finding(rise >= NEAR, f"{rise:.1f} standard errors", f"at least {NEAR} a step", f"smallest step: {where}")


def planted_ceiling(trial: Trial) -> Finding:
    """Compare the best encoder with an oracle: a fair share of its advantage over chance, and not more than all of it.

    More than the oracle would be a leak.
    """
    shares = []
    for name, scenario in _cases(trial):
        answer = trial.answer(name, scenario)
        oracle = trial.judged(trial.worlds[DIALS[-1]].oracle(), scenario, DIALS[-1])
        share = (answer.value - answer.chance) / (oracle.value - oracle.chance)
        shares.append((share, f"{name} {scenario}: {answer.value:.3f} of the oracle's {oracle.value:.3f}"))
    (low, _), (high, _) = min(shares), max(shares)
    detail = "; ".join(text for _, text in shares)
    return Finding(low >= SHARE and high <= 1, f"{low:.0%} to {high:.0%}", f"{SHARE:.0%} to 100%", detail)


def planted_silence(trial: Trial) -> Finding:
    """Compare the best encoder with chance in a world of uniform plays."""
    off = []
    for name, scenario in _cases(trial):
        answer = trial.answer(name, scenario, dial=0.0)
        off.append((abs(answer.value - answer.chance) / answer.error, f"{name} {scenario}"))
    most, where = max(off)
    return Finding(most <= NEAR, f"{most:.1f} standard errors off chance", f"at most {NEAR}", f"farthest: {where}")


def _cases(trial: Trial) -> Iterator[tuple[str, Scenario]]:
    return ((name, scenario) for name in trial.recommenders for scenario in _SCENARIOS)

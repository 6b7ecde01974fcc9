"""Is the split what every figure rests on?"""

from __future__ import annotations

import numpy as np

from timbrec.audit.audited import Audited
from timbrec.audit.finding import Finding
from timbrec.data.interactions import Interactions
from timbrec.data.split import Fold, Split
from timbrec.types import Array, Int


def split_clean(audited: Audited) -> Finding:
    """The scenarios as sets of pairs: disjoint, with users from train, and on their side of T where plays are dated."""
    faults = faults_of(audited.run.split)
    detail = ", ".join(f"{what}: {count:,}" for what, count in faults.items() if count)
    return Finding(not any(faults.values()), f"{sum(faults.values()):,} faults", "none", detail)


def faults_of(split: Split) -> dict[str, int]:
    """How many pairs of the split break which rule."""
    found: dict[str, int] = {}
    for name, fold in (("validation", split.validation), ("test", split.test)):
        found |= {f"{name}: {what}": count for what, count in _faults(fold).items()}
    if split.protocol != "tamm2026":  # there, validation is a part of the test month
        seen = _keys(split.validation.train, split.validation.hot, split.validation.cold)
        tested = _keys(split.test.hot, split.test.cold)
        found["test pairs that were there to validate on"] = len(np.intersect1d(seen, tested))
        found["validation pairs first played with or after a test pair"] = _late(split)
    return found


def _faults(fold: Fold) -> dict[str, int]:
    later = _keys(fold.hot, fold.cold)
    users = np.union1d(fold.hot.user, fold.cold.user)
    return {
        "pairs that are also in train": len(np.intersect1d(_keys(fold.train), later)),
        "pairs that are there twice": len(later) - len(np.unique(later)),
        "hot items that are not in train": len(np.setdiff1d(fold.hot.item, fold.train.item)),
        "cold items that are in train": len(np.intersect1d(fold.cold.item, fold.train.item)),
        "users without train": len(np.setdiff1d(users, fold.train.user)),
        "pairs first played before train ends": _not_after(fold.train, fold.hot, fold.cold),
    }


def _keys(*parts: Interactions) -> Int[Array, "n"]:
    """One number per pair."""
    return np.concatenate([part.user * part.n_items + part.item for part in parts])


def _not_after(earlier: Interactions, *later: Interactions) -> int:
    """How many later pairs were first played before, or with, the last first play of the earlier part."""
    if earlier.first is None or not len(earlier):
        return 0
    last = earlier.first.max()
    return sum(int((part.first <= last).sum()) for part in later if part.first is not None)


def _late(split: Split) -> int:
    """Validation pairs first played at or after the first test pair."""
    tested = [part.first.min() for part in (split.test.hot, split.test.cold) if part.first is not None and len(part)]
    parts = (split.validation.hot, split.validation.cold)
    return sum(int((part.first >= min(tested)).sum()) for part in parts if part.first is not None and tested)

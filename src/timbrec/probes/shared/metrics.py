"""Metrics of predictions, from scikit-learn and mir_eval, and the influence of each test track on the primary one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from timbrec.types import Array, Bool, Float, Int

if TYPE_CHECKING:
    from timbrec.probes.shared.labels import Kind

PRIMARY: dict[str, str] = {"classes": "accuracy", "tags": "roc-auc", "numbers": "r2", "key": "weighted key score"}
RANGES: dict[str, tuple[float, float]] = {"numbers": (-np.inf, 1.0)}  # of the primary metric; otherwise 0 to 1
TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")  # as mir_eval spells them
KEYS = tuple(f"{tonic} {mode}" for tonic, mode in product(TONICS, ("major", "minor")))


def metrics(kind: Kind, truth: Array, predicted: Float[Array, "n outputs"], names: Sequence[str]) -> dict[str, float]:
    """The values of all metrics of a kind of label, the primary one first.

    `predicted` are scores of classes, keys or tags, or numbers. Accuracy and balanced accuracy (the mean recall of the
    classes in `truth`); macro ROC-AUC and macro PR-AUC (average precision) over tags that vary in `truth`; R2, the mean
    over outputs and, with several outputs, each one's; mir_eval's weighted key score and the share of exact keys.
    """
    from sklearn.metrics import accuracy_score, r2_score, recall_score

    if kind == "tags":
        return {"roc-auc": float(areas(truth, predicted).mean()), "pr-auc": float(precisions(truth, predicted).mean())}
    if kind == "numbers":
        each = np.atleast_1d(r2_score(truth, predicted, multioutput="raw_values"))
        parts = {f"r2 {name}": float(value) for name, value in zip(names, each, strict=True)} if len(names) > 1 else {}
        return {"r2": float(each.mean())} | parts
    chosen = predicted.argmax(1)
    if kind == "key":
        exact = float(accuracy_score(truth, chosen))
        return {PRIMARY["key"]: float(key_scores()[truth, chosen].mean()), "accuracy": exact}
    balanced = recall_score(truth, chosen, labels=np.unique(truth), average="macro", zero_division=0)
    return {"accuracy": float(accuracy_score(truth, chosen)), "balanced accuracy": float(balanced)}


def primary(kind: Kind, truth: Array, predicted: Float[Array, "n outputs"]) -> float:
    """The primary metric alone, fast: areas come from ranks (the statistic of Mann & Whitney)."""
    from scipy.stats import rankdata

    if kind == "tags":
        columns = truth.any(0) & ~truth.all(0)
        positive, ranks = truth[:, columns], rankdata(predicted[:, columns], axis=0)
        counts = positive.sum(0)
        each = ((ranks * positive).sum(0) - counts * (counts + 1) / 2) / (counts * (len(truth) - counts))
        return float(each.mean()) if columns.any() else 0.5
    if kind == "numbers":
        return float((1 - ((truth - predicted) ** 2).sum(0) / ((truth - truth.mean(0)) ** 2).sum(0)).mean())
    chosen = predicted.argmax(1)
    return float(key_scores()[truth, chosen].mean() if kind == "key" else (truth == chosen).mean())


def areas(truth: Bool[Array, "n labels"], scores: Float[Array, "n labels"]) -> Float[Array, "m"]:
    """The ROC-AUC of each tag that some tracks have and some lack."""
    from sklearn.metrics import roc_auc_score

    columns = np.flatnonzero(truth.any(0) & ~truth.all(0))
    return np.array([roc_auc_score(truth[:, column], scores[:, column]) for column in columns])


def precisions(truth: Bool[Array, "n labels"], scores: Float[Array, "n labels"]) -> Float[Array, "m"]:
    """The average precision of each tag that some tracks have and some lack."""
    from sklearn.metrics import average_precision_score

    columns = np.flatnonzero(truth.any(0) & ~truth.all(0))
    return np.array([average_precision_score(truth[:, column], scores[:, column]) for column in columns])


@cache
def key_scores() -> Float[Array, "keys keys"]:
    """The weighted key score of mir_eval (MIREX) for a true key (row) and an estimated one (column), as in KEYS."""
    from mir_eval.key import weighted_score

    return np.array([[weighted_score(true, estimated) for estimated in KEYS] for true in KEYS])


def key_number(name: str) -> int | None:
    """The place in KEYS of a key such as "D# minor", "Eb:maj" or "a minor"; None for any other name."""
    parts = name.replace(":", " ").split()
    if len(parts) != 2:
        return None
    tonic, mode = parts[0][:1].upper() + parts[0][1:].lower(), parts[1].lower()
    spelled = {"Db": "C#", "D#": "Eb", "Fb": "E", "E#": "F", "Gb": "F#", "G#": "Ab", "A#": "Bb", "Cb": "B", "B#": "C"}
    modes = {"maj": "major", "major": "major", "min": "minor", "minor": "minor"}
    key = f"{spelled.get(tonic, tonic)} {modes.get(mode)}"
    return KEYS.index(key) if key in KEYS else None


def influences(kind: Kind, truth: Array, predicted: Float[Array, "n outputs"]) -> Float[Array, "n"]:
    """(n,) the influence of each track on the primary metric; they add up to 0.

    The variance of the metric over test sets is about the sum of squares of the influences. Means have the deviations
    from the mean over n; an AUC has the deviations of its placements (DeLong et al. 1988); R2 is linearised.
    """
    n = len(truth)
    if kind == "tags":
        columns = np.flatnonzero(truth.any(0) & ~truth.all(0))
        return np.mean([_area_influences(truth[:, column], predicted[:, column]) for column in columns], axis=0)
    if kind == "numbers":
        squares, spread = (truth - predicted) ** 2, (truth - truth.mean(0)) ** 2
        error, variance = squares.mean(0), spread.mean(0)
        each = (spread - variance) * error / variance**2 - (squares - error) / variance
        return np.asarray(each.mean(1) / n)
    chosen = predicted.argmax(1)
    each = key_scores()[truth, chosen] if kind == "key" else (truth == chosen).astype(float)
    return np.asarray((each - each.mean()) / n)


def _area_influences(truth: Bool[Array, "n"], scores: Float[Array, "n"]) -> Float[Array, "n"]:
    from scipy.stats import rankdata

    positive, negative = scores[truth], scores[~truth]
    ranks = rankdata(scores)
    above = (ranks[truth] - rankdata(positive)) / len(negative)  # share of negatives below each positive
    below = 1 - (ranks[~truth] - rankdata(negative)) / len(positive)  # share of positives above each negative
    influence = np.empty(len(scores))
    influence[truth] = (above - above.mean()) / len(positive)
    influence[~truth] = (below - below.mean()) / len(negative)
    return influence


def chance(kind: Kind, truth: Array, predicted: Float[Array, "n outputs"]) -> float:
    """The expected primary metric if the predictions were dealt to the tracks at random; 0 for R2."""
    if kind == "tags":
        return 0.5
    if kind == "numbers":
        return 0.0
    k = predicted.shape[1]
    true, guessed = (np.bincount(numbers, minlength=k) / len(truth) for numbers in (truth, predicted.argmax(1)))
    return float(true @ key_scores() @ guessed) if kind == "key" else float(true @ guessed)


def constant(kind: Kind, train: Array, outputs: int, n: int) -> Float[Array, "n outputs"]:
    """The best prediction without vectors: the most frequent class or the best key in train, shares of tags, means."""
    if kind in ("tags", "numbers"):
        return np.tile(train.mean(0, dtype=float), (n, 1))
    counts = np.bincount(train, minlength=outputs)
    scores = counts @ key_scores() if kind == "key" else counts
    return np.tile(scores.astype(float), (n, 1))


def standard_error(influence: Float[Array, "n"], groups: Int[Array, "n"]) -> tuple[float, int]:
    """The standard error of a metric over groups of test tracks that are drawn together, and the number of groups."""
    sums = grouped(influence, groups)
    m = len(sums)
    return float(np.sqrt((sums**2).sum() * m / max(m - 1, 1))), m


def grouped(influence: Float[Array, "n"], groups: Int[Array, "n"]) -> Float[Array, "groups"]:
    """The sums of the influences of the tracks of each group."""
    return np.bincount(np.unique(groups, return_inverse=True)[1], weights=influence)

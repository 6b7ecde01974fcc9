"""Heads: models on top of frozen vectors, with one search budget for every encoder.

A head is tried with each of its settings on the train part; the caller chooses on validation.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from timbrec.types import Array, Float, Float32

if TYPE_CHECKING:
    from timbrec.probes.shared.base import Head
    from timbrec.probes.shared.labels import Kind

PENALTIES = tuple(float(penalty) for penalty in np.logspace(1, -5, 20))  # L2 penalty per track, strong to weak
HIDDEN, EPOCHS, PATIENCE = 512, 60, 6
MLPS = tuple(
    {"learning_rate_init": rate, "alpha": alpha} for rate in (1e-3, 1e-4) for alpha in (1e-4, 1e-2)
)  # settings of scikit-learn's MLP; the number of epochs, up to EPOCHS, is chosen as well
ITERATIONS, TOLERANCE = 1_000, 1e-4

Predictions = list[Array]  # of each of the given vectors
Candidate = tuple[Mapping[str, Any], Predictions]


def settings_of(head: Head) -> dict[str, Any]:
    """All settings of a head that decide its numbers, for the identity of a result."""
    if head == "mlp":
        return {"hidden": HIDDEN, "epochs": EPOCHS, "patience": PATIENCE, "settings": list(MLPS)}
    return {"penalties": list(PENALTIES), "iterations": ITERATIONS, "tolerance": TOLERANCE}


def candidates(
    head: Head,
    kind: Kind,
    vectors: Float32[Array, "n dim"],
    values: Array,
    others: Sequence[Array],
    outputs: int,
    chosen: Mapping[str, Any] | None = None,
    judge: Callable[[Float[Array, "n outputs"]], float] | None = None,
    seed: int = 0,
) -> Iterator[Candidate]:
    """The predictions for `others` of a head with each of its settings, or with the `chosen` one alone.

    `outputs` is the number of classes, keys, tags or numbers. `judge` scores predictions for the first of `others`: the
    MLP keeps the epoch with the best score. Vectors must be standardised.
    """
    if head == "mlp":
        yield from _mlps(kind, vectors, values, others, outputs, chosen, judge, seed)
        return
    penalties = PENALTIES if chosen is None else (chosen["penalty"],)
    solve = {"tags": _tags, "numbers": _numbers}.get(kind, _classes)
    with _quiet():
        for penalty, predictions in zip(penalties, solve(vectors, values, others, penalties, outputs), strict=True):
            yield {"penalty": penalty}, predictions


def _logistic(penalty: float, n: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1 / (penalty * n), tol=TOLERANCE, max_iter=ITERATIONS, warm_start=True)


def _classes(
    vectors: Float32[Array, "n dim"], values: Array, others: Sequence[Array], penalties: Sequence[float], outputs: int
) -> Iterator[Predictions]:
    """Multinomial logistic regression; each setting starts from the solution of the one before."""
    model = _logistic(penalties[0], len(vectors))
    for penalty in penalties:
        model.C = 1 / (penalty * len(vectors))
        model.fit(vectors, values)
        yield [_of_all(model, _class_scores(model, other), outputs) for other in others]


def _class_scores(model: Any, vectors: Array) -> Float[Array, "n present"]:
    """Scores that order the classes as their probabilities do."""
    scores = model.decision_function(vectors)
    return np.asarray(scores if scores.ndim == 2 else np.stack([-scores, scores], 1), np.float64)


def _of_all(model: Any, scores: Float[Array, "n present"], outputs: int) -> Float[Array, "n outputs"]:
    """Scores of all classes; a class without a train track has the lowest."""
    every = np.full((len(scores), outputs), -np.inf)
    every[:, model.classes_] = scores
    return every


def _tags(
    vectors: Float32[Array, "n dim"], values: Array, others: Sequence[Array], penalties: Sequence[float], outputs: int
) -> Iterator[Predictions]:
    """A logistic regression per tag; each setting starts from the solution of the one before."""
    scores = [np.zeros((len(penalties), len(other), outputs), np.float32) for other in others]
    for tag in range(outputs):
        if values[:, tag].all() or not values[:, tag].any():
            continue
        model = _logistic(penalties[0], len(vectors))
        for place, penalty in enumerate(penalties):
            model.C = 1 / (penalty * len(vectors))
            model.fit(vectors, values[:, tag])
            for table, other in zip(scores, others, strict=True):
                table[place, :, tag] = model.decision_function(other)
    for place in range(len(penalties)):
        yield [table[place].astype(np.float64) for table in scores]


def _numbers(
    vectors: Float32[Array, "n dim"], values: Array, others: Sequence[Array], penalties: Sequence[float], outputs: int
) -> Iterator[Predictions]:
    """Ridge regression, in closed form."""
    from sklearn.linear_model import Ridge

    exact = vectors.astype(np.float64)
    for penalty in penalties:
        model = Ridge(alpha=penalty * len(vectors)).fit(exact, values)
        yield [model.predict(other.astype(np.float64)).reshape(len(other), outputs) for other in others]


def _mlps(
    kind: Kind, vectors: Float32[Array, "n dim"], values: Array, others: Sequence[Array], outputs: int,
    chosen: Mapping[str, Any] | None, judge: Callable[[Array], float] | None, seed: int,
) -> Iterator[Candidate]:  # fmt: skip
    mean, scale = (values.mean(0), values.std(0)) if kind == "numbers" else (0.0, 1.0)
    settings = MLPS if chosen is None else [{name: chosen[name] for name in MLPS[0]}]
    for setting in settings:
        model = _mlp(kind, setting, seed)
        best: tuple[float, int, Predictions] | None = None
        for epoch in range(1, (EPOCHS if chosen is None else chosen["epochs"]) + 1):
            _one_epoch(model, kind, vectors, (values - mean) / scale if kind == "numbers" else values, outputs)
            predictions = [_predicted(model, kind, other, outputs) * scale + mean for other in others]
            score = judge(predictions[0]) if judge is not None else float(epoch)
            if best is None or score > best[0]:
                best = score, epoch, predictions
            elif epoch - best[1] >= PATIENCE:
                break
        assert best is not None  # at least one epoch ran
        yield setting | {"epochs": best[1]}, best[2]


def _mlp(kind: Kind, setting: Mapping[str, float], seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    model = MLPRegressor if kind == "numbers" else MLPClassifier
    return model(hidden_layer_sizes=(HIDDEN,), random_state=seed, **setting)


def _one_epoch(model: Any, kind: Kind, vectors: Array, values: Array, outputs: int) -> None:
    model.batch_size = int(np.clip(len(vectors) // 20, 16, 256))  # at least 20 steps an epoch
    if kind == "numbers":
        model.partial_fit(vectors, values.astype(np.float32).squeeze(1) if outputs == 1 else values.astype(np.float32))
    else:
        model.partial_fit(vectors, values.astype(int) if kind == "tags" else values, classes=np.arange(outputs))


def _predicted(model: Any, kind: Kind, vectors: Array, outputs: int) -> Float[Array, "n outputs"]:
    values = model.predict(vectors) if kind == "numbers" else model.predict_proba(vectors)
    return np.asarray(values, np.float64).reshape(len(vectors), outputs)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without scikit-learn's warnings of settings that stop at ITERATIONS: validation judges them as they are."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield

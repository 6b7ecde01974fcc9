"""Time of a linear probe with its search, as a ratio to scikit-learn's own fits of the same settings.

10,000 tracks x 768 dimensions, 10 classes, 20 settings, the same solver and tolerance; then 50 labels a track, reported
by the ratio alone. Both sides read float32 vectors in memory. `--tracks` and `--dim` make it smaller.
"""

from __future__ import annotations

import argparse
import warnings
from time import process_time

import numpy as np
import polars as pl
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from timbrec.probes.shared import heads
from timbrec.probes.shared.labels import Targets
from timbrec.probes.shared.scoring import score


def targets(kind: str, n: int, labels: int, vectors: np.ndarray) -> Targets:
    """Labels that a direction of the vectors decides with noise; six, two and two tenths of the tracks."""
    rng = np.random.default_rng(1)
    scores = vectors @ rng.standard_normal((vectors.shape[1], labels)) / vectors.shape[1] ** 0.5
    scores += rng.gumbel(size=scores.shape)
    values = scores.argmax(1) if kind == "classes" else scores > np.quantile(scores, 0.95, axis=0)
    part = np.repeat([0, 1, 2], [6 * n // 10, 2 * n // 10, n - 8 * n // 10])
    ids = pl.Series("id", [str(row) for row in range(n)])
    return Targets(ids, kind, values, tuple(map(str, range(labels))), part, np.arange(n))  # type: ignore[arg-type]


def plain(chosen: Targets, vectors: np.ndarray) -> None:
    """Scikit-learn's fits of all settings, each from zero."""
    rows = chosen.rows("train")
    train = (vectors[rows] - vectors[rows].mean(0)) / vectors[rows].std(0)
    columns = [chosen.values[rows]] if chosen.kind == "classes" else list(chosen.values[rows].T)
    for penalty in heads.PENALTIES:
        for column in columns:
            model = LogisticRegression(C=1 / (penalty * len(rows)), tol=heads.TOLERANCE, max_iter=heads.ITERATIONS)
            model.fit(train, column)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--kinds", nargs="*", default=["classes", "tags"])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.default_rng(0)
    spread = np.geomspace(3, 0.1, arguments.dim)
    vectors = (rng.standard_normal((arguments.tracks, arguments.dim)) * spread).astype(np.float32)
    for kind in arguments.kinds:
        chosen = targets(kind, arguments.tracks, 10 if kind == "classes" else 50, vectors)
        times = []
        for run in (score, plain):
            start = process_time()
            run(chosen, vectors)
            times.append(process_time() - start)
        print(
            f"{kind}: {times[0]:.1f} s of one processor, scikit-learn's fits {times[1]:.1f} s: "
            f"ratio {times[0] / times[1]:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""Are tracks pooled over time, and by the mean?"""

from __future__ import annotations

import numpy as np

from timbrec.audit.audited import SEED
from timbrec.audit.finding import Finding
from timbrec.audit.trial import Trial
from timbrec.embed import length_invariance, pool
from timbrec.protocols import Encoder, FrameEncoder
from timbrec.types import Array, Float

_TOLERANCE = 1e-4


def pooled_over_time(trial: Trial) -> Finding:
    """An encoder's vector is as long as its card says and starts with the means over time of what it pools."""
    off = [(_off(encoder), name) for name, encoder in trial.encoders.items()]
    ramp = np.outer(np.arange(8), np.ones(3, np.float32))
    off.append((_relative(pool(ramp), ramp.mean(0)), "the pooling of windows"))
    most, where = max(off)
    return Finding(most <= _TOLERANCE, f"off by {most:.2g}", f"at most {_TOLERANCE:.0e}", f"farthest: {where}")


def mean_not_sum(trial: Trial) -> Finding:
    """A track played twice has the vector it has played once."""
    change, where = max((length_invariance(encoder), name) for name, encoder in trial.encoders.items())
    return Finding(change <= _TOLERANCE, f"changes by {change:.2g}", f"at most {_TOLERANCE:.0e}", f"most: {where}")


def _off(encoder: Encoder) -> float:
    """How far `encode` is from the means of `frames`; infinite where the shapes are not the card's."""
    card = encoder.card
    windows = np.random.default_rng(SEED).normal(0, 0.1, (2, round(card.window * card.rate))).astype(np.float32)
    vectors = encoder.encode(windows)
    if not isinstance(encoder, FrameEncoder):
        return 0.0 if vectors.shape == (2, card.dim) else np.inf
    frames = encoder.frames(windows)
    expected = card.window * card.frames_per_second
    if vectors.shape != (2, card.dim) or frames.shape[2] > card.dim or abs(frames.shape[1] - expected) > 2:
        return np.inf
    return _relative(vectors[:, : frames.shape[2]], frames.mean(1))


def _relative(found: Float[Array, "..."], expected: Float[Array, "..."]) -> float:
    if found.shape != expected.shape:
        return np.inf
    return float(np.abs(found - expected).max() / np.abs(expected).max())

"""Encoders: pooling by the mean over time, and the quick half of the contract for the encoders of a run."""

from __future__ import annotations

import numpy as np

from timbrec.audit import contract
from timbrec.audit.audited import SEED
from timbrec.audit.finding import Finding, not_checked
from timbrec.audit.parts import EncoderPart
from timbrec.audit.trial import Trial
from timbrec.embed import length_invariance, pool
from timbrec.errors import TimbrecError
from timbrec.protocols import Encoder, FrameEncoder
from timbrec.types import Array, Float

_TOLERANCE = 1e-4
_CONTRACT = ("shape", "batch", "order", "length", "frames", "rates")  # the quick half
_SECONDS = 2.0  # of a window; shorter where the card's are
_PARAMETERS = 400_000_000  # larger encoders take minutes on a CPU


def pooled_over_time(trial: Trial) -> Finding:
    """Compare vectors with the means of the encoder's frames over time, and pooled windows with their mean.

    The vector of a window is the same alone and in a batch with louder windows.
    """
    differences = [(_difference(encoder), name) for name, encoder in trial.encoders.items()]
    ramp = np.outer(np.arange(8), np.ones(3, np.float32))
    differences.append((_relative(pool(ramp), ramp.mean(0)), "the pooling of windows"))
    differences += [(_alone(encoder), f"{name} in a batch") for name, encoder in trial.encoders.items()]
    largest, where = max(differences)
    return Finding(largest <= _TOLERANCE, f"off by {largest:.2g}", f"at most {_TOLERANCE:.0e}", f"farthest: {where}")


def mean_not_sum(trial: Trial) -> Finding:
    """Compare the vector of a track with that of the track played twice."""
    change, name = max((length_invariance(encoder), name) for name, encoder in trial.encoders.items())
    return Finding(change <= _TOLERANCE, f"changes by {change:.2g}", f"at most {_TOLERANCE:.0e}", f"most: {name}")


def encoder_contract(part: EncoderPart) -> Finding:
    """Check an encoder of a run: shape, invariance to batch and order, pooling by the mean over time, and rates.

    `timbrec check-encoder` checks the rest of the contract.
    """
    try:
        encoder = part.encoder
    except (TimbrecError, ImportError, OSError) as error:
        return not_checked(f"cannot be loaded: {error}")
    card = encoder.card
    if card.precomputed:
        return not_checked("its vectors are precomputed")
    if card.parameters > _PARAMETERS:
        return not_checked(f"{card.parameters:,} parameters are too many to try out; run `timbrec check-encoder`")
    examined = contract.Examined(encoder, min(_SECONDS, card.window))
    failed = []
    for name in _CONTRACT:
        try:
            finding = contract.CHECKS[name](examined)
        except Exception as error:  # noqa: BLE001 - an encoder may raise anything
            finding = Finding(False, f"raises {type(error).__name__}: {error}", "no exception")
        if not finding.passed:
            failed.append(f"{name}: {finding.figure}, expected {finding.expected}")
    return Finding(not failed, f"{len(failed)} of {len(_CONTRACT)} fail", "none", "; ".join(failed))


def _difference(encoder: Encoder) -> float:
    """The relative difference of `encode` from the means of `frames`; infinite if shapes are not the card's."""
    card = encoder.card
    windows = np.random.default_rng(SEED).normal(0, 0.1, (2, round(card.window * card.rate))).astype(np.float32)
    vectors = encoder.encode(windows)
    if vectors.shape != (2, card.dim):
        return np.inf
    if not isinstance(encoder, FrameEncoder):
        return 0.0
    frames = encoder.frames(windows)
    expected = card.window * card.frames_per_second
    if frames.shape[2] > card.dim or abs(frames.shape[1] - expected) > 2:
        return np.inf
    return _relative(vectors[:, : frames.shape[2]], frames.mean(1))


def _alone(encoder: Encoder) -> float:
    """The relative difference of vectors of single windows from vectors of a batch of different loudness."""
    card, rng = encoder.card, np.random.default_rng(SEED)
    loudness = np.array([[0.3], [1e-5]])  # 90 dB apart
    windows = (rng.normal(size=(2, round(min(card.window, 0.5) * card.rate))) * loudness).astype(np.float32)
    return _relative(np.concatenate([encoder.encode(window[None]) for window in windows]), encoder.encode(windows))


def _relative(values: Float[Array, "..."], expected: Float[Array, "..."]) -> float:
    if values.shape != expected.shape:
        return np.inf
    return float(np.abs(values - expected).max() / np.abs(expected).max())

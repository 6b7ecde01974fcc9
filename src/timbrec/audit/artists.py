"""Artists: whether tracks of an artist have vectors near each other, in train and among new tracks alike."""

from __future__ import annotations

import numpy as np

from timbrec.audit.audited import SEED, Audited, sample
from timbrec.audit.finding import Finding, nothing_to_check
from timbrec.audit.nearest import unit
from timbrec.types import Array, Float, Int

_TRACKS, _SHUFFLES = 2_000, 200
_NEAR, _FAR, _POWER = 4.0, 2.0, 8.0  # standard deviations of shuffled artists


def artists_near(audited: Audited) -> Finding:
    """Compare cosines between tracks of an artist with cosines under shuffled artists, for every encoder.

    Refused if tracks of an artist are near each other in train but no nearer than chance among new tracks, although
    an effect as large as in train would show: rows of new tracks are out of order. A remark if tracks of an artist are
    near each other in neither: ids and vectors may be in different orders.
    """
    artists, train = audited.inputs.artist_rows, audited.run.split.test.train
    if artists is None:
        return nothing_to_check("the run has no artists")
    known = train.items[artists[train.items] >= 0]
    new = np.flatnonzero((train.item_users == 0) & (artists >= 0))
    lines, refused, odd = [], [], []
    for name, source in audited.inputs.sources.items():
        vectors = source.aligned(audited.run.split.items.ids)
        vectors = unit((vectors - vectors[train.items].mean(0)).astype(np.float64))
        in_train = _effect(vectors, artists, known, known)
        in_new = _effect(vectors, artists, new, known)
        if in_train is None or in_new is None:
            continue
        (effect, deviation), (new_effect, new_deviation) = in_train, in_new
        z, new_z, power = effect / deviation, new_effect / new_deviation, effect / new_deviation
        lines.append(f"{name}: {z:.1f} standard deviations nearer in train, {new_z:.1f} among new tracks")
        if z >= _NEAR and power >= _POWER and new_z < _FAR:
            refused.append(name)
        elif z < _FAR and new_z < _FAR:
            odd.append(name)
    if not lines:
        return nothing_to_check("too few tracks share an artist")
    figure = f"{len(refused)} encoders near in train alone" + f", {len(odd)} near in neither" * bool(odd)
    return Finding(not refused, figure, "0 encoders near in train alone", "; ".join(lines), remark=bool(odd))


def _effect(
    vectors: Float[Array, "items dim"], artists: Int[Array, "items"], rows: Int[Array, "n"], others: Int[Array, "m"]
) -> tuple[float, float] | None:
    """The mean cosine of pairs of an artist minus its mean under shuffled artists, and the deviation of the latter.

    Pairs are a track of `rows` and another of `others`. None for fewer than 20 pairs.
    """
    rows, others = rows[sample(len(rows), _TRACKS)], others[sample(len(others), _TRACKS)]
    cosines = vectors[rows] @ vectors[others].T
    different = rows[:, None] != others[None]
    labels, other_labels = artists[rows], artists[others]
    left, right = np.nonzero((labels[:, None] == other_labels[None]) & different)
    if len(left) < 20:
        return None
    observed, rng = cosines[left, right].mean(), np.random.default_rng(SEED)
    shuffled = []
    for _ in range(_SHUFFLES):  # moves the rows of one side, so that every artist keeps its number of pairs
        moved = rng.permutation(len(rows))[left]
        keep = different[moved, right]
        shuffled.append(cosines[moved, right][keep].mean())
    return float(observed - np.mean(shuffled)), float(max(np.std(shuffled), 1e-9))

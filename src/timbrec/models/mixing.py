"""Lists of known and new tracks together: comparable scores, and a stated share of new tracks."""

from __future__ import annotations

import numpy as np

from timbrec.errors import ConfigError
from timbrec.types import Array, Bool, Float32, Int


def calibrated(
    scores: Float32[Array, "items"], new: Bool[Array, "items"], allowed: Bool[Array, "items"]
) -> Float32[Array, "items"]:
    """(items,) scores on one scale: less the mean, over the standard deviation, of the allowed items of the same kind.

    A recommender may score all new tracks lower, or higher, than all known ones. Afterwards 2 means the same for both:
    two standard deviations above the mean of this user's candidates. A kind without variation gets 0.
    """
    out = np.zeros_like(scores)
    for kind in (new, ~new):
        rows = kind & allowed
        if rows.any():
            deviation = scores[rows].std()
            out[rows] = (scores[rows] - scores[rows].mean()) / deviation if deviation > 0 else 0
    return out


def shared_out(known: Int[Array, "n"], new: Int[Array, "m"], share: float, k: int) -> Int[Array, "k"]:
    """The first `k` of two ranked lists merged, in which new items have the share `share` of every beginning.

    Of the first i places, i * share (rounded, halves up) are new. Where one list ends, the other goes on. Raises
    ConfigError for a share outside 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ConfigError("the share of new tracks lies between 0 and 1", example=share, fix="For example: 0.3.")
    target = np.floor(np.arange(k + 1) * share + 0.5)
    is_new = np.diff(target) > 0
    merged: list[int] = []
    queues = {True: new.tolist(), False: known.tolist()}
    for place in range(min(k, len(known) + len(new))):
        kind = bool(is_new[place])
        merged.append(queues[kind if queues[kind] else not kind].pop(0))
    return np.array(merged, np.int64)

"""Encoding windows: one pass of an encoder for all requested layers and pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from timbrec.embed.pooling import pool_windows, window_parts
from timbrec.errors import AudioError, ConfigError, DataError
from timbrec.protocols import Encoder, EncoderCard, FrameEncoder, LayeredEncoder
from timbrec.types import Array, Float, Float32

Kind = tuple[int | None, str]  # layer, pool
Parts = dict[Kind, Float[Array, "_ _"]]  # one row per window


def encode_windows(encoder: Encoder, windows: Float32[Array, "n samples"], kinds: Sequence[Kind]) -> Parts:
    """Return the statistics of each window that `pool_windows` combines, by layer and pool.

    Means come from `encode`, and means of layers from `encode_layers` (one pass for all layers) if the encoder offers
    it; everything else is computed from `frames`. Raises DataError if a shape differs from the card.
    """
    parts = _means_of_layers(encoder, windows, [layer for layer, pool in kinds if pool == "mean"])
    for layer in {layer: None for layer, pool in kinds if (layer, pool) not in parts}:
        frames = _frames(encoder, windows, layer)
        missing = [pool for other, pool in kinds if other == layer and (layer, pool) not in parts]
        parts |= {(layer, pool): window_parts(frames, pool) for pool in missing}
    for values in parts.values():
        _refuse_other_shape(values, (len(windows), *np.shape(values)[-1:]), encoder.card)
    return parts


def encode_track(encoder: Encoder, windows: Float32[Array, "n samples"], batch: int = 1) -> Float32[Array, "dim"]:
    """Return the vector of a track, given its windows. Raises AudioError if it cannot be encoded."""
    batches = [np.ascontiguousarray(windows[start : start + batch]) for start in range(0, len(windows), batch)]
    parts = [encode_windows(encoder, part, [(None, "mean")])[None, "mean"] for part in batches]
    return track_vector(np.concatenate(parts), (None, "mean"), encoder.card)


def track_vector(parts: Float[Array, "windows _"], kind: Kind, card: EncoderCard) -> Float32[Array, "_"]:
    """Return the vector of a track from the statistics of its windows. Raises AudioError if it is not finite."""
    vector = pool_windows(parts, kind[1])
    _refuse_other_shape(vector, (parts.shape[1],), card)
    if not np.isfinite(vector).all():
        raise AudioError("the encoder made NaN or infinite values of it")
    return vector


def length_invariance(encoder: Encoder, seed: int = 0) -> float:
    """Return the relative change of a track's vector when the track is repeated: |v(twice) - v(once)| / |v(once)|.

    It is 0, up to rounding, for means over time, and 1 for sums over time, which would encode the track's duration.
    """
    shape = (2, round(encoder.card.window * encoder.card.rate))
    once = np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)
    short, long = (encode_track(encoder, windows, len(once)) for windows in (once, np.concatenate([once, once])))
    return float(np.linalg.norm(long - short.astype(np.float64)) / np.linalg.norm(short))


def _means_of_layers(encoder: Encoder, windows: Float32[Array, "n samples"], layers: list[int | None]) -> Parts:
    """Mean vectors of each window, for the encoder's own output (None) and the layers it returns in one pass."""
    parts: Parts = {}
    if None in layers:
        vectors = encoder.encode(windows)
        _refuse_other_shape(vectors, (len(windows), encoder.card.dim), encoder.card)
        parts[None, "mean"] = vectors
    numbered = [layer for layer in layers if layer is not None]
    if numbered and isinstance(encoder, LayeredEncoder):
        parts |= {(layer, "mean"): values for layer, values in encoder.encode_layers(windows, numbered).items()}
    return parts


def _frames(encoder: Encoder, windows: Float32[Array, "n samples"], layer: int | None) -> Float32[Array, "n time _"]:
    if not isinstance(encoder, FrameEncoder):
        name = encoder.card.name
        raise ConfigError(f"{name} gives no frames, only pooled vectors", fix="Use its own output: no layer, the mean.")
    return encoder.frames(windows) if layer is None else encoder.frames(windows, layer=layer)


def _refuse_other_shape(values: Any, shape: tuple[int, ...], card: EncoderCard) -> None:
    if not isinstance(values, np.ndarray):
        raise DataError(f"{card.name}: vectors are a {type(values).__name__}, not an array of numpy",
                        fix="Return a float32 array, a row per window.")  # fmt: skip
    if values.shape != shape:
        raise DataError(
            f"{card.name}: vectors of {values.shape[-1]:,} values where its card says {shape[-1]:,}: "
            f"pooled over the wrong axis? (shape {values.shape}, not {shape})",
            fix="Pool over time, or correct the card.",
        )

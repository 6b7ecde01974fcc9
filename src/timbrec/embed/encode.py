"""From windows to what is kept of each: one pass of an encoder for all layers and pools asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from timbrec.embed.pooling import pool_windows, window_parts
from timbrec.errors import AudioError, ConfigError, DataError
from timbrec.protocols import Encoder, EncoderCard, FrameEncoder, LayeredEncoder
from timbrec.types import Array, Float, Float32

_NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")  # as torch says it

Kind = tuple[int | None, str]  # layer, pool
Parts = dict[Kind, Float[Array, "_ _"]]  # one row per window


def encode_windows(encoder: Encoder, windows: Float32[Array, "n samples"], kinds: Sequence[Kind]) -> Parts:
    """What `pool_windows` needs of each window, by layer and pool.

    Means are `encode`'s, of layers `encode_layers`' (all from one pass) where the encoder has it; anything else is
    made of `frames`. Raises DataError where the shape is not the card's.
    """
    parts = _means_of_layers(encoder, windows, [layer for layer, pool in kinds if pool == "mean"])
    for layer in {layer: None for layer, pool in kinds if (layer, pool) not in parts}:
        frames = _frames(encoder, windows, layer)
        asked = [pool for other, pool in kinds if other == layer and (layer, pool) not in parts]
        parts |= {(layer, pool): window_parts(frames, pool) for pool in asked}
    for values in parts.values():
        _refuse_other_shape(values, (len(windows), values.shape[-1]), encoder.card)
    return parts


def encode_track(encoder: Encoder, windows: Float32[Array, "n samples"], batch: int = 1) -> Float32[Array, "dim"]:
    """The vector of a track, given its windows. Raises AudioError for one that cannot be encoded."""
    some = [windows[start : start + batch] for start in range(0, len(windows), batch)]
    parts = [encode_windows(encoder, np.ascontiguousarray(one), [(None, "mean")])[None, "mean"] for one in some]
    return track_vector(np.concatenate(parts), (None, "mean"), encoder.card)


def track_vector(parts: Float[Array, "windows _"], kind: Kind, card: EncoderCard) -> Float32[Array, "_"]:
    """The vector of a track from the parts of its windows. Raises AudioError where it is not finite."""
    vector = pool_windows(parts, kind[1])
    _refuse_other_shape(vector, (parts.shape[1],), card)
    if not np.isfinite(vector).all():
        raise AudioError("the encoder made NaN or infinite values of it")
    return vector


def length_invariance(encoder: Encoder, seed: int = 0) -> float:
    """By how much the vector of a track changes when it is played twice: |v(twice) - v(once)| / |v(once)|.

    0 up to rounding where vectors are means over time; 1 where they are sums, whose length tells that of the track.
    """
    shape = (2, round(encoder.card.window * encoder.card.rate))
    once = np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)
    short, long = (encode_track(encoder, windows, len(once)) for windows in (once, np.concatenate([once, once])))
    return float(np.linalg.norm(long - short.astype(np.float64)) / np.linalg.norm(short))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory is what an encoder lacked; a GPU's cache is given back, so that a smaller batch may fit."""
    found = isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _NO_MEMORY)
    )
    torch: Any = sys.modules.get("torch")
    if found and torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    return found


def _means_of_layers(encoder: Encoder, windows: Float32[Array, "n samples"], layers: list[int | None]) -> Parts:
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


def _refuse_other_shape(values: Array, shape: tuple[int, ...], card: EncoderCard) -> None:
    if values.shape != shape:
        raise DataError(
            f"{card.name}: vectors of {values.shape[-1]:,} values where its card says {shape[-1]:,}: "
            f"pooled over the wrong axis? (shape {values.shape}, not {shape})",
            fix="Pool over time, or correct the card.",
        )

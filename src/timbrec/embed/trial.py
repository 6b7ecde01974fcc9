"""A user's own encoder, tried out on noise before any audio is opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from timbrec.embed.encode import encode_windows, track_vector
from timbrec.embed.outputs import Output
from timbrec.encoders.shared.own import described, name_of
from timbrec.errors import AudioError, ConfigError, DataError, TimbrecError
from timbrec.store import VectorStore
from timbrec.store.manifest import holds_store


def needs_trial(output: Output) -> bool:
    """Whether the output is of a user's own encoder that has not encoded anything for its store yet."""
    stored = holds_store(output.store) and len(VectorStore.open(output.store)) > 0
    return bool(name_of(output.encoder)) and not stored


def try_out(output: Output) -> int:
    """Encode a window of noise, and none, with a user's own encoder; the number of values in a vector of the output.

    Raises ConfigError for an encoder that fails, DataError for vectors of another shape or type than its card says,
    and StoreError where the output's store holds vectors of another kind.
    """
    name, card, kind = name_of(output.encoder), output.card, (output.layer, output.pool)
    noise = np.random.default_rng(0).normal(0, 0.1, (1, round(card.window * card.rate))).astype(np.float32)
    fix = f"`timbrec check-encoder {name}` tries it on more sounds."
    try:
        parts, _ = (encode_windows(output.encoder, windows, [kind])[kind] for windows in (noise, noise[:0]))
        dim = len(track_vector(parts, kind, card))
    except AudioError as error:
        raise ConfigError(f"{name}, on noise: {error.what}", fix=fix) from error
    except TimbrecError:
        raise
    except Exception as error:  # the user's code may raise anything
        reason = described(error, Path(name.rpartition(":")[0]))
        raise ConfigError(f"{name} cannot encode noise: {reason}", fix=fix) from error
    if kind == (None, "mean") and parts.dtype != np.float32:
        raise DataError(f"{name}: vectors are {parts.dtype}, not float32", fix="Return `vectors.astype(np.float32)`.")
    if holds_store(output.store):
        VectorStore.open(output.store, output.info(dim))
    return dim

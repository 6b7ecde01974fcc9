"""A user's own encoders in a config: a store per state of the file, and a trial before any audio is opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from timbrec.embed import Output
from timbrec.embed.encode import encode_windows, track_vector
from timbrec.encoders import find
from timbrec.encoders.shared.own import described
from timbrec.errors import AudioError, ConfigError, DataError, TimbrecError
from timbrec.store import VectorStore
from timbrec.store.manifest import holds_store, newest


def own_store(folder: Path, encoder: str) -> Path:
    """The default store of the class `path/to/file.py:Name`: `folder`, or `folder-STATE` if the file has changed.

    STATE is the digest of the file as it is now. So vectors of every state are kept, and a file that is changed back
    finds its vectors again.
    """
    state = find(encoder).card.revision.rpartition(", ")[2]
    if not holds_store(folder) or state in newest(folder).info.revision:
        return folder
    return folder.with_name(f"{folder.name}-{state.rpartition(' ')[2]}")


def try_out(name: str, output: Output) -> int:
    """Encode a window of noise, and none, with a user's own encoder; the number of values in a vector of the output.

    Raises ConfigError for an encoder that fails, DataError for vectors of another shape or type than its card says,
    and StoreError where the output's store holds vectors of another kind.
    """
    card, kind = output.card, (output.layer, output.pool)
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


def has_vectors(store: Path) -> bool:
    """Whether a store exists and is not empty."""
    return holds_store(store) and len(VectorStore.open(store)) > 0

"""Sequences: the inputs of BERT4Rec, masked and padded, when training and when serving."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from timbrec.audit.audited import SEED
from timbrec.audit.finding import Finding
from timbrec.audit.protocol import small
from timbrec.audit.trial import Trial
from timbrec.recommenders.bert4rec import BERT4Rec, BERT4RecModel
from timbrec.recommenders.shared.sequences import MASK
from timbrec.training.randomness import seeded
from timbrec.types import Array, Float32

_SETTINGS = BERT4Rec(width=16, feed_forward=16, layers=2, length=20, dropout=0.0)
_TOLERANCE = 1e-4


def sequences_masked(trial: Trial) -> Finding:
    """Check the inputs of an untrained BERT4Rec.

    Serving: the state of a user equals the state of their latest tracks in order, with a mask after them, without any
    other user and without padding. Training: the tokens at the predicted places are masks, and their share is `mask`.
    """
    model = _model()
    states, served = _states(model), model.scorer().users[model.train_pairs.users]
    difference = float(np.abs(states - served).max() / np.abs(states).max())
    hidden, masks, tracks = _masks(model)
    share, expected = masks / tracks, _SETTINGS.mask
    off = abs(share - expected) / np.sqrt(expected * (1 - expected) / tracks)
    faults = ["served states of other inputs"] * (difference > _TOLERANCE)
    faults += ["predicted tracks are visible"] * (not hidden) + [f"{share:.0%} of tracks masked"] * bool(off > 5)
    figure = f"states off by {difference:.1g}, {share:.1%} of tracks masked"
    return Finding(not faults, figure, f"at most {_TOLERANCE:.0e}, about {expected:.0%}", "; ".join(faults))


def _model() -> BERT4RecModel:
    """A model with random weights far from zero, so that every input matters."""
    world = small()
    with seeded(SEED, 0) as rng:
        model = _SETTINGS.model(world.split.test.train, world.content, rng)
        for parameter in model.parameters():
            parameter.data += 0.3 * torch.randn(parameter.shape)
    model.eval()
    return model


def _states(model: BERT4RecModel) -> Float32[Array, "users width"]:
    """The state of every user with train plays, one user at a time."""
    pairs, rows = model.train_pairs, []
    assert pairs.first is not None
    with torch.no_grad():
        table = model.transformer.table(torch.from_numpy(model.scaling(model.catalogue)))
        for user in pairs.users:
            own = np.flatnonzero(pairs.user == user)
            latest = pairs.item[own[np.argsort(pairs.first[own])]][-(_SETTINGS.length - 1) :]
            places = torch.from_numpy(np.append(latest, MASK))[None]
            rows.append(model.transformer(places, table)[0, -1].numpy())
    return np.stack(rows)


def _masks(model: BERT4RecModel) -> tuple[bool, int, int]:
    """Whether all predicted places of a training batch hold the mask, their number, and the number of tracks."""
    inputs: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    hidden = model.transformer.hidden

    def recording(vectors: torch.Tensor, padding: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        inputs.append((vectors, padding, at))
        return hidden(vectors, padding, at)

    model.transformer.__dict__["hidden"] = recording
    examples: Any = model.examples(model.train_pairs)
    with torch.no_grad():
        model(examples, np.arange(len(examples)), np.random.default_rng(SEED))
    del model.transformer.__dict__["hidden"]
    mask = model.transformer.special[0]
    masked = [bool((vectors[at[:, 0], at[:, 1]] == mask).all()) for vectors, _, at in inputs]
    tracks = examples.latest(examples.users, _SETTINGS.length) >= 0
    return all(masked), sum(len(at) for _, _, at in inputs), int(tracks.sum())

"""Contracts between the parts: encoders, recommenders and scorers."""

from typing import TYPE_CHECKING

from timbrec.protocols.encoders import (
    ConvertibleEncoder,
    DeviceEncoder,
    Encoder,
    EncoderCard,
    FrameEncoder,
    LayeredEncoder,
    Slim,
    WeightedEncoder,
    WeightsFile,
)
from timbrec.protocols.recommenders import Content, Recommender, Scorer, Workspace

if TYPE_CHECKING:
    from timbrec.protocols.recommenders import BoundScorer as BoundScorer

__all__ = [
    "Content",
    "ConvertibleEncoder",
    "DeviceEncoder",
    "Encoder",
    "EncoderCard",
    "FrameEncoder",
    "LayeredEncoder",
    "Recommender",
    "Scorer",
    "Slim",
    "WeightedEncoder",
    "WeightsFile",
    "Workspace",
]

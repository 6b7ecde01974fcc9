"""Encoding audio files into stores of vectors: reading ahead, batches, pooling over time, and resuming."""

from timbrec.embed.encode import length_invariance
from timbrec.embed.outputs import Output, outputs
from timbrec.embed.pooling import POOLS, pool
from timbrec.embed.report import EmbedReport
from timbrec.embed.run import embed, embed_all, load_encoder, tracks_for
from timbrec.embed.tracks import Listing, Track, find_tracks, list_tracks

__all__ = [
    "POOLS",
    "EmbedReport",
    "Listing",
    "Output",
    "Track",
    "embed",
    "embed_all",
    "find_tracks",
    "length_invariance",
    "list_tracks",
    "load_encoder",
    "outputs",
    "pool",
    "tracks_for",
]

"""From audio files to stores of vectors: read ahead, encode in batches, pool over time, keep what is finished."""

from timbrec.embed.encode import length_invariance
from timbrec.embed.outputs import Output, outputs
from timbrec.embed.pooling import POOLS, pool
from timbrec.embed.report import EmbedReport
from timbrec.embed.run import embed, embed_all
from timbrec.embed.tracks import Track, find_tracks

__all__ = [
    "POOLS",
    "EmbedReport",
    "Output",
    "Track",
    "embed",
    "embed_all",
    "find_tracks",
    "length_invariance",
    "outputs",
    "pool",
]

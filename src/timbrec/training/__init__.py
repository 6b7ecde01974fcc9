"""Training: one loop for every recommender that is trained."""

from timbrec.training.checkpoint import drop_checkpoints
from timbrec.training.journal import Journal, recording
from timbrec.training.negatives import sample_negatives
from timbrec.training.recommender import TrainedRecommender, TrainedScorer
from timbrec.training.trainable import Trainable
from timbrec.training.validation import validate

__all__ = [
    "Journal",
    "Trainable",
    "TrainedRecommender",
    "TrainedScorer",
    "drop_checkpoints",
    "recording",
    "sample_negatives",
    "validate",
]

"""Training: one loop for every recommender that is trained."""

from timbrec.training.checkpoint import drop_checkpoints
from timbrec.training.negatives import sample_negatives
from timbrec.training.recommender import TrainedRecommender
from timbrec.training.scorer import TrainedScorer
from timbrec.training.trainable import Trainable
from timbrec.training.validation import validate

__all__ = [
    "Trainable",
    "TrainedRecommender",
    "TrainedScorer",
    "drop_checkpoints",
    "sample_negatives",
    "validate",
]

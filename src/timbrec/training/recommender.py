"""The base class of trained recommenders."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from timbrec.machine.devices import device_of
from timbrec.protocols import Content, Recommender, Workspace
from timbrec.training.checkpoint import Checkpoint, identity
from timbrec.training.loop import Course, Training, train_model
from timbrec.training.randomness import seeded
from timbrec.training.settings import TrainingSettings
from timbrec.training.together import group

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions
    from timbrec.data.split import Fold
    from timbrec.training.scorer import TrainedScorer
    from timbrec.training.trainable import Trainable

_ITEM_TABLES = 6  # weights, gradient, two moments and the work of the optimiser, or the layers of a tower
BATCH = 2**29  # bytes: gradients of the scores of a block
STEP = 2**28  # bytes of a step beside its layers


@dataclass(frozen=True)
class TrainedRecommender(TrainingSettings, Recommender):
    """A recommender that the training loop fits: `model` builds the model, `fit` trains it and returns its scorer."""

    validates: ClassVar[bool] = True
    deterministic: ClassVar[bool] = False
    user_tables: ClassVar[int] = 2  # tables of users' vectors at once, while their scorer is made

    @abstractmethod
    def model(
        self, train: Interactions, content: Content, rng: np.random.Generator, workspace: Workspace = Workspace()
    ) -> Trainable[Any]:
        """The model before training. The caller has seeded torch."""

    def memory(self, n_users: int, n_items: int, dim: int) -> int:
        """Upper bound of the bytes of a training: a learned table of items, or a tower over all of them, the vectors of
        all users for validation, and the work of a batch."""
        widest = max(dim, getattr(self, "width", None) or 0, getattr(self, "factors", None) or 0)
        items = (_ITEM_TABLES + self.average) * n_items
        return 4 * (items + self.user_tables * n_users) * widest + BATCH

    def fit(
        self,
        train: Interactions,
        content: Content,
        validation: Fold | None,
        rng: np.random.Generator,
        workspace: Workspace = Workspace(),
    ) -> TrainedScorer:
        """Train on `train`; `validation` only decides when to stop.

        Raises ConfigError if training diverges, if memory runs out, and for a checkpoint of other settings; DataError
        if the validation fold lacks the pairs to stop on.
        """
        seed = int(rng.integers(2**63))
        with seeded(seed, 0) as model_rng:
            model = self.model(train, content, model_rng, workspace)
        processes = group()
        model.to(device_of(workspace.device) if processes is None else processes.device)
        checkpoint = self._checkpoint(train, content, validation, seed, workspace)
        course = train_model(Training(model, self, train, validation, seed), workspace, checkpoint)
        return self._scorer(model, course, content)

    def _checkpoint(
        self, pairs: Interactions, content: Content, validation: Fold | None, seed: int, workspace: Workspace
    ) -> Checkpoint | None:
        if workspace.folder is None:
            return None
        vectors = content.vectors if self.uses_content else None
        return Checkpoint(workspace.folder, identity(self, pairs, validation, vectors, seed))

    def _scorer(self, model: Trainable[Any], course: Course, content: Content) -> TrainedScorer:
        model.eval()
        with torch.no_grad():  # distances first: both need tables for a moment
            facts = {f"moved {name}": distance for name, distance in model.moved().items()}
            scorer = model.scorer()
        facts["epochs trained"] = float(course.epoch)
        if self.uses_content:
            facts["zero vectors"] = float((~content.vectors.any(1)).sum())
        return replace(scorer, stopped=course.chosen, remarks=scorer.remarks | facts)

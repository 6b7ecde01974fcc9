"""The contract of recommenders: a fit from interactions and content, and a scorer as its result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from timbrec.errors import CannotRankError, ConfigError, did_you_mean
from timbrec.types import Array, Float32, Int, Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    import numpy as np
    import torch

    from timbrec.data.interactions import Interactions
    from timbrec.data.split import Fold

    # Writes the scores of user rows for the bound items into a (users, items) float32 block.
    BoundScorer = Callable[[Int[Array, "u"], torch.Tensor], None]


@dataclass(frozen=True)
class Content:
    """Content of the tracks, the input of recommenders: row i is track i of the run's catalogue.

    `vectors` (items, dim) float32, finite. `artist` (items,) a row per artist, -1 where unknown; None without an
    items table.
    """

    vectors: Float32[Array, "items dim"]
    artist: Int[Array, "items"] | None = None


class Scorer(ABC):
    """A fitted recommender: scores items for users, without side effects."""

    can_rank_cold: bool = True

    @property
    def chosen(self) -> dict[str, Any]:
        """Hyperparameters that validation chose, e.g. {"epochs": 12}; empty if none."""
        return {}

    @property
    def facts(self) -> dict[str, float]:
        """Counts from the fit for readers of the results, e.g. {"zero profiles": 3}."""
        return {}

    def among(self, candidates: Int[Array, "c"]) -> Scorer:
        """The scorer for a list of these candidates: itself, unless scores depend on all candidates of the list."""
        return self

    @abstractmethod
    def bind(self, items: Int[Array, "n"], device: torch.device) -> BoundScorer:
        """Prepare to score these item rows, in this order, on this device; returns the function that scores users."""

    def user_vectors(self, histories: Interactions) -> Float32[Array, "users dim"]:
        """(users, dim) vectors of new users from their interactions (fold-in), not retrained; refused by default."""
        raise CannotRankError(f"{type(self).__name__} cannot fold in users by their history")

    def add_items(self, vectors: Float32[Array, "n dim"]) -> Scorer:
        """A scorer with new items after the old ones, from their content, without retraining; refused by default."""
        raise CannotRankError(f"{type(self).__name__} cannot add items by their vectors")

    def score(self, users: Int[Array, "u"], items: Int[Array, "n"]) -> torch.Tensor:
        """(u, n) float32 scores of these items; higher is better. Only the order within a row has a meaning."""
        import torch

        out = torch.empty(len(users), len(items))
        self.among(items).bind(items, out.device)(users, out)
        return out


@dataclass(frozen=True)
class Workspace:
    """The folders, progress callback and device of a fit; it changes no number.

    `folder` receives the training log and the checkpoint that an interrupted fit resumes from; None keeps neither.
    `shared` is the folder of fitted models that several cells use; None shares none. `progress` is called after each
    step. `device` is a name for `timbrec.machine.devices.device_of`. `within` is the prefix of reported steps.
    """

    folder: Path | None = None
    shared: Path | None = None
    progress: Progress | None = None
    device: str = "auto"
    within: str = ""

    def inside(self, name: str) -> Workspace:
        """The workspace of a fit within this one: a subfolder, and reports prefixed with its name."""
        folder = None if self.folder is None else self.folder / name
        return replace(self, folder=folder, within=f"{self.within}{name} ")

    def report(self, step: str, done: int, total: int) -> None:
        """Pass a step on to `progress`, if there is one."""
        if self.progress is not None:
            self.progress(self.within + step, done, total)


@dataclass(frozen=True)
class Recommender(ABC):
    """The hyperparameters of a recommender; `fit` returns a Scorer.

    `version` is part of a cell's hash; raise it with every change of numbers. `uses_content` False: one run serves all
    encoders. `validates`: `fit` with a validation fold chooses settings (epochs), which the refit on all of train uses:
    `replace(self, **scorer.chosen).fit(train, ...)`. `deterministic`: the seed changes only the order of ties.
    `baseline`: a reference in every table, never called the best. `uses_artists`: needs a table of tracks with their
    artists.
    """

    version: ClassVar[int] = 1
    uses_content: ClassVar[bool] = True
    validates: ClassVar[bool] = False
    deterministic: ClassVar[bool] = True
    baseline: ClassVar[bool] = False
    uses_artists: ClassVar[bool] = False
    presets: ClassVar[dict[str, dict[str, Any]]] = {}

    def __post_init__(self) -> None:
        from timbrec.settings import checked  # here, because pydantic takes 0.1 s to import

        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in checked(type(self), values).items():
            object.__setattr__(self, name, value)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """The recommender with the settings of a preset, and `changes` to them.

        Every recommender accepts the presets `corrected` (the defaults), `tamm2026` and `quick`; a preset that it does
        not define gives the defaults. Raises ConfigError for any other name, and for a setting that does not exist or
        does not accept its value.
        """
        from timbrec.settings import checked

        known = sorted({"corrected", "tamm2026", "quick", *cls.presets})
        if name not in known:
            hint = did_you_mean(str(name), known)
            raise ConfigError(f"there is no preset called {name!r}", fix=f"{hint}Known: {', '.join(known)}.")
        return cls(**checked(cls, cls.presets.get(name, {}) | changes))

    def memory(self, n_users: int, n_items: int, dim: int) -> int:
        """Upper bound of the bytes of a fit, beside log and vectors (n_items, dim): tables, sorted copies."""
        return 4 * (n_users + n_items) * dim

    @abstractmethod
    def fit(
        self,
        train: Interactions,
        content: Content,
        validation: Fold | None,
        rng: np.random.Generator,
        workspace: Workspace = Workspace(),
    ) -> Scorer:
        """Fit on `train` alone. `validation` may only decide when to stop; its train part is `train`."""

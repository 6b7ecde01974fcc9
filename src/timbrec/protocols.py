"""Contracts between the parts: protocols and base classes of encoders, recommenders and scorers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from timbrec.errors import CannotRankError, ConfigError, did_you_mean
from timbrec.types import Array, Float32, Int, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    import numpy as np
    import torch

    from timbrec.data.interactions import Interactions
    from timbrec.data.split import Fold

    # Writes the scores of user rows for the bound items into a (users, items) float32 block.
    BoundScorer = Callable[[Int[Array, "u"], torch.Tensor], None]


@dataclass(frozen=True)
class WeightsFile:
    """An official file of weights on the model hub: `path` in the repository `repo`.

    `revision` is a commit, or a branch where no commit is pinned. `sha256` is the checksum or its first digits, empty
    where unknown; `bytes` is the size, 0 where unknown.
    """

    repo: str
    path: str
    revision: str = "main"
    sha256: str = ""
    bytes: int = 0


@dataclass(frozen=True)
class Slim:
    """The part of an encoder's weights that encoding needs, ready to be written to one file.

    `tensors` by the names that the encoder expects in a .safetensors file; `config`, the settings stored with them;
    `files`, the files they were read from.
    """

    tensors: Mapping[str, torch.Tensor]
    config: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[Path] = ()


@dataclass(frozen=True)
class EncoderCard:
    """Metadata of an encoder, readable without loading weights.

    `revision` identifies the vectors: two encoders of the same name and revision give the same vectors.
    `rate` is the sample rate in Hz and `window` the length of an encoded window in seconds; both are 0 for vectors
    that were computed elsewhere. `dim` is the length of a pooled vector.

    `frames_per_second` is the rate of the frames that `frames` returns, `time` the name of one of them. `layers` is the
    number of the last layer, 0 without numbered layers; layer 0 is the input of the first block. `layer` is the layer
    that `encode` pools by default where that is not the last; higher blocks are then not loaded. An encoder with layers
    takes the option `layer`.

    `trained_on` describes the training data; `datasets` names the public data sets in it, so that scores on them can be
    marked. It is empty without training ("nothing") and where the data are unpublished. `citation` and `bibtex` name
    the paper to cite.

    `commercial` says whether code and weights may be used commercially. `gflop` is the cost of one window in 10^9
    multiplications and additions, 0 if unknown. `concurrent` says whether several threads may call the encoder at once.
    `files` are the official weights on the model hub, the file with the tensors first; empty where weights come another
    way. `resampler` is the one that converts files to `rate`, `soxr` or `kaiser_best`. Fields with a default are
    optional for a user's own encoder.
    """

    name: str
    revision: str
    rate: int
    window: float
    dim: int
    frames_per_second: float = 0.0
    layers: int = 0
    layer: int | None = None
    parameters: int = 0
    licence_code: str = "not stated"
    licence_weights: str = "not stated"
    commercial: bool = False
    trained_on: str = "not stated"
    datasets: tuple[str, ...] = ()
    citation: str = "none"
    bibtex: str = "none"
    time: str = "frames"
    gflop: float = 0.0
    concurrent: bool = False
    files: tuple[WeightsFile, ...] = ()
    resampler: str = "soxr"

    @property
    def precomputed(self) -> bool:
        """Whether the card describes vectors computed elsewhere, with no model that encodes audio."""
        return self.rate == 0

    def loaded(self, *details: str, **changes: Any) -> EncoderCard:
        """The card of a loaded encoder: `details` (weights, options) extend the revision, `changes` replace fields."""
        return replace(self, revision=", ".join([self.revision, *details]), **changes)


@runtime_checkable
class Encoder(Protocol):
    """Turns windows of audio into vectors. The protocols below add what some encoders offer besides."""

    card: EncoderCard

    def encode(self, windows: Float32[Array, "n samples"]) -> Float32[Array, "n dim"]:
        """One vector per window, pooled over time. Windows are mono, of equal length, sampled at `card.rate`."""
        ...


@runtime_checkable
class FrameEncoder(Encoder, Protocol):
    """An encoder that also returns frames, which other pools and layers need."""

    def frames(self, windows: Float32[Array, "n samples"], layer: int | None = None) -> Float32[Array, "n time dim"]:
        """The frames of a layer; None is the layer that `encode` pools."""
        ...


@runtime_checkable
class LayeredEncoder(FrameEncoder, Protocol):
    """An encoder that pools several layers in one pass."""

    def encode_layers(
        self, windows: Float32[Array, "n samples"], layers: Sequence[int]
    ) -> dict[int, Float32[Array, "n dim"]]:
        """One vector per window for each of these layers, by layer; the lengths of layers may differ."""
        ...


@runtime_checkable
class DeviceEncoder(Encoder, Protocol):
    """An encoder that computes on a device: "cpu", or another one by its name in torch."""

    device: str


@runtime_checkable
class WeightedEncoder(Protocol):
    """An encoder class that reads files of weights: `weights` is None (the usual place), a file or a folder."""

    card: EncoderCard

    @classmethod
    def check_weights(cls, weights: Path | str | None) -> list[WeightsFile]:
        """The official files that loading would download. Raises ConfigError for weights that are not there."""
        ...


@runtime_checkable
class ConvertibleEncoder(WeightedEncoder, Protocol):
    """An encoder class whose weights `timbrec convert` reduces to one slim file."""

    @classmethod
    def slim(cls, weights: Path | str | None, layer: int | None = None) -> Slim:
        """The tensors that encoding needs, up to `layer` where given. Raises ConfigError as loading does."""
        ...


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
    step. `device` is a name for `timbrec.devices.device_of`. `within` is the prefix of reported steps.
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
        """Upper bound of the bytes that a fit takes beside log and vectors (n_items, dim): tables, sorted copies."""
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
        """Fit on `train` alone; `validation`, whose train part is `train`, may only decide when to stop."""

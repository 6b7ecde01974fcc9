"""Rules of learning by definition: losses and their gradients, steps of the optimisers, and closed forms."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from timbrec.audit.audited import SEED
from timbrec.audit.finding import Finding
from timbrec.audit.protocol import small
from timbrec.audit.trial import Trial
from timbrec.recommenders.ease import EASE
from timbrec.recommenders.popularity import Popularity
from timbrec.recommenders.shared.losses import contrastive, nmse
from timbrec.training import Trainable
from timbrec.training.scorer import TrainedScorer
from timbrec.training.settings import TrainingSettings
from timbrec.training.steps import OPTIMIZERS, Steps
from timbrec.types import Array, Float, Int

_TOLERANCE = 1e-5
_NAMES = ("DCL", "DCLW", "SDCL", "SDCLW", "ADCL", "ADCLW")
_ITEMS, _DIM, _TEMPERATURE, _SIGMA = 7, 5, 0.3, 0.5
_STEPS, _RATE = 4, 0.05
_COLUMNS = 5  # of EASE, each a regression of its own
Loss = Callable[..., torch.Tensor]


def learning_by_definition(trial: Trial) -> Finding:
    """Compare losses, gradients, steps of the optimisers and closed forms with plain implementations.

    The positive is no negative of a contrastive loss, gradients of a step do not add to those of the step before, and
    EASE is the ridge regression of each track on all others.
    """
    parts = {**_losses(), **_steps(), "EASE": _ease(), "popularity": _popularity()}
    worst = max(parts, key=lambda name: np.nan_to_num(parts[name], nan=np.inf))
    wrong = [name for name, difference in parts.items() if not difference <= _TOLERANCE]
    detail = ", ".join(wrong) or f"{len(parts)} parts; farthest: {worst}"
    return Finding(not wrong, f"off by {parts[worst]:.2g}", f"at most {_TOLERANCE:.0e}", detail)


def _losses() -> dict[str, float]:
    """The largest relative differences of values and gradients, by loss."""
    generator = torch.Generator().manual_seed(SEED)

    def unit(rows: int, dim: int) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.randn(rows, dim, generator=generator, dtype=torch.float64), dim=1)

    z1, z2 = unit(_ITEMS, _DIM), unit(_ITEMS, _DIM)
    differences = {
        name: _differs(
            lambda a, b, name=name: contrastive(name, a, b, _TEMPERATURE, _SIGMA, block=3),
            lambda a, b, name=name: _contrastive(name, a, b),
            z1, z2,
        )
        for name in _NAMES
    }  # fmt: skip
    rows = torch.tensor([[1, 1, 0, 0, 1], [0, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 0, 1, 1]], dtype=torch.float64)
    starts, items = np.concatenate([[0], rows.sum(1).cumsum(0).numpy()]).astype(np.int64), rows.nonzero()[:, 1]
    for dim in (3, 8):  # two ways to compute it
        name = f"ELSA's loss at {dim} factors"
        differences[name] = _differs(
            lambda a: nmse(torch.from_numpy(starts), items, a, rows.shape[1]), lambda a: _nmse(rows, a), unit(5, dim)
        )
    return differences


def _differs(loss: Loss, plain: Loss, *tables: torch.Tensor) -> float:
    """The largest relative difference of a loss and of its gradient from those of a plain form in float64."""
    ours, theirs = ([table.to(kind).requires_grad_() for table in tables] for kind in (torch.float32, torch.float64))
    value, expected = loss(*ours), plain(*theirs)
    pairs = zip(torch.autograd.grad(value, ours), torch.autograd.grad(expected, theirs), strict=True)
    off = [float((own - other).abs().max() / other.abs().max()) for own, other in pairs]
    return max(*off, abs(value.item() / expected.item() - 1))


def _contrastive(name: str, z1: torch.Tensor, z2: torch.Tensor) -> torch.Tensor:
    """A contrastive loss with all similarities as matrices."""

    def one_way(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        agreement = (a * b).sum(1)
        weight = 2 - len(a) * torch.softmax(agreement / _SIGMA, 0) if name.endswith("W") else torch.ones(len(a))
        sides = {"A": [(a, b)], "D": [(a, b), (a, a)], "S": [(a, b), (a, a), (b, b)]}[name[0]]
        others = ~torch.eye(len(a), dtype=torch.bool)
        negatives = torch.cat([(x @ y.T)[others].view(len(a), -1) for x, y in sides], 1) / _TEMPERATURE
        return (negatives.exp().sum(1).log() - weight * agreement / _TEMPERATURE).mean()

    if name in ("SDCL", "ADCL", "ADCLW"):
        return one_way(z1, z2)
    total = one_way(z1, z2) + one_way(z2, z1)
    return total / 2 if name == "SDCLW" else total


def _nmse(x: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """ELSA's loss with all scores as a matrix."""
    scores = x @ vectors @ vectors.T - x
    return (torch.nn.functional.normalize(scores, dim=1) - torch.nn.functional.normalize(x, dim=1)).square().mean()


class _Line(Trainable[np.ndarray]):
    """Linear regression, whose gradient is known: the loss is the mean squared error of x w.

    The last column of `points` is y, the others are x.
    """

    def __init__(self, points: Float[Array, "n columns"]) -> None:
        super().__init__()
        self.points = points
        self.weights = torch.nn.Parameter(torch.ones(points.shape[1] - 1, dtype=torch.float64))

    def examples(self, pairs: object) -> Float[Array, "n columns"]:
        """The points, whatever the pairs."""
        return self.points

    def forward(self, examples: Array, rows: Int[Array, "batch"], rng: np.random.Generator) -> torch.Tensor:
        """The mean squared error of these points."""
        points = torch.from_numpy(examples[rows])
        return (points[:, :-1] @ self.weights - points[:, -1]).square().mean()

    def gradient(self, weights: Float[Array, "columns"], rows: Int[Array, "batch"]) -> Float[Array, "columns"]:
        """The derivative of the mean squared error by the weights."""
        x, y = self.points[rows, :-1], self.points[rows, -1]
        return np.asarray(2 * x.T @ (x @ weights - y) / len(rows))

    def scorer(self, users: Int[Array, "u"] | None = None) -> TrainedScorer:
        """Raises NotImplementedError: steps are checked without ranking."""
        raise NotImplementedError


def _steps() -> dict[str, float]:
    """The largest difference of the weights after some steps from a new optimiser with gradients by the formula."""
    differences = {}
    for name, optimizer in OPTIMIZERS.items():
        rng = np.random.default_rng(SEED)
        model = _Line(rng.standard_normal((12, 4)))
        settings = type("_Settings", (TrainingSettings,), {"optimizer": name})(lr=_RATE)
        steps = Steps(model, settings)
        expected = torch.nn.Parameter(model.weights.detach().clone())
        other = optimizer([expected], _RATE)
        for rows in _batches(rng):
            steps.take(model.points, rows, rng, "a step")
            expected.grad = torch.from_numpy(model.gradient(expected.detach().numpy(), rows))
            other.step()
        differences[f"steps of {name}"] = (model.weights - expected).abs().max().item()
    return differences


def _batches(rng: np.random.Generator) -> Iterator[Int[Array, "batch"]]:
    """Rows of some batches."""
    for _ in range(_STEPS):
        yield rng.permutation(12)[:5]


def _ease() -> float:
    """The largest difference of EASE's scores from regressions of single tracks on all others."""
    train, settings = small().split.test.train, EASE(l2=20.0)
    scorer = settings.fit(train, small().content, None, np.random.default_rng(SEED))
    played = train.csr().toarray()[:, train.items].astype(np.float64)
    columns = np.linspace(0, len(train.items) - 1, _COLUMNS).astype(np.int64)
    expected = np.stack([_regression(played, int(column), settings.l2) for column in columns], 1)
    scores = scorer.score(np.arange(train.n_users), train.items[columns]).numpy()
    return float(np.abs(scores - played @ expected).max())


def _regression(played: Float[Array, "users columns"], column: int, l2: float) -> Float[Array, "columns"]:
    """Weights of all other columns that predict a column best, with a penalty on their squares."""
    others = np.delete(np.arange(played.shape[1]), column)
    penalty = np.sqrt(l2) * np.eye(len(others))
    target = np.concatenate([played[:, column], np.zeros(len(others))])
    solution = np.linalg.lstsq(np.concatenate([played[:, others], penalty]), target, rcond=None)[0]
    weights = np.zeros(played.shape[1])
    weights[others] = solution
    return weights


def _popularity() -> float:
    """The largest difference of popularity's scores from the number of users of each track."""
    train = small().split.test.train
    scorer = Popularity().fit(train, small().content, None, np.random.default_rng(SEED))
    users = [len(set(train.user[train.item == item].tolist())) for item in train.items]
    scores = scorer.score(np.arange(1), train.items).numpy()[0]
    return float(np.abs(scores - np.array(users)).max())

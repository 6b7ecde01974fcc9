"""Second implementations of the trained recommenders' networks and losses, in float64, from their formulas.

Values and gradients agree on inputs of any shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cosine_similarity, normalize

from timbrec.data.interactions import Interactions
from timbrec.protocols import Content
from timbrec.recommenders.bert4rec import BERT4Rec, BERT4RecModel
from timbrec.recommenders.contrastive import Contrastive, ContrastiveModel
from timbrec.recommenders.hybrid import Hybrid, HybridModel
from timbrec.recommenders.shallow import ShallowModel, ShallowNet
from timbrec.recommenders.shared.losses import ContrastiveLoss, contrastive, nmse, one_way
from timbrec.recommenders.shared.sequences import MASK, PADDING
from timbrec.training import negatives

EXACT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-12}
Learned = tuple[Literal["users", "items"], ...]
seeds = st.integers(0, 2**32 - 1)


def numbers(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def gradients(loss: torch.Tensor, *inputs: torch.Tensor) -> list[torch.Tensor]:
    grads = torch.autograd.grad(loss, inputs, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(value) if grad is None else grad for value, grad in zip(inputs, grads, strict=True)]


def played(seed: int, users: int, items: int, least: int = 1) -> Interactions:
    """Random plays, of at least `least` items by every user."""
    rng = np.random.default_rng(seed)
    rows = rng.random((users, items)) < rng.uniform(0.05, 0.4)
    for row in rows:
        row[rng.choice(items, min(least, items), replace=False)] = True
    user, item = np.nonzero(rows)
    return Interactions(user, item, rng.integers(1, 50, len(user)), rng.permutation(len(user)), users, items)


def assert_equal_gradients(
    loss: torch.Tensor, expected: torch.Tensor, model: torch.nn.Module, rtol: float = 1e-7, atol: float = 1e-10
) -> None:
    """Compare the gradients of two losses with respect to all parameters of a model; sparse ones as dense."""
    weights = list(model.parameters())
    for gradient, other in zip(gradients(loss, *weights), gradients(expected, *weights), strict=True):
        torch.testing.assert_close(gradient.to_dense(), other, rtol=rtol, atol=atol)


# Contrastive losses


def plainly(name: str, z1: torch.Tensor, z2: torch.Tensor, t: float, sigma: float) -> torch.Tensor:
    """A contrastive loss in a single direction: a loop over items with a sum of exponentials each."""
    n = len(z1)
    agree = [z1[i] @ z2[i] for i in range(n)]
    softmax = torch.stack([similarity / sigma for similarity in agree]).softmax(0)
    total = torch.zeros((), dtype=z1.dtype)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        negative = [z1[i] @ z2[j] for j in others]
        negative += [z1[i] @ z1[j] for j in others] if "A" not in name else []
        negative += [z2[i] @ z2[j] for j in others] if "S" in name else []
        weight = 2 - n * softmax[i] if name.endswith("W") else 1
        denominator = torch.stack([torch.exp(similarity / t) for similarity in negative]).sum()
        total = total + (-weight * agree[i] / t + denominator.log())
    return total / n


@settings(max_examples=25)
@given(
    st.sampled_from(get_args(ContrastiveLoss)), st.integers(2, 9), st.integers(1, 7), st.floats(0.05, 2),
    st.floats(0.1, 3), st.integers(1, 12), seeds,
)  # fmt: skip
def test_contrastive_losses(
    name: ContrastiveLoss, n: int, dim: int, t: float, sigma: float, block: int, seed: int
) -> None:
    """The weights of the W losses are not detached: their gradient counts."""
    z1, z2 = (normalize(numbers(seed + side, n, dim)).requires_grad_() for side in (0, 1))
    forward, back = plainly(name, z1, z2, t, sigma), plainly(name, z2, z1, t, sigma)
    expected = {"DCL": forward + back, "DCLW": forward + back, "SDCLW": (forward + back) / 2}.get(name, forward)
    for loss, plain in (
        (contrastive(name, z1, z2, t, sigma, block), expected),
        (one_way(name, z1, z2, t, sigma), forward),
    ):
        torch.testing.assert_close(loss, plain, **EXACT)
        for gradient, plain_gradient in zip(gradients(loss, z1, z2), gradients(plain, z1, z2), strict=True):
            torch.testing.assert_close(gradient, plain_gradient, **EXACT)


@settings(max_examples=10)
@given(st.integers(2, 12), st.integers(1, 6), st.integers(1, 5), st.integers(1, 7), seeds)
def test_contrastive_model(items: int, dim: int, factors: int, width: int, seed: int) -> None:
    """MLPs, L2 normalisation and ADCL of a batch, as matrix products."""
    train = played(seed, 3, items)
    content, collaborative = numbers(seed, items, dim).float(), numbers(seed + 1, items, factors).float()
    chosen = Contrastive.preset("tamm2026", width=width)
    model = ContrastiveModel(chosen, train, Content(content.numpy()), collaborative.numpy()).double()
    loss = model(model.examples(train), np.arange(len(train.items)), np.random.default_rng(0))
    rows = torch.from_numpy(train.items)
    sides = []
    for vectors, tower in ((content, model.content_tower), (collaborative, model.collaborative_tower)):
        w1, b1, w2, b2 = tower.parameters()
        hidden = (vectors[rows].double() @ w1.T + b1).clamp(min=0) @ w2.T + b2
        sides.append(hidden / hidden.norm(dim=1, keepdim=True))
    if len(rows) > 1:
        expected = plainly("ADCL", sides[0], sides[1], 0.1, 0.5)
        torch.testing.assert_close(loss, expected, **EXACT)
        assert_equal_gradients(loss, expected, model, atol=1e-10)


# Shallow Net


@settings(max_examples=15)
@given(
    st.integers(2, 9), st.integers(2, 9), st.integers(1, 6), st.integers(1, 5), st.integers(1, 4),
    st.sampled_from([("users",), ("items",), ("users", "items"), ()]), st.booleans(), seeds,
)  # fmt: skip
def test_shallow_net(
    users: int, items: int, dim: int, width: int, count: int, learned: Learned, confidence: bool, seed: int
) -> None:
    """Triplet by triplet: the layer, ReLU, cosine, hinge, weight 1 + 2 log(1 + plays)."""
    train, content = played(seed, users, items), numbers(seed, items, dim).float().numpy()
    chosen = ShallowNet(
        learned=learned, negatives=count, negative_users="any", width=width, scale="none", confidence=confidence
    )
    model = ShallowModel(chosen, train, Content(content)).double()
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(train), rng.integers(1, len(train) + 1), replace=False)
    drawn = rng.integers(users, size=(len(rows), count))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(negatives, "sample_negatives", lambda *_: drawn)
        loss = model(train, rows, rng)
    weight, bias = model.tower.layers[0].parameters()
    total = torch.zeros((), dtype=torch.float64)
    for place, row in enumerate(rows):
        of_item = (weight @ model.items[train.item[row]] + bias).clamp(min=0)
        score = [
            cosine_similarity((weight @ model.users[user] + bias).clamp(min=0), of_item, dim=0, eps=1e-16)
            for user in (train.user[row], *drawn[place])
        ]
        hinge = torch.stack([(0.2 - score[0] + against).clamp(min=0) for against in score[1:]]).sum() / count
        total = total + hinge * (1 + 2 * math.log(1 + train.plays[row]) if confidence else 1)
    expected = total / len(rows)
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-12)
    assert_equal_gradients(loss, expected, model, atol=1e-10)
    start = np.stack([content[train.item[train.user == user]].mean(0) for user in range(users)])
    np.testing.assert_allclose(model.users.detach(), start, atol=1e-6, err_msg="users start at the mean of their items")
    assert {name for name, _ in model.named_parameters()} == {*learned, "tower.layers.0.weight", "tower.layers.0.bias"}


# Hybrid


def dense(x: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """Mean over all entries of the squared difference of unit rows, which includes the factor 2/N."""
    y = x @ a @ a.T - x
    unit = [rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-300) for rows in (y, x)]
    return torch.sum((unit[0] - unit[1]) ** 2) / x.numel()


@settings(max_examples=15)
@given(
    st.integers(1, 12), st.integers(4, 15), st.integers(2, 6), st.integers(2, 6),
    st.sampled_from(["corrected", "tamm2026"]), seeds,
)  # fmt: skip
def test_hybrid(users: int, items: int, dim: int, width: int, protocol: str, seed: int) -> None:
    """x, A, xAA^T - x and both norms as matrices; `corrected` has no columns of items without plays."""
    train, content = played(seed, users, items - 2, least=2), numbers(seed, items, dim).float().numpy()
    train = Interactions(train.user, train.item, train.plays, train.first, users, items)
    model = HybridModel(Hybrid.preset(protocol, width=width, scale="none"), train, Content(content)).double()
    loss = model(model.examples(train), np.arange(users), np.random.default_rng(0))
    w1, b1, w2, b2 = model.tower.parameters()
    hidden = (torch.from_numpy(content).double() @ w1.T + b1).clamp(min=0) @ w2.T + b2
    x, a = torch.zeros(users, items, dtype=torch.float64), hidden / hidden.norm(dim=1, keepdim=True)
    x[train.user, train.item] = 1
    columns = train.items if protocol == "corrected" else np.arange(items)
    expected = dense(x[:, columns], a[columns])
    torch.testing.assert_close(loss, expected, **EXACT)
    assert_equal_gradients(loss, expected, model, atol=1e-11)
    cosine = cosine_similarity(x[:, columns] @ a[columns] @ a[columns].T - x[:, columns], x[:, columns])
    assert loss.item() == pytest.approx((2 / (users * len(columns)) * (1 - cosine).sum()).item(), rel=1e-9), "2/N kept"


@pytest.mark.parametrize("protocol", ["corrected", "tamm2026"])
def test_cold_vectors_change_the_loss_of_the_preset_tamm2026_alone(protocol: str) -> None:
    """The preset tamm2026 has zero targets for items without plays, so that their vectors change its loss."""
    train, content = played(3, 6, 8, least=2), numbers(3, 10, 4).float().numpy()
    train = Interactions(train.user, train.item, train.plays, train.first, 6, 10)
    other = content.copy()
    other[np.flatnonzero(train.item_users == 0)] *= -3
    losses = []
    for vectors in (content, other):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = HybridModel(Hybrid.preset(protocol, width=4, scale="none"), train, Content(vectors)).double()
        loss = model(model.examples(train), np.arange(6), np.random.default_rng(0))
        sizes = (float(gradient.abs().sum()) for gradient in gradients(loss, *model.parameters()))
        losses.append((loss.item(), *sizes))
    assert (losses[0] == losses[1]) == (protocol == "corrected")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_of_a_zero_reconstruction_is_finite(dtype: torch.dtype) -> None:
    """y = xAA^T - x is zero for users with one play each and orthogonal items. |y| is clamped before the root."""
    vectors = torch.eye(4, dtype=dtype)[[0, 1, 2, 3]].requires_grad_()
    loss = nmse(torch.tensor([0, 1, 3, 3]), torch.tensor([2, 0, 1]), vectors, 4)
    assert loss.item() == pytest.approx(2 * 2 / (3 * 4), rel=1e-6), "cosine 0 for both; the user without plays is 0"
    (gradient,) = gradients(loss, vectors)
    assert gradient.isfinite().all()


# BERT4Rec


def mlp(weight: Mapping[str, torch.Tensor], vectors: torch.Tensor) -> torch.Tensor:
    """BERT4Rec's projection of items, scaled to the length of vectors of unit variance."""
    vectors = vectors * math.sqrt(vectors.shape[1]) / vectors.square().sum(1, keepdim=True).sqrt()
    inner = (vectors @ weight["project.first.weight"].T + weight["project.first.bias"]).clamp(min=0)
    return (inner @ weight["project.second.weight"].T + weight["project.second.bias"]) / math.sqrt(inner.shape[1])


def bert(model: BERT4RecModel, places: np.ndarray) -> torch.Tensor:
    """BERT of a single user (Devlin et al. 2019): attention head by head, without padding or fused kernels.

    With norms before the sublayers as in Xiong et al. (2020), figure 1 b.
    """
    net, heads, before = model.transformer, model.settings.heads, model.settings.norm == "before"
    weight = dict(net.named_parameters())
    items = model.items if model.settings.width is None else mlp(weight, model.items)

    def norm(h: torch.Tensor, name: str) -> torch.Tensor:
        centred = h - h.mean(1, keepdim=True)
        scaled = centred / (centred.pow(2).mean(1, keepdim=True) + 1e-12).sqrt()
        return scaled * weight[f"{name}.weight"] + weight[f"{name}.bias"]

    h = torch.stack([net.special[0] if place == MASK else items[place] for place in places])
    places_of = range(len(places)) if model.settings.positions == "start" else range(len(places))[::-1]
    h = h + torch.stack([net.positions[place] for place in places_of])
    h = h if before else norm(h, "norm")
    width = h.shape[1]
    for layer in range(model.settings.layers):
        at = f"encoder.layers.{layer}."
        into = norm(h, f"{at}norm1") if before else h
        qkv = into @ weight[f"{at}self_attn.in_proj_weight"].T + weight[f"{at}self_attn.in_proj_bias"]
        attended = []
        for head in range(heads):
            columns = slice(head * width // heads, (head + 1) * width // heads)
            q, k, v = (qkv[:, part * width : (part + 1) * width][:, columns] for part in range(3))
            attended.append((q @ k.T / math.sqrt(width // heads)).softmax(1) @ v)
        out = (
            torch.cat(attended, 1) @ weight[f"{at}self_attn.out_proj.weight"].T + weight[f"{at}self_attn.out_proj.bias"]
        )
        h = h + out if before else norm(h + out, f"{at}norm1")
        into = norm(h, f"{at}norm2") if before else h
        inner = into @ weight[f"{at}linear1.weight"].T + weight[f"{at}linear1.bias"]
        inner = inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))
        h = h + inner @ weight[f"{at}linear2.weight"].T + weight[f"{at}linear2.bias"]
        h = h if before else norm(h, f"{at}norm2")
    return norm(h, "norm") if before else h


@settings(max_examples=12)
@given(
    st.integers(1, 6), st.integers(3, 12), st.integers(1, 3), st.sampled_from([1, 2, 3]), st.integers(2, 9),
    st.sampled_from(["corrected", "tamm2026"]), seeds,
)  # fmt: skip
def test_bert4rec(users: int, items: int, layers: int, heads: int, length: int, protocol: str, seed: int) -> None:
    """User by user and mask by mask: minus the log of a softmax over all classes."""
    train = played(seed, users, items)
    train = Interactions(train.user, train.item, train.plays, train.first, users, items + 2)
    size = {"width": 2 * heads} if protocol == "corrected" else {}
    dim = 5 if size else 2 * heads
    chosen = BERT4Rec.preset(
        protocol, **size, layers=layers, heads=heads, feed_forward=7, length=length, scale="none", mask=0.4
    )
    content = numbers(seed, items + 2, dim).float().numpy()
    with torch.random.fork_rng():
        torch.manual_seed(seed % 1000)
        model = BERT4RecModel(chosen, train, Content(content)).double().eval()
    for parameter in model.parameters():  # away from the small numbers, zeros and ones they start with
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)).double()
    drawn: list[np.ndarray] = []
    masked = model_masks(drawn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("timbrec.recommenders.bert4rec._masked", masked)
        loss = model(model.examples(train), np.arange(users), np.random.default_rng(seed))

    named = dict(model.transformer.named_parameters())
    table = model.items if model.settings.width is None else mlp(named, model.items)
    classes = table if protocol == "corrected" else torch.cat([table, model.transformer.special])
    losses = []
    assert train.first is not None
    for user in range(users):
        own = np.flatnonzero(train.user == user)
        history = train.item[own[np.argsort(train.first[own])]][-length:]
        column = np.array([{item: at for at, item in enumerate(model.targets)}[item] for item in history])
        hidden_at = np.flatnonzero(drawn[0][user])
        places = column.copy()
        places[hidden_at] = MASK
        if len(hidden_at):
            logits = bert(model, places)[hidden_at] @ classes.T
            losses += [-torch.log(row.softmax(0)[column[at]]) for row, at in zip(logits, hidden_at, strict=True)]
    expected = torch.stack(losses).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-8, atol=1e-10)
    assert_equal_gradients(loss, expected, model, rtol=1e-6, atol=1e-9)
    assert len(classes) == (len(train.items) if protocol == "corrected" else items + 4), "unseen items are no classes"
    assert PADDING not in column


def model_masks(drawn: list[np.ndarray]) -> Callable[..., np.ndarray]:
    """The model's own choice of masks, which also appends it to `drawn`."""
    from timbrec.recommenders.bert4rec import _masked

    def masked(*arguments: Any) -> np.ndarray:
        drawn.append(_masked(*arguments))
        return drawn[-1]

    return masked

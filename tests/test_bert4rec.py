from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from timbrec.data.interactions import Interactions
from timbrec.errors import ConfigError
from timbrec.protocols import Content
from timbrec.recommenders.bert4rec import BERT4Rec, BERT4RecModel, projected, user_states
from timbrec.recommenders.random import Random
from timbrec.recommenders.shared.log_sum import mean_log_sum
from timbrec.recommenders.shared.projected_log_sum import projected_log_sum
from timbrec.recommenders.shared.sequences import MASK, PADDING, Sequences
from timbrec.recommenders.shared.transformer import ItemTransformer, Norm, Positions, Start
from timbrec.training import validate
from trained_world import grad_of, world

STUDY = Path(__file__).parent / "data" / "study"
GOLDEN = np.load(STUDY / "bert4rec.npz")
WEIGHTS = load_file(STUDY / "bert4rec.safetensors")
SIZES = json.loads((STUDY / "bert4rec.json").read_text())
PLACE = world(60, 50, 12)
SMALL = BERT4Rec(width=8, length=12, batch=16, epochs=2, feed_forward=16)


def study_transformer() -> ItemTransformer:
    """BERT's parameters under the names of PyTorch's layers; the constant segment is part of the positions."""
    bert = {name.removeprefix("transformer_model."): value for name, value in WEIGHTS.items()}
    state = {
        "special": WEIGHTS["item_embeddings.weight"][[SIZES["mask_id"], SIZES["padding_id"]]],
        "positions": bert["embeddings.position_embeddings.weight"] + bert["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": bert["embeddings.LayerNorm.weight"],
        "norm.bias": bert["embeddings.LayerNorm.bias"],
    }
    parts = {
        "self_attn.out_proj": "attention.output.dense", "norm1": "attention.output.LayerNorm",
        "linear1": "intermediate.dense", "linear2": "output.dense", "norm2": "output.LayerNorm",
    }  # fmt: skip
    for layer in range(SIZES["num_hidden_layers"]):
        mine, theirs = f"encoder.layers.{layer}.", f"encoder.layer.{layer}."
        for kind in ("weight", "bias"):
            three = [bert[f"{theirs}attention.self.{name}.{kind}"] for name in ("query", "key", "value")]
            state[f"{mine}self_attn.in_proj_{kind}"] = torch.cat(three)
            state |= {f"{mine}{name}.{kind}": bert[f"{theirs}{other}.{kind}"] for name, other in parts.items()}
    transformer = ItemTransformer(
        SIZES["hidden_size"], None, SIZES["num_hidden_layers"], SIZES["num_attention_heads"],
        SIZES["intermediate_size"], SIZES["max_position_embeddings"], 0.1, "after",
        "start", "random",
    )  # fmt: skip
    transformer.load_state_dict(state)
    return transformer.eval()


@pytest.mark.parametrize("learning", [True, False])
def test_logits_of_the_study(learning: bool) -> None:
    """With gradients and without: PyTorch's layers have a fast path of their own for the latter."""
    transformer = study_transformer()
    tracks = torch.from_numpy(GOLDEN["input_ids"])
    tracks = torch.where(tracks == SIZES["mask_id"], MASK, torch.where(tracks == SIZES["padding_id"], PADDING, tracks))
    with torch.set_grad_enabled(learning):
        table = transformer.table(WEIGHTS["item_embeddings.weight"][: SIZES["items"]])
        logits = transformer(tracks, table) @ table.T
    attended = GOLDEN["attention_mask"] > 0
    np.testing.assert_allclose(logits.detach().numpy()[attended], GOLDEN["logits"][attended], atol=1e-5)


def test_tamm2026_classifies_all_items_and_the_special_tokens() -> None:
    """The loss is the cross-entropy of the study's logits at the masked places."""
    tracks = np.where(GOLDEN["attention_mask"] > 0, GOLDEN["input_ids"], PADDING)
    masked, labels = tracks == SIZES["mask_id"], np.full(tracks.shape, -100)
    labels[masked] = [7, 11, 29]
    places = np.where(masked, labels, tracks)
    train = Interactions(np.zeros(30, int), np.arange(30), np.ones(30, int), None, 1, 30)
    content = Content(WEIGHTS["item_embeddings.weight"][:30].numpy())
    model = BERT4RecModel(BERT4Rec.preset("tamm2026", feed_forward=24, length=20), train, content)
    model.transformer.load_state_dict(study_transformer().state_dict())
    loss = model.eval()._cross_entropy(places, masked, None)
    expected = cross_entropy(torch.from_numpy(GOLDEN["logits"]).view(-1, 32), torch.from_numpy(labels).view(-1))
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)


def small_model(**changes: Any) -> BERT4RecModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BERT4RecModel(replace(SMALL, **changes), PLACE.fold.train, PLACE.content).double().eval()


@pytest.mark.parametrize("logits_in_a_block", [1, 2**20])
@pytest.mark.parametrize(
    "settings",
    [
        {}, {"targets": "catalogue"}, {"learned": ("items",)}, {"learned": ("items",), "targets": "catalogue"},
        {"width": None}, {"width": None, "learned": ("items",)},
    ],
)  # fmt: skip
def test_loss_and_gradients_equal_those_of_dense_logits(
    settings: dict[str, Any], logits_in_a_block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, train = small_model(**settings), PLACE.fold.train
    monkeypatch.setattr("timbrec.recommenders.shared.projected_log_sum._LOGITS", logits_in_a_block)
    monkeypatch.setattr("timbrec.recommenders.shared.projected_log_sum._FEWEST", 7)
    tracks = Sequences(train).latest(train.users[:20], 12)
    masked = (tracks != PADDING) & (np.random.default_rng(0).random(tracks.shape) < 0.3)
    monkeypatch.setattr("timbrec.recommenders.bert4rec._masked", lambda *_: masked)
    loss = model(model.examples(train), np.arange(20), np.random.default_rng(0))
    loss.backward()
    gradients = {name: grad_of(parameter).clone() for name, parameter in model.named_parameters()}

    model.zero_grad()
    columns = np.where(tracks == PADDING, PADDING, model.column_of[tracks])
    table = model.transformer.table(model.items)
    hidden = model.transformer(torch.from_numpy(np.where(masked, MASK, columns)), table)
    classes = table if settings.get("targets") == "catalogue" else table[:-2]
    expected = cross_entropy(hidden[torch.from_numpy(masked)] @ classes.T, torch.from_numpy(columns[masked]))
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-7, atol=1e-12)


def test_memory_of_the_loss_does_not_grow_with_the_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest tensor that a step allocates has the size of a block, not of the items or the logits."""
    monkeypatch.setattr("timbrec.recommenders.shared.projected_log_sum._LOGITS", 2**14)
    largest = []
    for n in (2_000, 20_000):
        items, rows = torch.randn(n, 8), torch.randn(50, 4, requires_grad=True)
        project = torch.nn.Linear(8, 4)
        with torch.profiler.profile(profile_memory=True) as profiled:
            projected_log_sum(rows, items, project).backward()
        largest.append(max(event.cpu_memory_usage for event in profiled.events()))
    assert largest[0] == largest[1] == 4 * 50 * (2**14 // 50)


def test_the_sampled_denominator_is_right_on_average(monkeypatch: pytest.MonkeyPatch) -> None:
    model, train, draws = small_model(exact_up_to=1, samples=30), PLACE.fold.train, np.random.default_rng(5)
    masked = np.zeros((20, 12), bool)
    masked[:, 0] = True
    monkeypatch.setattr("timbrec.recommenders.bert4rec._masked", lambda present, *_: masked[:, : present.shape[1]])
    examples, rows = model.examples(train), np.arange(20)
    exact = small_model()
    with torch.no_grad():
        expected = exact(examples, rows, draws).item()
        sampled = np.array([model(examples, rows, draws).item() for _ in range(300)])
    error = sampled.std() / np.sqrt(len(sampled))
    assert abs(sampled.mean() - expected) < 4 * error + 0.01, "log of an unbiased sum: a little below at 30 samples"
    every_item = small_model(exact_up_to=1, samples=len(model.targets))
    with torch.no_grad():
        assert every_item(examples, rows, draws).item() == pytest.approx(expected, rel=1e-9)


def test_log_sums_in_blocks() -> None:
    rows, columns = torch.randn(7, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    bias, own = torch.randn(5, dtype=torch.float64), torch.tensor([0, 1, 4, 4, 2, 0, 3])
    logits = rows @ columns.T + bias
    logits[torch.arange(7), own] = (rows * columns[own]).sum(1) + 0.5
    blockwise = mean_log_sum([(rows, columns)], 2, own, 0.5, bias)
    assert blockwise.item() == pytest.approx(logits.logsumexp(1).mean().item(), rel=1e-12)
    doubled = torch.cat([rows @ columns.T + bias, rows @ columns.T + bias], 1)
    blockwise = mean_log_sum([(rows, columns), (rows, columns)], 2, bias=bias)
    assert blockwise.item() == pytest.approx(doubled.logsumexp(1).mean().item(), rel=1e-12)


@given(
    st.lists(st.integers(0, 11), min_size=1, max_size=8, unique=True),
    st.sampled_from([("before", "end", "copying"), ("after", "start", "random")]),
    st.integers(0, 2**32 - 1),
)
def test_padding_and_other_users_change_no_state(
    together: list[int], kind: tuple[Norm, Positions, Start], seed: int
) -> None:
    """A user's state is the same alone and beside longer and shorter histories."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 15, 12)
    user = np.repeat(np.arange(12), counts)
    item = np.concatenate([np.sort(rng.choice(50, count, replace=False)) for count in counts])
    histories = Interactions(user, item, np.ones(len(user), int), rng.permutation(len(user)), 12, 50)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformer = ItemTransformer(8, None, 2, 2, 16, 12, 0.1, *kind).eval()
    items = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)
    sequences = Sequences(histories)
    beside = user_states(transformer, items, sequences, np.array(together))
    alone = np.concatenate([user_states(transformer, items, sequences, np.array([user_row])) for user_row in together])
    np.testing.assert_allclose(beside, alone, atol=1e-5)


def test_sequences_are_the_latest_plays_in_order_of_time() -> None:
    user, item = np.array([0, 0, 0, 2, 2]), np.array([1, 5, 7, 0, 3])
    sequences = Sequences(Interactions(user, item, np.ones(5, int), np.array([30, 10, 20, 2, 1]), 3, 9))
    latest = sequences.latest(np.array([0, 1, 2]), 2)
    assert latest.tolist() == [[7, 1], [PADDING, PADDING], [3, 0]]
    assert sequences.users.tolist() == [0, 2]


def test_without_times_each_user_has_a_pseudo_random_order() -> None:
    """A common order for all users would teach the model which tracks come last in it."""
    n_users, n_items = 300, 40
    user, item = np.nonzero(np.random.default_rng(0).random((n_users, n_items)) < 0.5)
    pairs = Interactions(user, item, np.ones(len(user), int), None, n_users, n_items)
    orders = Sequences(pairs).latest(pairs.users, n_items)
    counts = np.bincount([order[order != PADDING][-1] for order in orders], minlength=n_items)
    expected = np.bincount(item, weights=1 / pairs.user_items[user], minlength=n_items)
    assert ((counts - expected) ** 2 / expected).sum() < 76, "chi-squared with 39 degrees of freedom, p about 0.0004"
    kept = user > 9
    kept[-1] = False
    more = Interactions(user[kept] - 10, item[kept], pairs.plays[kept], None, n_users - 10, n_items + 5)
    assert (Sequences(more).latest(np.arange(50), n_items) == orders[10:60, : orders.shape[1]]).all()


def test_unseen_items_are_never_classes() -> None:
    """Two catalogues that differ in cold items alone give the same loss."""
    other = PLACE.content.vectors.copy()
    other[PLACE.fold.train.item_users == 0] = 99.0
    losses = []
    for vectors in (PLACE.content.vectors, other):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = BERT4RecModel(SMALL, PLACE.fold.train, Content(vectors)).eval()
        losses.append(model(model.examples(PLACE.fold.train), np.arange(20), np.random.default_rng(0)).item())
    assert losses[0] == losses[1]


def test_the_norm_of_a_content_vector_does_not_matter() -> None:
    """Vectors with heavy tails would otherwise decide the softmax by their length alone."""
    transformer = BERT4RecModel(SMALL, PLACE.fold.train, PLACE.content).transformer
    vectors = np.random.default_rng(0).standard_normal((5, PLACE.content.vectors.shape[1])).astype(np.float32)
    longer = vectors * np.array([[1e-3], [1], [1e3], [7], [0.1]], np.float32)
    short, long, zero = (
        projected(transformer, 5, each.__getitem__) for each in (vectors, longer, np.zeros_like(vectors))
    )
    np.testing.assert_allclose(long, short, rtol=1e-5, atol=1e-6)
    assert np.isfinite(zero).all()


@pytest.mark.parametrize("learned", [(), ("items",)])
def test_a_scorer_of_some_users_has_the_states_of_all(learned: tuple[str, ...]) -> None:
    """And the items of both are the projected table, beside those that are no targets."""
    model = small_model(learned=learned).eval().float()
    with torch.no_grad():
        if learned:
            model.items *= 1.5
            model.items[3] += 1
        users = np.array([1, 4, 5, 19])
        some, all_ = model.scorer(users), model.scorer()
        catalogue = model.scaling(PLACE.content.vectors)
        catalogue[model.targets] = model.items.numpy()
        items = model.transformer.project(torch.from_numpy(catalogue)).numpy()
    np.testing.assert_array_equal(all_.items, items)
    np.testing.assert_array_equal(some.items, items)
    np.testing.assert_allclose(some.users, all_.users[users], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_training_beats_chance_and_recovers_cold_items() -> None:
    place = world(500, 200, 20, dial=8)
    rng = np.random.default_rng(1)
    settings = BERT4Rec(width=32, length=24, batch=32, epochs=15, feed_forward=32, lr=3e-3)
    scorer = settings.fit(place.fold.train, place.content, place.fold, rng)
    chance = Random().fit(place.fold.train, place.content, None, rng)
    assert validate(scorer, place.fold, "hot") > 1.5 * validate(chance, place.fold, "hot")
    assert validate(scorer, place.fold, "cold") > 1.2 * validate(chance, place.fold, "cold")
    assert scorer.facts["moved items"] == 0.0


def test_widths_that_do_not_divide_into_heads_are_refused() -> None:
    with pytest.raises(ConfigError, match="9 dimensions cannot be split into 2 heads"):
        small_model(width=9)

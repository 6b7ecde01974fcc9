from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from timbrec.data.interactions import Interactions
from timbrec.errors import ConfigError
from timbrec.protocols import Content
from timbrec.ranking.rank import rank
from timbrec.recommenders.bert4rec import BERT4Rec
from timbrec.recommenders.random import Random
from timbrec.recommenders.shallow import ShallowModel, ShallowNet, ShallowScorer, Table
from timbrec.recommenders.shared import towers
from timbrec.training import negatives, validate
from trained_world import grad_of, world

STUDY = Path(__file__).parent / "data" / "study"
GOLDEN = np.load(STUDY / "shallow.npz")
WEIGHTS = load_file(STUDY / "shallow.safetensors")
FOUR = slice(None, None, 5)  # the golden repeats each of its four pairs for five negatives


def study_model(confidence: bool) -> ShallowModel:
    plays = np.rint(np.exp((GOLDEN["confidence"][FOUR] - 1) / 2) - 1).astype(np.int64)
    train = Interactions(GOLDEN["users"][FOUR], GOLDEN["items"][FOUR], plays, None, 20, 30)
    content = Content(WEIGHTS["item_embeddings.weight"].numpy())
    settings = ShallowNet.preset("tamm2026", width=7, negatives=5, confidence=confidence)
    model = ShallowModel(settings, train, content)
    model.users.copy_(WEIGHTS["user_embeddings.weight"])
    layer = {name.removeprefix("model."): WEIGHTS[name] for name in ("model.0.weight", "model.0.bias")}
    model.tower.layers.load_state_dict(layer)
    return model


def test_scores_of_the_study() -> None:
    users = np.stack([GOLDEN["users"], GOLDEN["negative_users"]], axis=1)
    scores = study_model(False).scores(GOLDEN["items"], users).detach().numpy()
    np.testing.assert_allclose(scores[:, 0], GOLDEN["positive_score"], atol=1e-5)
    np.testing.assert_allclose(scores[:, 1], GOLDEN["negative_score"], atol=1e-5)


@pytest.mark.parametrize("confidence", [False, True])
def test_hinge_of_the_study(confidence: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(negatives, "sample_negatives", lambda *_: GOLDEN["negative_users"].reshape(4, 5))
    model = study_model(confidence)
    loss = model(model.train_pairs, np.arange(4), np.random.default_rng(0))
    assert loss.item() == pytest.approx(float(GOLDEN["hinge_confidence" if confidence else "hinge"]), abs=1e-5)


def test_served_vectors_of_the_study() -> None:
    scorer = study_model(False).scorer()
    np.testing.assert_allclose(scorer.users, GOLDEN["served_users"], atol=1e-5)
    np.testing.assert_allclose(scorer.items, GOLDEN["served_items"], atol=1e-5)


@pytest.mark.parametrize("chosen", [[], [3], [0, 9, 10, 11, 59], list(range(60))])
def test_a_scorer_of_some_users_ranks_as_the_one_of_all(chosen: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit, and with no vectors of other users."""
    monkeypatch.setattr(towers, "_ROWS", 10)
    place, users = world(60, 50, 8), np.array(chosen, np.int64)
    model = ShallowModel(ShallowNet(width=9), place.fold.train, place.content)
    some, all_ = model.scorer(users), model.scorer()
    assert some.users.shape == (len(users), 9)
    ours, theirs = (rank(scorer, users, np.arange(50), place.fold.train, 20) for scorer in (some, all_))
    np.testing.assert_array_equal(ours.items, theirs.items)
    np.testing.assert_array_equal(ours.scores, theirs.scores)


@pytest.mark.parametrize("learned", [("users",), ("items",), ("users", "items")])
def test_gradients_are_those_of_the_naive_loss(learned: tuple[Table, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Towers once per triplet and torch's own cosine, in float64."""
    fold, content = world(60, 50, 8).fold, world(60, 50, 8).content
    settings = ShallowNet(learned=learned, negatives=7, negative_users="any", confidence=True, width=9)
    model = ShallowModel(settings, fold.train, content).double()
    rows, drawn = np.arange(0, len(fold.train), 2), {}
    drawn["users"] = np.random.default_rng(1).integers(60, size=(len(rows), 7))
    monkeypatch.setattr(negatives, "sample_negatives", lambda *_: drawn["users"])
    model(fold.train, rows, np.random.default_rng(0)).backward()
    gradients = {name: grad_of(parameter).clone() for name, parameter in model.named_parameters()}

    model.zero_grad()
    user, item = fold.train.user[rows].repeat(7), fold.train.item[rows].repeat(7)
    layer, items = model.tower.layers, model.items
    if "items" not in learned:  # a frozen table is the content
        items = (items - torch.from_numpy(model.scaling.shift)) * torch.from_numpy(model.scaling.factor)
    against = layer(model.users[drawn["users"].ravel()])
    for_user, for_item = layer(model.users[user]), layer(items[item])
    cosine = torch.nn.CosineSimilarity()
    hinge = (0.2 - cosine(for_user, for_item) + cosine(against, for_item)).clamp(min=0)
    (hinge * torch.from_numpy(1 + 2 * np.log(1 + fold.train.plays[rows].repeat(7)))).mean().backward()
    assert gradients.keys() == {*learned, "tower.layers.0.weight", "tower.layers.0.bias"}
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], grad_of(parameter), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("learned", [("users",), ("items",)])
def test_frozen_tables_keep_every_bit(learned: tuple[Table, ...]) -> None:
    place = world(60, 50, 8)
    before = place.content.vectors.copy()
    scorer = ShallowNet(epochs=2, batch=100, learned=learned, scale="none").fit(
        place.fold.train, place.content, None, np.random.default_rng(0)
    )
    assert {name for name in ("users", "items") if scorer.facts[f"moved {name}"] > 0} == set(learned)
    np.testing.assert_array_equal(place.content.vectors, before)
    assert isinstance(scorer, ShallowScorer)
    assert np.array_equal(scorer.table, before) == (learned == ("users",))


def test_training_beats_chance_and_recovers_cold_items() -> None:
    place = world()
    rng = np.random.default_rng(1)
    scorer = ShallowNet(epochs=15, batch=500).fit(place.fold.train, place.content, place.fold, rng)
    chance = Random().fit(place.fold.train, place.content, None, rng)
    assert validate(scorer, place.fold, "hot") > 1.5 * validate(chance, place.fold, "hot")
    assert validate(scorer, place.fold, "cold") > 1.3 * validate(chance, place.fold, "cold")


def test_fold_in_gives_the_vector_before_training() -> None:
    place = world(60, 50, 8)
    frozen = ShallowNet(epochs=1, learned=("items",)).fit(
        place.fold.train, place.content, None, np.random.default_rng(0)
    )
    started = ShallowNet(epochs=1, learned=("users",)).fit(
        place.fold.train, place.content, None, np.random.default_rng(0)
    )
    folded = started.user_vectors(place.fold.train)
    assert folded.shape == started.users.shape
    assert np.abs(folded - started.users).max() > 1e-6, "training moved the users"
    assert np.abs(frozen.user_vectors(place.fold.train) - frozen.users).max() > 0, "training moved the items"


@pytest.mark.parametrize(("protocol", "trained"), [("tamm2026", "items"), ("corrected", "users")])
def test_tamm2026_trains_items_and_corrected_trains_users(protocol: str, trained: str) -> None:
    """Defect 5 of the paper, inverted flags: `corrected` freezes the item table and learns the users."""
    place = world(60, 50, 8)
    scorer = ShallowNet.preset(protocol, epochs=1, batch=100).fit(
        place.fold.train, place.content, None, np.random.default_rng(0)
    )
    frozen = {"items": "users", "users": "items"}[trained]
    assert scorer.facts[f"moved {trained}"] > 0
    assert scorer.facts[f"moved {frozen}"] == 0.0
    assert isinstance(scorer, ShallowScorer)
    content = scorer.scaling(place.content.vectors)
    assert np.array_equal(scorer.table, content) == (frozen == "items")


@pytest.mark.parametrize("protocol", ["tamm2026", "corrected"])
def test_negative_users_are_not_the_first_17052(protocol: str) -> None:
    """Defect 4 of the paper: negatives were drawn from the first 17,052 users only."""
    n, constant = 20_000, 17_052
    train = Interactions(np.arange(n), np.arange(n) % 3, np.ones(n, int), None, n, 3)
    settings = ShallowNet.preset(protocol, negatives=20)
    model = ShallowModel(settings, train, Content(np.ones((3, 2), np.float32)))
    drawn = model._negatives(np.arange(3).repeat(1000), np.random.default_rng(0))
    theirs = np.random.default_rng(0).integers(constant, size=drawn.shape)
    behind = (n - constant) / n
    assert drawn.shape == (3000, 20)
    assert (drawn >= constant).mean() == pytest.approx(behind, abs=4 * np.sqrt(behind / drawn.size))
    assert not (theirs >= constant).any()
    owners = (drawn % 3 == np.arange(3).repeat(1000)[:, None]).mean()
    assert owners == (pytest.approx(1 / 3, abs=0.01) if protocol == "tamm2026" else 0), (
        "negatives of tamm2026 may have played the item"
    )


def test_all_users_are_drawn_as_negatives() -> None:
    place = world(60, 50, 8)
    for kind in ("any", "unplayed"):
        scorer = ShallowNet(epochs=3, negative_users=kind).fit(
            place.fold.train, place.content, None, np.random.default_rng(0)
        )
        assert scorer.facts["users drawn as negatives"] == 1.0


def test_settings_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"`stop_on` of ShallowNet must be 'mixed', 'hot', 'cold'.*e.g. 'noon'"):
        ShallowNet(stop_on="noon")  # type: ignore[arg-type] # the point of the test
    with pytest.raises(ConfigError, match="`margin` of ShallowNet must be greater than 0"):
        ShallowNet(margin=0.0)
    with pytest.raises(ConfigError, match="`mask` of BERT4Rec must be less than 1"):
        BERT4Rec(mask=1.0)
    assert BERT4Rec(dropout=0.0).dropout == 0.0

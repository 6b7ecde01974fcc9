from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import normalize

from timbrec.data.interactions import Interactions
from timbrec.protocols import Content, Workspace
from timbrec.ranking.rank import rank
from timbrec.recommenders.contrastive import Contrastive, ContrastiveModel, ContrastiveScorer, ReadOut
from timbrec.recommenders.random import Random
from timbrec.recommenders.shared.losses import ContrastiveLoss, contrastive, one_way
from timbrec.training import validate
from trained_world import grad_of, world

STUDY = Path(__file__).parent / "data" / "study"
LOSSES = np.load(STUDY / "contrastive_losses.npz")
MODEL = np.load(STUDY / "contrastive_model.npz")
WEIGHTS = load_file(STUDY / "contrastive_model.safetensors")
NAMES = get_args(ContrastiveLoss)
FAITHFUL = [name for name in NAMES if name != "SDCLW"]


def both_sides() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(LOSSES["z1"], requires_grad=True), torch.tensor(LOSSES["z2"], requires_grad=True)


@pytest.mark.parametrize("block", [5, 512])
@pytest.mark.parametrize("name", FAITHFUL)
def test_losses_and_gradients_of_the_study(name: ContrastiveLoss, block: int) -> None:
    z1, z2 = both_sides()
    loss = contrastive(name, z1, z2, 0.1, 0.5, block)
    loss.backward()
    assert loss.item() == pytest.approx(float(LOSSES[f"{name}_as_trained"]), abs=1e-5)
    assert one_way(name, z1, z2).item() == pytest.approx(float(LOSSES[f"{name}_one_way"]), abs=1e-5)
    np.testing.assert_allclose(grad_of(z1), LOSSES[f"{name}_grad_z1"], atol=1e-5)
    np.testing.assert_allclose(grad_of(z2), LOSSES[f"{name}_grad_z2"], atol=1e-5)


def test_the_study_trained_a_one_way_dclw_under_the_name_of_sdclw() -> None:
    """Defect 7 of the paper: its SDCLW equals our DCLW in one direction, gradients included."""
    z1, z2 = both_sides()
    loss = one_way("DCLW", z1, z2)
    loss.backward()
    assert loss.item() == pytest.approx(float(LOSSES["SDCLW_as_trained"]), abs=1e-5)
    np.testing.assert_allclose(grad_of(z1), LOSSES["SDCLW_grad_z1"], atol=1e-5)
    np.testing.assert_allclose(grad_of(z2), LOSSES["SDCLW_grad_z2"], atol=1e-5)
    assert abs(contrastive("SDCLW", z1, z2).item() - loss.item()) > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_losses_are_their_formulas(name: ContrastiveLoss) -> None:
    """Sums written out in float64; DCL, DCLW and SDCLW do not change when the sides are swapped, the others do."""
    z1, z2 = (torch.tensor(LOSSES[side], dtype=torch.float64) for side in ("z1", "z2"))
    forward, back = _written_out(name, z1.numpy(), z2.numpy()), _written_out(name, z2.numpy(), z1.numpy())
    minimised = {"DCL": forward + back, "DCLW": forward + back, "SDCLW": (forward + back) / 2}.get(name, forward)
    assert contrastive(name, z1, z2).item() == pytest.approx(minimised, rel=1e-12)
    swapped = contrastive(name, z2, z1).item()
    assert (swapped == pytest.approx(minimised, rel=1e-12)) == (name in ("DCL", "DCLW", "SDCLW"))


def _written_out(name: str, z1: np.ndarray, z2: np.ndarray, t: float = 0.1, sigma: float = 0.5) -> float:
    n, agree, total = len(z1), np.einsum("id,id->i", z1, z2), 0.0
    weights = 2 - n * np.exp(agree / sigma) / np.exp(agree / sigma).sum() if name.endswith("W") else np.ones(n)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        negatives = [z1[i] @ z2[j] for j in others]
        negatives += [z1[i] @ z1[j] for j in others] if "ADCL" not in name else []
        negatives += [z2[i] @ z2[j] for j in others] if "SDCL" in name else []
        total += -weights[i] * agree[i] / t + np.log(np.sum(np.exp(np.array(negatives) / t)))
    return total / n


def test_one_item_alone_has_a_finite_loss() -> None:
    z = normalize(torch.randn(1, 4))
    assert all(contrastive(name, z, z).isfinite() for name in NAMES)


def study_model() -> ContrastiveModel:
    n = 40
    train = Interactions(np.zeros(n, int), np.arange(n), np.ones(n, int), None, 1, n)
    content = Content(WEIGHTS["pretrained_content.weight"].numpy())
    settings = Contrastive.preset("tamm2026", width=8)
    model = ContrastiveModel(settings, train, content, WEIGHTS["pretrained_collaborative.weight"].numpy())
    for side, tower in (("content", model.content_tower), ("collaborative", model.collaborative_tower)):
        mine = {
            name.removeprefix(f"{side}_model."): value
            for name, value in WEIGHTS.items()
            if name.startswith(f"{side}_m")
        }
        tower.layers.load_state_dict(mine)
    return model


def test_towers_of_the_study() -> None:
    content, collaborative = study_model().embedded(torch.from_numpy(MODEL["indices"]))
    np.testing.assert_allclose(content.detach(), MODEL["content"], atol=1e-5)
    np.testing.assert_allclose(collaborative.detach(), MODEL["collaborative"], atol=1e-5)


def test_served_vectors_are_the_trained_ones() -> None:
    """Defect 7 of the paper: it trains unit vectors and serves them before normalisation."""
    model = study_model()
    scorer, trained = model.scorer(), model.embedded(torch.arange(40))
    readouts: tuple[ReadOut, ReadOut] = ("content", "collaborative")
    for side, vectors in zip(readouts, trained, strict=True):
        served = scorer.reading(side).items
        np.testing.assert_allclose(served, vectors.detach(), atol=1e-6)
        theirs = MODEL[f"served_{side}"]
        np.testing.assert_allclose(served, theirs / np.linalg.norm(theirs, axis=1, keepdims=True), atol=1e-5)
        assert np.abs(np.linalg.norm(theirs, axis=1) - 1).max() > 0.05


@pytest.mark.slow
def test_training_beats_chance_and_recovers_cold_items() -> None:
    place = world()
    rng = np.random.default_rng(1)
    scorer = Contrastive(epochs=30, batch=64, width=32, factors=16).fit(
        place.fold.train, place.content, place.fold, rng
    )
    chance = Random().fit(place.fold.train, place.content, None, rng)
    for scenario in ("hot", "cold"):
        assert validate(scorer, place.fold, scenario) > 1.3 * validate(chance, place.fold, scenario)
    assert isinstance(scorer, ContrastiveScorer)
    for readout in ("collaborative", "average"):
        read = scorer.reading(readout)
        assert validate(read, place.fold, "hot") > 1.3 * validate(chance, place.fold, "hot")
        assert validate(read, place.fold, "cold") == validate(scorer, place.fold, "cold")
    assert scorer.facts["moved content"] == 0.0


# Read-outs


PLACE = world(60, 50, 8)
TRAIN, COLD = PLACE.fold.train, np.flatnonzero(PLACE.fold.train.item_users == 0)
LISTS = {"hot": TRAIN.items, "cold": COLD, "mixed": np.arange(50)}


@pytest.fixture(scope="module")
def fitted() -> ContrastiveScorer:
    settings = Contrastive(epochs=2, width=8, factors=8, readout="average")
    scorer = settings.fit(TRAIN, PLACE.content, None, np.random.default_rng(0))
    assert isinstance(scorer, ContrastiveScorer)
    return scorer


def written_out(scorer: ContrastiveScorer, readout: str) -> np.ndarray:
    """Scores (users, items): the mean vector of a user's items times the item's vector."""
    content, collaborative = scorer.sides["content items"], scorer.sides["collaborative items"]
    vectors = {"content": content, "collaborative": collaborative, "average": (content + collaborative) / 2}[readout]
    vectors = vectors.astype(np.float64)
    return np.stack([vectors[TRAIN.item[TRAIN.user == user]].mean(0) for user in range(60)]) @ vectors.T


@pytest.mark.parametrize("scenario", LISTS)
@pytest.mark.parametrize("readout", get_args(ReadOut))
def test_a_list_has_one_read_out(fitted: ContrastiveScorer, readout: ReadOut, scenario: str) -> None:
    """Hot lists have the one that is set; with one cold item among the candidates users and items are of content."""
    scorer, items = fitted.reading(readout), LISTS[scenario]
    assert scorer.can_rank_cold
    expected = written_out(fitted, readout if scenario == "hot" else "content")
    np.testing.assert_allclose(scorer.score(np.arange(60), items), expected[:, items], atol=1e-6)
    lists = rank(scorer, np.arange(60), items, TRAIN, 5, memory=1)
    taken = np.take_along_axis(expected, lists.items, 1)
    np.testing.assert_allclose(lists.scores, np.where(lists.items < 0, -np.inf, taken), atol=1e-6)
    if scenario == "hot":
        others = [name for name in get_args(ReadOut) if name != readout]
        assert all(np.abs(written_out(fitted, name) - expected)[:, items].max() > 1e-2 for name in others)


def test_one_read_out_however_the_candidates_are_cut_into_blocks(fitted: ContrastiveScorer) -> None:
    """A block of candidates may hold warm items alone; the list does not."""
    scorer = fitted.reading("collaborative")
    many = Interactions(TRAIN.user, TRAIN.item, TRAIN.plays, TRAIN.first, 60, 50)
    whole = rank(scorer, np.arange(60), np.arange(50), many, 50)
    cut = rank(scorer, np.arange(60), np.arange(50), many, 50, memory=4 * 512 * 32)
    np.testing.assert_array_equal(whole.items, cut.items)
    np.testing.assert_array_equal(whole.scores, cut.scores)


@pytest.mark.parametrize("readout", get_args(ReadOut))
def test_items_are_added_whatever_the_read_out(fitted: ContrastiveScorer, readout: ReadOut) -> None:
    scorer, everybody = fitted.reading(readout), np.arange(60)
    grown = scorer.add_items(PLACE.content.vectors[COLD[:3]])
    hot = scorer.score(everybody, TRAIN.items)
    torch.testing.assert_close(grown.score(everybody, TRAIN.items), hot, rtol=0, atol=0)
    new = grown.score(everybody, np.arange(50, 53))
    torch.testing.assert_close(new, scorer.score(everybody, COLD[:3]), rtol=1e-5, atol=1e-6)
    mixed = grown.score(everybody, np.array([*TRAIN.items, 51]))[:, :-1]
    np.testing.assert_allclose(mixed, written_out(fitted, "content")[:, TRAIN.items], atol=1e-6)
    assert grown.reading("content").items.shape == (53, 8)
    twice = grown.add_items(PLACE.content.vectors[:1])
    assert twice.known.tolist() == [*(TRAIN.item_users > 0), *[False] * 4]


@pytest.mark.parametrize("readout", get_args(ReadOut))
def test_a_list_with_a_later_item_folds_users_in_by_content(fitted: ContrastiveScorer, readout: ReadOut) -> None:
    scorer = fitted.reading(readout)
    for items, expected in ((TRAIN.items, readout), (np.arange(50), "content")):
        folded = scorer.among(items).user_vectors(TRAIN) @ scorer.among(items).items.T
        np.testing.assert_allclose(folded, written_out(fitted, expected), atol=1e-6)


@pytest.mark.parametrize("readout", get_args(ReadOut))
def test_what_validation_stops_on_is_what_is_served(readout: ReadOut, tmp_path: Path) -> None:
    settings = Contrastive(epochs=1, width=8, factors=8, elsa_epochs=1, readout=readout)
    for scenario in ("hot", "cold", "mixed"):
        rng, workspace = np.random.default_rng(0), Workspace(tmp_path / scenario)
        scorer = replace(settings, stop_on=scenario).fit(TRAIN, PLACE.content, PLACE.fold, rng, workspace)
        logged = json.loads((tmp_path / scenario / "log.jsonl").read_text())
        assert logged[f"ndcg@50 {scenario}"] == validate(scorer, PLACE.fold, scenario)


def test_it_stops_on_the_validation_ranking_and_the_study_on_its_training_loss() -> None:
    assert Contrastive().stop_on == "mixed"
    assert Contrastive.preset("tamm2026").stop_on == "train loss"

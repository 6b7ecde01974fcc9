"""Tables of users and items exist as often as training needs them, and saving one changes no bit."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from made import TableScorer, interactions
from timbrec.data.interactions import Interactions
from timbrec.data.split import Task
from timbrec.errors import ConfigError
from timbrec.protocols import Content, Workspace
from timbrec.ranking.outcomes import outcome
from timbrec.recommenders.bert4rec import BERT4Rec
from timbrec.recommenders.hybrid import Hybrid
from timbrec.recommenders.shallow import ShallowNet
from timbrec.recommenders.shared.scaling import Scaling
from timbrec.training import row_adam
from timbrec.training.judge import batches
from timbrec.training.together import Group
from timbrec.training.trainable import distance
from timbrec.training.validation import validate, validated, validation_task
from trained_world import world

SETTINGS = ShallowNet(epochs=3, batch=300, width=9, patience=3)


class Stopped(Exception):  # noqa: N818 - no error, an interruption
    pass


def fit(**workspace: Any) -> Any:
    place = world(150, 130, 24)
    given = Workspace(**workspace)
    return SETTINGS.fit(place.fold.train, place.content, place.fold, np.random.default_rng(3), given)


def sparse(rows: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return torch.sparse_coo_tensor(rows[None], values, (41, 24), check_invariants=True)


@pytest.mark.parametrize("elements", [24, 100, 10**6])
def test_sparse_gradients_take_the_steps_of_dense_ones(elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit, also where a row comes twice and where a value is -0.0; a parameter beside has dense gradients."""
    monkeypatch.setattr(row_adam, "_ELEMENTS", elements)
    rng = torch.Generator().manual_seed(0)
    start, other = torch.randn(41, 24, generator=rng), torch.randn(5, generator=rng)
    ours, theirs = ([torch.nn.Parameter(start.clone()), torch.nn.Parameter(other.clone())] for _ in range(2))
    optimizers = row_adam.RowAdam(ours, 0.01), torch.optim.Adam(theirs, 0.01, fused=True)
    for step in range(6):
        rows = torch.randint(41, (9,), generator=rng)
        values = torch.randn(9, 24, generator=rng).mul_(torch.rand(9, 24, generator=rng) > 0.3).neg()
        dense = torch.zeros(41, 24)
        for row, value in zip(rows, values, strict=True):
            dense[row] += value
        ours[0].grad, theirs[0].grad = sparse(rows, values), dense
        ours[1].grad, theirs[1].grad = torch.full((5,), float(step)), torch.full((5,), float(step))
        for optimizer in optimizers:
            optimizer.step()
    for mine, its in zip(ours, theirs, strict=True):
        assert torch.equal(mine.view(torch.int32), its.view(torch.int32))
        for name, moment in optimizers[1].state[its].items():
            assert torch.equal(optimizers[0].state[mine][name], moment)


@pytest.mark.parametrize("leads", [False, True])
def test_the_user_table_exists_three_times_in_a_step_and_content_once(
    leads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights and two moments: no gradient, no copy of the best weights, no scaled copy of the content.

    Also in a process that leads others, since they have no share in the training of Shallow Net.
    """
    if leads:
        own = object.__new__(Group)
        own.device = torch.device("cpu")
        monkeypatch.setattr("timbrec.training.together._groups", [own])
    place, most = world(150, 130, 24), {"users": 0, "items": 0}

    def counted(self: row_adam.RowAdam, closure: Any = None) -> Any:
        gradients = [weights.grad for group in self.param_groups for weights in group["params"]]
        gc.collect()  # the objects of Python, of which a gradient is none until it is looked at
        objects = [each for each in gc.get_objects() if issubclass(type(each), torch.Tensor)]
        tensors = [each for each in (*objects, *gradients) if each is not None and not each.is_sparse]
        for name, rows in (("users", place.fold.train.n_users), ("items", place.fold.train.n_items)):
            places = {each.data_ptr() for each in tensors if each.shape == (rows, place.content.vectors.shape[1])}
            most[name] = max(most[name], len(places))
        return step(self, closure)

    step = row_adam.RowAdam.step
    monkeypatch.setattr(row_adam.RowAdam, "step", counted)
    fit()
    assert most == {"users": 3, "items": 1}


def test_the_best_weights_are_in_one_file_beside_the_checkpoint(tmp_path: Path) -> None:
    scorer = fit(folder=tmp_path)
    name = f"best-{scorer.chosen['epochs']}.checkpoint.safetensors"
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == sorted([name, "checkpoint.safetensors"])
    assert load_file(tmp_path / name).keys() == {"users", "tower.layers.0.weight", "tower.layers.0.bias", "drawn"}
    np.testing.assert_array_equal(fit(folder=tmp_path).users, scorer.users)
    (tmp_path / name).unlink()
    with pytest.raises(ConfigError, match="weights of the best epoch"):
        fit(folder=tmp_path)


def test_a_checkpoint_that_holds_the_best_weights_itself_is_resumed(tmp_path: Path) -> None:
    """As releases up to 0.2.0 wrote it."""

    def stop(what: str, done: int, total: int) -> None:
        if what.startswith("epoch 3"):
            raise Stopped

    whole = fit()
    with pytest.raises(Stopped):
        fit(folder=tmp_path, progress=stop)
    (best,) = tmp_path.glob("best-*")
    path = tmp_path / "checkpoint.safetensors"
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(path) | {f"best/{name}": tensor for name, tensor in load_file(best).items()}
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, path, metadata)
    best.unlink()
    resumed = fit(folder=tmp_path)
    np.testing.assert_array_equal(whole.users, resumed.users)
    np.testing.assert_array_equal(whole.items, resumed.items)


@pytest.mark.parametrize("dim", [0, 1, 2, 63, 64, 65, 129, 200])
def test_scaling_divides_by_numpys_deviation_to_the_bit(dim: int) -> None:
    vectors = np.random.default_rng(dim).standard_normal((500, dim), dtype=np.float32) * 3 + 1
    scaling = Scaling.of("standardise", vectors)
    np.testing.assert_array_equal(scaling.factor, 1 / vectors.std(0, dtype=np.float64).astype(np.float32))
    scaled = (vectors - vectors.mean(0, dtype=np.float64).astype(np.float32)) * scaling.factor
    np.testing.assert_array_equal(scaling(vectors), scaled)
    np.testing.assert_array_equal(scaling.tensor(torch.from_numpy(vectors)).numpy(), scaled)


@pytest.mark.parametrize("settings", [BERT4Rec(width=4, feed_forward=4, length=4), Hybrid(width=4)])
def test_neither_a_scorer_nor_the_distances_copy_the_content(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a million tracks either would be the peak of a fit."""
    for module in ("training.trainable", "recommenders.bert4rec", "recommenders.shared.towers"):
        monkeypatch.setattr(f"timbrec.{module}._ROWS", 128)
    tracks = 8_000
    train = interactions([(user, item) for item in range(tracks) for user in (item % 3, 3)], 4, tracks)
    content = Content(np.random.default_rng(0).standard_normal((tracks, 96), dtype=np.float32))
    model = settings.model(train, content, np.random.default_rng(0)).eval()
    for call in (lambda: model.scorer(np.array([0])), model.moved):
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < content.vectors.nbytes / 2


def test_items_are_mapped_when_they_are_validated() -> None:
    place = world(60, 50, 8)
    model = ShallowNet(width=9).model(place.fold.train, place.content, np.random.default_rng(0))
    assert np.shares_memory(model.scorer(np.array([3])).items, place.content.vectors)


def test_users_are_validated_in_blocks_with_their_own_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    fold = world(150, 130, 24).fold
    task = validation_task(fold, "mixed", can_rank_cold=True)
    scores = np.random.default_rng(0).random((150, 130))
    whole, asked = validate(TableScorer(scores), fold, "mixed"), []

    def scorer(users: np.ndarray) -> TableScorer:
        asked.append(users)
        return TableScorer(np.where(np.isin(np.arange(150), users)[:, None], scores, np.nan))  # of no other user

    monkeypatch.setattr("timbrec.training.validation._USERS", 64)
    assert validated(scorer, task, fold.train) == whole
    assert [len(users) for users in asked] == [64, 64, len(task.users) - 128]
    np.testing.assert_array_equal(np.concatenate(asked), task.users)


def test_a_distance_is_that_of_all_rows_and_zero_only_for_equal_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timbrec.training.trainable._ROWS", 7)
    start = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    now = start.copy()
    now[9, 1] += 2.5
    expected = np.linalg.norm(now.astype(float) - start) / np.linalg.norm(start.astype(float))
    assert distance(torch.from_numpy(now), start.__getitem__) == pytest.approx(expected, rel=1e-12)
    assert distance(torch.from_numpy(start), start.__getitem__) == 0.0
    now[9, 1] = np.nextafter(start[9, 1], np.float32(9))
    assert 0 < distance(torch.from_numpy(now), start.__getitem__) < 1e-6


def test_learned_items_start_as_scaled_content_of_their_own() -> None:
    place = world(60, 50, 8)
    before = place.content.vectors.copy()
    settings = replace(SETTINGS, learned=("items",))
    settings.fit(place.fold.train, place.content, None, np.random.default_rng(0))
    np.testing.assert_array_equal(place.content.vectors, before)


@pytest.mark.parametrize(("n", "size"), [(0, 3), (1, 3), (9, 3), (10, 3)])
def test_batches_are_those_of_numpys_permutation(n: int, size: int) -> None:
    ours, theirs = np.random.default_rng(5), np.random.default_rng(5)
    shuffled, expected = batches(n, size, ours), np.split(theirs.permutation(n), range(size, n, size))
    assert len(shuffled) == len(expected)
    for rows, other in zip(shuffled, expected, strict=True):
        np.testing.assert_array_equal(rows, other)
        assert rows.dtype == np.int64, "a product of rows must not overflow"
    assert ours.random() == theirs.random()
    np.testing.assert_array_equal(np.concatenate(list(batches(n, size))), np.arange(n))


def test_an_outcome_copies_no_column_of_the_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation of a large log had its peak of memory here. The number of candidates is counted by hand."""
    monkeypatch.setattr("timbrec.ranking.outcomes._PAIRS", 1000)
    n_users, n_items, each = 4_000, 300, 100
    item = np.tile(np.arange(0, n_items, 3), n_users)
    user, plays = np.repeat(np.arange(n_users), each), np.ones(n_users * each, np.int64)
    train = Interactions(user, item, plays, None, n_users, n_items)
    relevant = interactions([(7, 1), (3_999, 2)], n_users, n_items)
    task = Task("hot", np.arange(7), relevant)  # of which each user has 0, 3 and 6 in train
    assert len(train.starts) + len(train.item_users)  # cached before
    tracemalloc.start()
    result = outcome(np.zeros((2, 1), np.int64), task, train)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.candidates.tolist() == [4, 4]
    assert peak < train.user.nbytes / 4

"""ELSA inside Contrastive is fitted once per train part, settings and seed; sharing the fit changes no figure."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from timbrec.protocols import Content, Workspace
from timbrec.recommenders.contrastive import Contrastive, ContrastiveScorer
from timbrec.recommenders.elsa import ELSA
from timbrec.recommenders.shared import fitted_once
from trained_world import world

PLACE = world(60, 50, 12)
TRAIN, CONTENT = PLACE.fold.train, PLACE.content
SMALL = Contrastive(epochs=1, batch=16, width=8, factors=6, elsa_epochs=2)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A number for each time that ELSA was fitted."""
    counted: list[int] = []
    fit = ELSA.fit

    def counting(self: ELSA, *arguments: Any) -> Any:
        counted.append(1)
        return fit(self, *arguments)

    monkeypatch.setattr(ELSA, "fit", counting)
    return counted


def fitted(shared: Path | None, content: Content = CONTENT, seed: int = 0, **changes: Any) -> ContrastiveScorer:
    settings, rng = replace(SMALL, **changes), np.random.default_rng(seed)
    scorer = settings.fit(TRAIN, content, None, rng, Workspace(shared=shared))
    assert isinstance(scorer, ContrastiveScorer)
    return scorer


def same(first: ContrastiveScorer, other: ContrastiveScorer) -> bool:
    return all(np.array_equal(first.sides[side], other.sides[side]) for side in first.sides)


def test_encoders_and_controls_share_a_fit_with_equal_bits(tmp_path: Path, fits: list[int]) -> None:
    shuffled = Content(CONTENT.vectors[::-1].copy())
    wide = Content(np.tile(CONTENT.vectors, 2))
    alone = [fitted(None, content) for content in (CONTENT, shuffled, wide)]
    assert len(fits) == 3
    together = [fitted(tmp_path / "shared", content) for content in (CONTENT, shuffled, wide)]
    assert len(fits) == 4, "the second and the third use the first one's fit"
    assert all(same(first, other) for first, other in zip(alone, together, strict=True))


def test_another_train_part_seed_or_setting_is_another_fit(tmp_path: Path, fits: list[int]) -> None:
    fitted(tmp_path)
    changes: list[dict[str, Any]] = [{"seed": 1}, {"factors": 5}, {"elsa_epochs": 3}, {"elsa": "tamm2026"}]
    for number, change in enumerate(changes, 2):
        fitted(tmp_path, **change)
        assert len(fits) == number, change
    fewer = TRAIN.where(np.arange(len(TRAIN)) % 5 > 0)
    SMALL.fit(fewer, CONTENT, None, np.random.default_rng(0), Workspace(shared=tmp_path))
    assert len(fits) == 6
    for same_again in ({"width": 5}, {"loss": "DCL"}, {"readout": "average"}):
        fitted(tmp_path, **same_again)
    assert len(fits) == 6


def test_a_damaged_scorer_is_fitted_again(tmp_path: Path, fits: list[int], caplog: pytest.LogCaptureFixture) -> None:
    first = fitted(tmp_path)
    (place,) = tmp_path.iterdir()
    file = place / "scorer.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + b"\1\2\3\4")
    assert same(fitted(tmp_path), first)
    assert len(fits) == 2
    assert "fitting again" in caplog.text
    assert same(fitted(tmp_path), first)
    assert len(fits) == 2


def _in_a_process(shared: Path) -> tuple[int, bytes]:
    """The number of fits that this call made, and the factors."""
    fit, counted = ELSA.fit, list[int]()

    def counting(self: ELSA, *arguments: Any) -> Any:
        counted.append(1)
        return fit(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ELSA, "fit", counting)
        factors = fitted(shared).sides["collaborative items"].tobytes()
    return len(counted), factors


@pytest.mark.slow
def test_processes_of_a_pool_share_it(tmp_path: Path) -> None:
    with get_context("spawn").Pool(2) as pool:
        results = pool.map(_in_a_process, [tmp_path] * 4, chunksize=1)
    assert {bits for _, bits in results} == {fitted(None).sides["collaborative items"].tobytes()}
    assert sum(fits for fits, _ in results) == 1, "the others waited for the first"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_second_process_to_write_leaves_no_partial_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes on a disk without locks that both found nothing: the other one finishes while this one fits."""
    monkeypatch.setattr(fitted_once, "alone", lambda _: nullcontext())
    fit = ELSA.fit

    def overtaken(self: ELSA, *arguments: Any) -> Any:
        monkeypatch.setattr(ELSA, "fit", fit)
        fitted(tmp_path)
        return fit(self, *arguments)

    monkeypatch.setattr(ELSA, "fit", overtaken)
    assert same(fitted(tmp_path), fitted(None))
    assert len(list(tmp_path.iterdir())) == 1

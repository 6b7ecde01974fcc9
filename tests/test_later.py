"""Encoders loaded at their first use."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_files import write_wav
from timbrec import encoders
from timbrec.embed import Output, embed_all, later, load_encoder
from timbrec.embed.later import Later
from timbrec.encoders.musicnn import MusiCNNMSD
from timbrec.errors import ConfigError
from timbrec.store import VectorStore

RNG = np.random.default_rng(0)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """Arguments of each load of MusiCNN from now on, with an empty cache."""
    monkeypatch.setenv("TIMBREC_CACHE", str(tmp_path / "cache"))
    calls: list[Any] = []
    load = MusiCNNMSD.__init__

    def counted(self: MusiCNNMSD, *arguments: Any, **options: Any) -> None:
        calls.append(options)
        load(self, *arguments, **options)

    counted.__wrapped__ = load  # type: ignore[attr-defined]  # its signature lists the options
    monkeypatch.setattr(MusiCNNMSD, "__init__", counted)
    return calls


@pytest.fixture
def weights(package: Path, tmp_path: Path) -> Path:
    """A copy of MusiCNN's weights."""
    return Path(shutil.copytree(package / "MSD_musicnn", tmp_path / "weights"))


def test_an_encoder_loaded_before_is_loaded_at_its_first_use(loads: list[Any], weights: Path) -> None:
    first = later.load_later("musicnn-msd", weights)
    assert len(loads) == 1
    again = later.load_later("musicnn-msd", weights)
    assert len(loads) == 1
    assert again.card == first.card
    windows = RNG.standard_normal((2, 48000)).astype(np.float32)
    np.testing.assert_array_equal(again.encode(windows), first.encode(windows))
    assert len(loads) == 2
    assert later.ready(again) is later.ready(again)
    assert isinstance(later.ready(again), MusiCNNMSD)
    assert later.ready(first) is first


def test_other_options_weights_or_code_are_loaded(
    loads: list[Any], weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = [later.load_later("musicnn-msd", weights).card]
    cards.append(later.load_later("musicnn-msd", weights, overlap=1.0).card)
    cards.append(later.load_later("musicnn-msd", weights, layer=2).card)
    assert len({card.revision for card in cards}) == len(loads) == 3
    for path in weights.iterdir():
        path.touch()
    later.load_later("musicnn-msd", weights)
    assert len(loads) == 4
    monkeypatch.setattr(later, "code_digest", lambda: "another")
    later.load_later("musicnn-msd", weights)
    assert len(loads) == 5
    later.load_later("musicnn-msd")  # the package's own
    assert len(loads) == 6
    later.load_later("musicnn-msd")
    assert len(loads) == 6


def test_a_card_that_changed_is_refused_and_forgotten(loads: list[Any], weights: Path, tmp_path: Path) -> None:
    card = later.load_later("musicnn-msd", weights).card
    [path] = (tmp_path / "cache" / "cards").iterdir()
    later.store_card(path, replace(card, revision="another"))
    with pytest.raises(ConfigError, match="is not what it was when it was loaded before"):
        later.load_later("musicnn-msd", weights).encode(np.zeros((1, 48000), np.float32))
    assert later.load_later("musicnn-msd", weights).card == card
    path.write_text("{}")
    assert later.load_later("musicnn-msd", weights).card == card


def test_bad_names_options_and_weights_are_refused_as_before(loads: list[Any], weights: Path) -> None:
    for arguments, options in (
        (("musicnn-msd", weights), {"overlapp": 1.0}),
        (("musicnn-msd", weights / "nowhere"), {}),
        (("musicnn-mds",), {}),
        (("musicnn-msd", weights, "gpu"), {}),
    ):
        for load in (encoders.load, later.load_later):
            with pytest.raises(ConfigError):
                load(*arguments, **options)  # type: ignore[arg-type]
    assert not [options for options in loads if "overlapp" in options]


def test_a_store_that_lacks_nothing_loads_nothing(loads: list[Any], weights: Path, tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    for name in "ab":
        write_wav(music / f"{name}.wav", RNG.uniform(-0.5, 0.5, 48000), 16000)

    def embedded() -> int:
        output = Output(load_encoder("musicnn-msd", weights), tmp_path / "store")
        embed_all(music, [output])
        return len(VectorStore.open(tmp_path / "store").ids)

    assert embedded() == 2
    assert len(loads) == 1
    assert embedded() == 2
    assert len(loads) == 1
    assert isinstance(load_encoder("musicnn-msd", weights), Later)
    write_wav(music / "c.wav", RNG.uniform(-0.5, 0.5, 48000), 16000)
    assert embedded() == 3
    assert len(loads) == 2

"""One suite over all encoders of the catalogue: cards, and the contract of check-encoder."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

from timbrec import catalog
from timbrec.audit.contract import check_encoder
from timbrec.encoders import find
from timbrec.encoders.mfcc import MFCC
from timbrec.errors import ConfigError
from timbrec.protocols import Encoder, EncoderCard
from tiny_encoders import TINY, Tiny, loaded

NAMES = list(catalog.CATALOG["encoders"])
CARDS: dict[str, EncoderCard] = {name: find(name).card for name in NAMES}
AUDIO = [name for name in NAMES if not CARDS[name].precomputed]


@pytest.fixture(scope="module", params=AUDIO)
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Tiny, Encoder]:
    assert request.param in TINY, "a new encoder needs a line in tiny_encoders.py"
    example = TINY[request.param](tmp_path_factory.mktemp(request.param))
    return request.param, example, loaded(request.param, example)


@pytest.mark.parametrize("name", NAMES)
def test_the_card_says_all_there_is_to_know(name: str) -> None:
    card = CARDS[name]
    assert card.name == name
    assert all(getattr(card, field.name) not in ("", "not stated", "none") for field in fields(card))
    assert re.match(r"@(article|inproceedings)\{\w+,\n", card.bibtex)
    assert re.search(r"year = \{(\d{4})\}", card.bibtex)[1] in card.citation  # type: ignore[index]
    assert card.bibtex.count("{") == card.bibtex.count("}")
    for dataset in card.datasets:
        assert dataset in card.trained_on or name == "muq-mulan"  # MuQ's training, and more
    assert card.dim > 0
    if card.precomputed:
        assert (card.window, card.frames_per_second) == (0, 0)
    else:
        assert min(card.window, card.frames_per_second, card.gflop) > 0
    assert not (card.commercial and re.search(r"NC|[Nn]on-?commercial", f"{card.licence_weights}"))
    assert all(re.fullmatch(r"[0-9a-f]{0,64}", file.sha256) for file in card.files)


def test_cards_are_read_without_torch() -> None:
    code = (
        "import sys; from timbrec import catalog\n"
        "cards = [catalog.load('encoders', name).card for name in catalog.CATALOG['encoders']]\n"
        "print(len(cards), sorted({'torch', 'transformers', 'huggingface_hub', 'polars', 'scipy'} & {*sys.modules}))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == f"{len(NAMES)} []\n"


def test_every_encoder_keeps_the_contract(tiny: tuple[str, Tiny, Encoder]) -> None:
    _, example, encoder = tiny
    findings = check_encoder(encoder, example.seconds)
    wrong = {finding.name: finding for finding in findings if not finding.passed}
    wrong.pop("throughput", None)  # a small model need not cost what the card says
    assert not wrong


def test_a_loaded_encoder_says_which_weights_and_settings_it_has(tiny: tuple[str, Tiny, Encoder]) -> None:
    name, example, encoder = tiny
    assert isinstance(encoder, Encoder)
    assert (encoder.card.name, encoder.card.rate) == (name, CARDS[name].rate)
    assert encoder.card == loaded(name, example).card


def test_a_layer_that_is_not_there_is_refused(tiny: tuple[str, Tiny, Encoder]) -> None:
    _, example, encoder = tiny
    windows = np.zeros((1, round((example.seconds or 4) * encoder.card.rate)), np.float32)
    for layer in (-1, 1000):
        with pytest.raises(ConfigError, match=r"layer"):
            encoder.frames(windows, layer=layer)  # type: ignore[attr-defined]


def test_vectors_made_elsewhere_are_not_checked() -> None:
    class Given(MFCC):
        card = CARDS["mfcc-onion"]

    with pytest.raises(ConfigError, match="holds precomputed vectors"):
        check_encoder(Given())

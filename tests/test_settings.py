"""Settings accept the values of their types, in a config and in Python, and refuse all others with a clear message."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pytest

from timbrec import catalog
from timbrec.errors import ConfigError, SeveralErrors
from timbrec.protocols import Recommender
from timbrec.recommenders import recommender
from timbrec.recommenders.bert4rec import BERT4Rec
from timbrec.recommenders.hybrid import Hybrid
from timbrec.recommenders.knn import KNN
from timbrec.recommenders.shallow import ShallowNet
from timbrec.settings import Positive, accepted

KINDS: dict[str, type[Recommender]] = {
    name: catalog.load("recommenders", name) for name in catalog.CATALOG["recommenders"]
}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("knn", {"similarity": "Cosine"}, r"`similarity` of KNN must be 'cosine' or 'dot' \(e.g. 'Cosine'\). Did you mean"),
    ("hybrid", {"lr": 0}, r"`lr` of Hybrid must be greater than 0 \(e.g. 0\). Its default is 0.01"),
    ("hybrid", {"lr": float("nan")}, "`lr` of Hybrid must be a finite number"),
    ("hybrid", {"epochs": True}, r"`epochs` of Hybrid must be a number, not true or false"),
    ("hybrid", {"epochs": 2.5}, "`epochs` of Hybrid must be a valid integer, got a number with a fractional part"),
    ("hybrid", {"epochs": None}, "`epochs` of Hybrid must be a valid integer"),
    ("hybrid", {"lr_drops": [3, 0]}, "`lr_drops` of Hybrid must be greater than or equal to 1"),
    ("bert4rec", {"dropout": 1.0}, "`dropout` of BERT4Rec must be less than 1"),
    ("bert4rec", {"mask": 0.0}, "`mask` of BERT4Rec must be greater than 0"),
    ("bert4rec", {"length": 1}, "`length` of BERT4Rec must be greater than or equal to 2"),
    ("bert4rec", {"learned": ["item"]}, "`learned` of BERT4Rec must be 'items'.*Did you mean 'items'"),
    ("ease", {"l2": -1.0}, "`l2` of EASE must be greater than 0"),
    ("shallow", {"width": "wide"}, "`width` of ShallowNet must be a valid integer"),
]


def _is_typed(settings: dict[str, Any]) -> bool:
    """Whether the values are of the fields' Python types, which the tests check at every call."""
    return settings.keys() <= {"lr", "dropout", "mask", "length", "l2"} and settings != {"lr": 0}


@pytest.mark.parametrize(("name", "settings", "message"), REFUSED)
def test_a_value_that_a_setting_does_not_accept_is_refused(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recommender(name, settings)
    with pytest.raises(ConfigError, match=message):
        KINDS[name].preset("corrected", **settings)


@pytest.mark.parametrize(("name", "settings", "message"), [case for case in REFUSED if _is_typed(case[1])])
def test_a_number_outside_its_range_is_refused_by_the_class_itself(
    name: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        KINDS[name](**settings)


def test_all_wrong_settings_are_listed_at_once() -> None:
    with pytest.raises(SeveralErrors, match=r"1\. `stop_on` of ShallowNet.*\n2\. `margin` of ShallowNet"):
        recommender("shallow", {"stop_on": "noon", "margin": -1})


def test_yaml_and_numpy_values_become_python_numbers_and_tuples() -> None:
    """YAML reads `1e-3` as text."""
    settings = recommender("hybrid", {"lr": "1e-3", "epochs": np.int64(5), "lr_drops": [1, 2], "batch": 64.0})
    assert settings == Hybrid(lr=0.001, epochs=5, lr_drops=(1, 2), batch=64)
    assert {type(value) for value in asdict(settings).values()} == {int, float, str, bool, tuple}


def test_a_changed_default_changes_the_stored_settings() -> None:
    """Cells are named by a hash of these settings, so a cell of another default is never taken for this one."""

    @dataclass(frozen=True)
    class Steeper(Hybrid):
        lr: Positive = 2e-2

    assert asdict(Hybrid()).keys() == {field.name for field in fields(Hybrid)}
    assert asdict(Steeper()) == asdict(Hybrid()) | {"lr": 2e-2}


@pytest.mark.parametrize("name", KINDS)
def test_the_accepted_values_are_described_and_hold_for_every_preset(name: str) -> None:
    kind = KINDS[name]
    assert accepted(kind).keys() == {field.name for field in fields(kind)}
    assert not [text for text in accepted(kind).values() if text == "any"]
    for preset in ("corrected", "tamm2026", "quick", *kind.presets):
        assert recommender(name, {"preset": preset}) == kind.preset(preset)
    assert kind.preset("corrected") == kind()
    assert recommender(name, {}, budget="quick") == kind.preset("quick")


def test_descriptions_name_bounds_and_choices() -> None:
    described = accepted(BERT4Rec)
    assert described["mask"] == "number, above 0, below 1"
    assert described["width"] == "integer, at least 1 or none"
    assert described["scale"] == "none, centre, standardise"
    assert described["learned"] == "list of items"


def test_an_unknown_preset_is_refused_and_settings_win_over_the_budget() -> None:
    with pytest.raises(ConfigError, match=r"no preset called 'tam2026'. Did you mean 'tamm2026'\? Known: corrected"):
        recommender("shallow", {"preset": "tam2026"})
    assert recommender("shallow", {"preset": "tamm2026"}, budget="quick") == ShallowNet.preset("tamm2026")
    assert recommender("shallow", {"epochs": 3}, budget="quick") == ShallowNet.preset("quick", epochs=3)
    assert recommender("knn", {}, budget="quick") == KNN()

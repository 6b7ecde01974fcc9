from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from timbrec import catalog
from timbrec.data.log import LogConfig
from timbrec.data.yaml_text import read_yaml
from timbrec.errors import ConfigError, SeveralErrors
from timbrec.study.config import make_config, read_config

CONFIG = {
    "name": "test",
    "output": "run",
    "interactions": {"path": "plays.csv"},
    "encoders": {"mine": {"vectors": "mine.npy", "ids": "ids.txt"}},
    "split": {"test_at": "2019-02-01"},
}


def refused(**changes: Any) -> Any:
    """The error message of a config with these changes."""
    with pytest.raises((ConfigError, SeveralErrors)) as caught:
        make_config(CONFIG | changes, "c.yaml")
    return str(caught.value)


@pytest.mark.parametrize(("k", "primary"), [([10], "ndcg@10"), ([5, 20], "ndcg@20"), ([50, 100], "ndcg@50")])
def test_the_verdict_is_at_50_or_at_the_largest_k(k: list[int], primary: str) -> None:
    assert make_config(CONFIG | {"k": k}).primary == primary


def test_missing_keys_have_the_documented_defaults() -> None:
    config = make_config(CONFIG)
    assert (config.seeds, config.k, config.primary) == ([0, 1, 2], [10, 20, 50], "ndcg@50")
    assert [entry.use for entry in config.recommenders] == ["knn"]
    assert config.split.protocol == "corrected"
    assert config.split.test_at == datetime(2019, 2, 1)
    assert config.cold_candidates == "tested"


def test_recommenders_by_name_and_with_settings() -> None:
    config = make_config(CONFIG | {"recommenders": ["knn", {"use": "knn", "label": "raw", "profile": "raw"}]})
    assert [(entry.use, entry.label, entry.settings) for entry in config.recommenders] == [
        ("knn", None, {}),
        ("knn", "raw", {"profile": "raw"}),
    ]


def test_a_file_is_read_and_its_paths_are_relative_to_it(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "c.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(CONFIG))
    config = read_config(path)
    assert config.at(config.output) == path.parent / "run"
    assert config.at(Path("/elsewhere")) == Path("/elsewhere")


def test_columns_may_be_called_by_numbers() -> None:
    columns = {"user": 0, "item": 1}
    log = make_config(CONFIG | {"interactions": {"path": "p", "columns": columns}}).interactions
    assert isinstance(log, LogConfig)
    assert log.columns == {"user": "0", "item": "1"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": [1]}, "c.yaml: there is no key 'seed'. Did you mean 'seeds'? Known: name, output, interactions"),
        ({"split": {"test_att": "2019-02-01"}}, "there is no key 'split.test_att'. Did you mean 'test_at'?"),
        ({"encoders": {"mine": {"vectors": "v", "idss": "i"}}},
         "there is no key 'encoders.mine.idss'. Did you mean 'ids'? Known: separator, header"),
        ({"interactions": {"path": "p", "columns": {"usr": "u"}}}, "interactions.columns.usr"),
        ({"interactions": {}}, "key 'interactions.path' is missing. Add it"),
        ({"interactions": {"path": "p", "time_unit": "h"}}, "interactions.time_unit must be 's', 'ms'"),
        ({"split": {}}, "`test_at` is needed: the moment T"),
        ({"split": {"test_at": "soon"}}, "split.test_at must be a valid datetime"),
        ({"split": {"protocol": "tam2026"}}, "split.protocol must be 'corrected', 'tamm2026'"),
        ({"split": {"protocol": "item-holdout", "cold": 0.6, "validation": 0.4}}, "leave nothing to train on"),
        ({"split": {"protocol": "item-holdout", "hot": 1.5}}, "split.hot must be less than 1"),
        ({"encoders": {}}, "encoders: Dictionary should have at least 1 item"),
        ({"encoders": {"mine": {}}}, "encoders.mine: give either `vectors` or `audio`"),
        ({"encoders": {"mine": {"vectors": "v", "audio": "a"}}}, "encoders.mine: give either `vectors` or `audio`"),
        ({"encoders": {"mfc": {"audio": "a"}}}, "there is no encoder called 'mfc'. Did you mean 'mfcc'?"),
        ({"recommenders": ["kn"]}, "no recommender called 'kn'. Did you mean 'knn'? Known: random"),
        ({"recommenders": [{"use": "knn", "similarty": "dot"}]},
         "KNN has no setting 'similarty'. Did you mean 'similarity'? Known: profile, similarity"),
        ({"recommenders": [{"use": "knn", "similarity": "Cosine"}]},
         "`similarity` of KNN must be 'cosine' or 'dot' (e.g. 'Cosine'). Did you mean 'cosine'?"),
        ({"recommenders": ["knn", "knn"]}, "two recommenders are called 'knn'. Give each its own `label`"),
        ({"recommenders": [{"use": "knn", "label": "random"}]}, "two recommenders are called 'random'"),
        ({"metrics": ["ndcg", "recal"]}, "there is no metric called 'recal'. Did you mean 'recall'?"),
        ({"metrics": ["recall"]}, "`primary` is 'ndcg@50', which `metrics` and `k` do not contain. Add its metric"),
        ({"k": [10], "primary": "ndcg@50"}, "`primary` is 'ndcg@50', which `metrics` and `k` do not contain"),
        ({"primary": "ndcg"}, "`primary` is 'ndcg', which `metrics` and `k` do not contain"),
        ({"primary": "coverage@50"}, "`primary` is 'coverage@50', to which hits do not add up"),
        ({"seeds": []}, "seeds: List should have at least 1 item"),
        ({"seeds": [0, 1, 0]}, "seeds: 0 comes twice"),
        ({"seeds": [-1]}, "seeds.0 must be greater than or equal to 0 (e.g. -1)"),
        ({"k": [0, 50]}, "k.0 must be greater than or equal to 1"),
        ({"k": [50, 50]}, "k: 50 comes twice"),
        ({"thinning": {"play": [1]}}, "Thinning has no setting 'play'. Did you mean 'plays'?"),
        ({"thinning": {"plays": [-1]}}, "`plays` of Thinning must be"),
        ({"cells": [{"use": "ranking", "depth": 3}]}, "cells of kind 'ranking' have no settings"),
        ({"split": "2019-02-01"}, "split must be keys with values (e.g. '2019-02-01'). Known: protocol, test_at"),
        ({"items": 3}, "items must be keys with values (e.g. 3). Known: "),
        ({"encoders": "v.npy"}, "encoders must be keys with values (e.g. 'v.npy')"),
        ({"encoders": {"mine": 3}}, "encoders.mine must be keys with values (e.g. 3). Known: "),
        ({"recommenders": None}, "recommenders must be a list"),
        ({"k": ["many"]}, "k.0 must be a whole number (e.g. 'many')"),
        ({"max_failures": 1.5}, "max_failures must be a whole number (e.g. 1.5)"),
        ({"name": 3}, "name must be text (e.g. 3)"),
        ({"interactions": {"path": "p", "glob": "yes!"}}, "interactions.glob must be true or false (e.g. 'yes!')"),
        ({"truth": 3}, "truth must be a path (e.g. 3)"),
        ({"cold_candidates": "all"}, "cold_candidates must be 'tested' or 'catalogue'"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_message(changes: Any, message: str) -> None:
    text = refused(**changes)
    assert message in text
    assert text.startswith("c.yaml: ")
    assert "\n" not in text


def test_a_value_stands_for_a_list_and_a_path_for_its_part() -> None:
    short = {"interactions": "p.csv", "items": Path("i.csv"), "encoders": {"a": Path("v.npy"), "b": "w.npy"},
             "recommenders": "knn", "seeds": 3, "k": (50, 7), "metrics": "ndcg", "strata": "artist",
             "probes": {"use": "year"}}  # fmt: skip
    long = {"interactions": {"path": ["p.csv"]}, "items": {"path": "i.csv"},
            "encoders": {"a": {"vectors": "v.npy"}, "b": {"vectors": "w.npy"}},
            "recommenders": [{"use": "knn"}], "seeds": [3], "k": [50, 7], "metrics": ["ndcg"], "strata": ["artist"],
            "probes": [{"use": "year"}]}  # fmt: skip
    assert make_config(CONFIG | short) == make_config(CONFIG | long)


def test_several_mistakes_are_reported_at_once() -> None:
    text = refused(nam="x", seeds=[-1], split={"test_at": "soon"}).split("\n")
    assert [line[:11] for line in text] == ["1. c.yaml: ", "2. c.yaml: ", "3. c.yaml: "]
    text = refused(
        recommenders=["kn", {"use": "knn", "scale": "center"}, "elsevier"], metrics=["ndgc"], primary="map@7"
    )
    assert len(text.split("\n")) == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "is not valid YAML"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"name: a\nk: [10]\nname: b\n", r"c\.yaml: lines 1 and 3 set 'name' twice"),
        (b"encoders:\n  a: {vectors: x.npy}\n  a: {vectors: y.npy}\n", "lines 2 and 3 set 'a' twice"),
        (b"true: 1\n", "line 1: the key 'true' is not text"),
        (b"1.10: 1\n", r"line 1: the key '1\.10' is not text"),
        (b"- a\n- b\n", "holds no settings"),
        (b"", "holds no settings"),
    ],
)
def test_files_that_are_no_config(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_config(path)


def test_words_that_older_yaml_takes_for_truth_values_stay_text() -> None:
    text = "encoders: {no: {vectors: x.npy}, on: y}\nflag: true\nother: Yes\n"
    expected = {"encoders": {"no": {"vectors": "x.npy"}, "on": "y"}, "flag": True, "other": "Yes"}
    assert read_yaml(text, "here") == expected


def test_a_truth_value_is_no_name() -> None:
    assert "put them in quotes" in refused(interactions={"path": "x", "columns": {"user": False}})


def test_a_missing_file() -> None:
    with pytest.raises(ConfigError, match=r"there is no config nowhere\.yaml"):
        read_config(Path("nowhere.yaml"))


@pytest.mark.parametrize("kind", list(catalog.CATALOG))
def test_every_part_of_the_catalogue_can_be_loaded_and_has_a_summary(kind: Any) -> None:
    for name in catalog.names(kind):
        assert catalog.load(kind, name) is not None
        summary = catalog.summary(kind, name)
        assert 10 < len(summary) < 64, "a line of 80 columns beside the name"
        assert " ".join(catalog.load(kind, name).__doc__.split()).startswith(catalog.definition(kind, name)[:-1])


def test_a_config_survives_being_written_into_a_run() -> None:
    config = make_config(CONFIG | {"recommenders": [{"use": "knn", "label": "raw", "profile": "raw"}]})
    assert make_config(config.model_dump(mode="json", exclude_none=True)) == config

"""Each fault of a file of weights has a message of its own, for every encoder of the catalogue."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from timbrec import catalog
from timbrec.encoders import check_weights, find, load
from timbrec.encoders.weights.reading import fingerprint, read_config, read_weights
from timbrec.errors import ConfigError
from tiny_encoders import TINY

CATALOGUE = [name for name in catalog.CATALOG["encoders"] if not find(name).card.precomputed]
WITH_WEIGHTS = [name for name in CATALOGUE if find(name).card.parameters]
TENSORS = {"some.weight": torch.randn(300, 20), "some.bias": torch.ones(20)}
STATISTICS = {"melspec_2048_mean": 6.8, "melspec_2048_std": 18.4}  # what MusicFM and MuQ ask for
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 251054764\n"


def safetensors(path: Path) -> None:
    save_file(TENSORS, path)


def zipped(path: Path) -> None:
    torch.save({"state_dict": TENSORS}, path)


def legacy(path: Path) -> None:
    torch.save({"model": TENSORS}, path, _use_new_zipfile_serialization=False)


KINDS: dict[str, Callable[[Path], None]] = {"x.safetensors": safetensors, "x.pt": zipped, "x.pth.tar": legacy}


@pytest.mark.parametrize("name", WITH_WEIGHTS)
@pytest.mark.parametrize("kind", [*KINDS, "model.keras", ".index"])
def test_pointers_and_nothing_at_all(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / kind
    for refuse in (load, check_weights):
        path.unlink(missing_ok=True)
        with pytest.raises(ConfigError, match=r"there is no file .*Check the path of the weights"):
            refuse(name, path)
        path.write_bytes(POINTER)
        with pytest.raises(ConfigError, match=r"Git LFS pointer, not the weights it points to.*git lfs pull"):
            refuse(name, path)
        path.write_bytes(b"")
        with pytest.raises(ConfigError, match="is empty"):
            refuse(name, path)


@pytest.mark.parametrize("name", WITH_WEIGHTS)
@pytest.mark.parametrize("kind", KINDS)
def test_files_cut_short_and_those_of_other_models(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / kind
    KINDS[kind](path)
    for file in find(name).card.files[1:]:  # the settings are there, and not what is wrong
        (tmp_path / file.path).write_text(json.dumps(STATISTICS | {"stat": STATISTICS}))
    whole = path.read_bytes()
    if not (name == "mule" and kind != "x.safetensors"):  # its official file is of another kind
        with pytest.raises(ConfigError, match=rf"(lacks tensors of|holds tensors that are not of) {name}|of {name}\b"):
            load(name, weights=path)
    for size in (20, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ConfigError, match=r"is cut short or damaged|no Keras archive"):
            load(name, weights=path)


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_an_empty_folder(name: str, tmp_path: Path) -> None:
    for refuse in (load, check_weights):
        with pytest.raises(ConfigError, match=rf"there are no weights of {name} in .*Looked for"):
            refuse(name, tmp_path)


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_weights_that_load_pass_the_check(name: str, tmp_path: Path) -> None:
    assert check_weights(name, TINY[name](tmp_path).weights) == []


def test_a_check_of_an_encoder_without_weights() -> None:
    assert check_weights("mfcc") == []
    with pytest.raises(ConfigError, match=r"encoder 'mfcc' takes no 'weights'"):
        check_weights("mfcc", "x.pt")
    with pytest.raises(ConfigError, match="mule's weights must be given"):
        check_weights("mule")


class Harm:
    """A pickle of it makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", WITH_WEIGHTS)
@pytest.mark.parametrize("how", ["pickle", "zipped", "legacy", "named .safetensors"])
def test_code_in_a_checkpoint_does_not_run(name: str, how: str, tmp_path: Path) -> None:
    harm, path = Harm(tmp_path / "harmed"), tmp_path / ("x.safetensors" if how == "named .safetensors" else "x.pt")
    if how in ("zipped", "legacy"):
        torch.save({"state_dict": TENSORS, "hook": harm}, path, _use_new_zipfile_serialization=how == "zipped")
    else:
        path.write_bytes(pickle.dumps({"state_dict": harm}))
    with pytest.raises(ConfigError, match=r"holds code besides tensors, which is never run|damaged|no Keras archive"):
        load(name, weights=path)
    assert not harm.path.exists()
    pickle.loads(pickle.dumps(harm))
    assert harm.path.exists()  # it would have


@pytest.mark.skipif(not find_spec("musicnn"), reason="the musicnn package, which has the weights, is not installed")
def test_the_weights_of_one_musicnn_are_not_those_of_the_other() -> None:
    spec = find_spec("musicnn")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    other = Path(spec.submodule_search_locations[0]) / "MTT_musicnn"
    with pytest.raises(ConfigError, match=r"holds the weights of musicnn-mtt, not musicnn-msd"):
        load("musicnn-msd", weights=other)


def test_tensors_are_equal_in_every_file_format(tmp_path: Path) -> None:
    read = {}
    for kind, write in KINDS.items():
        write(tmp_path / kind)
        read[kind] = read_weights(tmp_path / kind)
        assert all(torch.equal(read[kind][key], TENSORS[key]) for key in TENSORS)
    assert {fingerprint(tensors) for tensors in read.values()} == {fingerprint(TENSORS)}
    changed = TENSORS | {"some.bias": TENSORS["some.bias"] + 1e-6}
    assert fingerprint(changed) != fingerprint(TENSORS)


def test_tables_of_other_things_are_refused(tmp_path: Path) -> None:
    for content in ({"epoch": 3}, [torch.ones(1)], {"model": {"a": "text"}}):
        torch.save(content, tmp_path / "x.pt")
        with pytest.raises(ConfigError, match="no table of tensors"):
            read_weights(tmp_path / "x.pt")


def test_settings_beside_the_tensors(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "a.safetensors", {"timbrec": '{"config": {"heads": 2}}'})
    save_file(TENSORS, tmp_path / "b.safetensors")
    save_file(TENSORS, tmp_path / "c.safetensors", {"timbrec": "{no json"})
    zipped(tmp_path / "d.pt")
    assert read_config(tmp_path / "a.safetensors") == {"heads": 2}
    assert read_config(tmp_path / "b.safetensors") == read_config(tmp_path / "d.pt") == {}
    with pytest.raises(ConfigError, match="cut short or damaged"):
        read_config(tmp_path / "c.safetensors")

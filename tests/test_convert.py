"""Slim files: the same vectors, the same revision, and nothing that is not needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from timbrec import catalog
from timbrec.encoders import find, load
from timbrec.encoders.weights import convert as convert_module
from timbrec.encoders.weights.convert import convert
from timbrec.errors import ConfigError
from tiny_encoders import TINY, loaded

TIMBREC = Path(sys.executable).with_name("timbrec")
WITH_WEIGHTS = [name for name in catalog.CATALOG["encoders"] if find(name).card.parameters]


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_the_same_encoder_loads_the_slim_file_and_is_the_same(name: str, tmp_path: Path) -> None:
    (tmp_path / "official").mkdir()
    tiny = TINY[name](tmp_path / "official")
    before = loaded(name, tiny)
    (tmp_path / "moved").mkdir()
    converted = convert(name, tiny.weights, tmp_path / "moved" / "slim.safetensors")
    after = load(name, weights=converted.path, **tiny.options)
    assert after.card == before.card  # the revision too: vectors that are stored stay valid
    seconds = tiny.seconds or before.card.window
    windows = np.random.default_rng(0).normal(0, 0.1, (1, round(seconds * before.card.rate))).astype(np.float32)
    expected = before.encode(windows)  # products may round the last bit otherwise where tensors lie otherwise in memory
    np.testing.assert_allclose(after.encode(windows), expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    assert converted.after == converted.path.stat().st_size
    assert converted.tensors == len(load_file(converted.path))
    assert converted.before == 0 or converted.after <= 1.2 * converted.before
    assert convert(name, converted.path, tmp_path / "again.safetensors").tensors == converted.tensors
    assert (tmp_path / "again.safetensors").read_bytes() == converted.path.read_bytes()


def test_of_jukebox_only_blocks_up_to_the_layer_are_kept(tmp_path: Path) -> None:
    weights = TINY["jukebox-5b"](tmp_path).weights
    three, all_of_it = (convert("jukebox-5b", weights, tmp_path / f"{n}.safetensors", layer=n) for n in (3, 7))
    names = set(load_file(three.path))
    assert {name.split(".")[3] for name in names if "_attn_mods" in name} == {"0", "1", "2"}
    assert not any(name.startswith(("decoders", "prior.x_out")) for name in names)
    assert three.after < all_of_it.after < all_of_it.before
    with safe_open(three.path, "pt") as file:
        description = json.loads(file.metadata()["timbrec"])
    assert description == {"encoder": "jukebox-5b", "config": {"prior": {"heads": 2, "blocks": 8}}}
    audio = np.random.default_rng(0).normal(0, 0.1, (1, 6000)).astype(np.float32)
    expected = load("jukebox-5b", weights=weights, layer=3).encode(audio)
    np.testing.assert_array_equal(load("jukebox-5b", weights=three.path).encode(audio), expected)
    with pytest.raises(ConfigError, match=r"no layer 5 of jukebox-5b.*3 blocks"):
        load("jukebox-5b", weights=three.path, layer=5)


def test_half_precision_stays_half(tmp_path: Path) -> None:
    """OpenAI's prior is float16: a slim file of it must not be twice as large."""
    from test_jukebox import FILES, written

    data = np.load(Path(__file__).parent / "data/jukebox.npz")
    parts = {
        file: {k.removeprefix(part): torch.from_numpy(data[k]).half() for k in data.files if k.startswith(part)}
        for part, file in FILES.items()
    }
    converted = convert("jukebox-5b", written(tmp_path, parts), tmp_path / "slim.safetensors")
    assert {tensor.dtype for tensor in load_file(converted.path).values()} == {torch.float16}


def test_the_final_activation_of_mule_is_kept(tmp_path: Path) -> None:
    """The graph of the official file shows whether there is an activation; a slim file has no graph."""
    from timbrec.encoders.weights.mule import mule_network
    from timbrec.protocols import Slim

    weights = TINY["mule"](tmp_path).weights
    assert weights is not None
    network = mule_network(load_file(weights), weights, final_activation=False)
    out = tmp_path / "slim.safetensors"
    convert_module._write(Slim(network.state_dict(), {"final_activation": False}), out, "mule")
    assert not load("mule", weights=out)._network.final_activation  # type: ignore[attr-defined]
    assert load("mule", weights=weights)._network.final_activation  # type: ignore[attr-defined]


def test_tensors_that_share_memory_are_written_apart(tmp_path: Path) -> None:
    from timbrec.protocols import Slim

    whole = torch.arange(12.0).view(3, 4)
    tensors = {"a": whole, "b": whole, "row": whole[1], "turned": whole.T}
    convert_module._write(Slim(tensors), tmp_path / "x.safetensors", "any")
    read = load_file(tmp_path / "x.safetensors")
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mfcc", {}, "mfcc has no weights to convert"),
        ("mule", {"layer": 3}, "mule cannot be cut at a layer"),
        ("jukebox-5b", {"layer": 99}, "no layer 99 of jukebox-5b"),
        ("mulee", {}, "Did you mean 'mule'"),
    ],
)
def test_encoders_without_conversion_are_refused(
    name: str, options: dict[str, int], message: str, tmp_path: Path
) -> None:
    weights = TINY.get(name, TINY["mfcc"])(tmp_path).weights
    with pytest.raises(ConfigError, match=message):
        convert(name, weights, tmp_path / "out.safetensors", **options)
    assert not list(tmp_path.glob("*out*"))


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = TINY["mule"](tmp_path).weights
    existing = tmp_path / "there.safetensors"
    existing.write_text("mine")
    for out in (existing, weights, tmp_path / "no folder" / "x.safetensors", tmp_path / "x.bin"):
        with pytest.raises(ConfigError, match="cannot be written"):
            convert("mule", weights, out)  # type: ignore[arg-type]
    assert existing.read_text() == "mine"

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"cannot be written: .*No space left"):
        convert("mule", weights, tmp_path / "new.safetensors")
    assert {path.name for path in tmp_path.iterdir()} == {"mule.safetensors", "there.safetensors"}


def test_the_command_prints_the_size_before_and_after(tmp_path: Path) -> None:
    weights = TINY["jukebox-5b"](tmp_path).weights
    command = [TIMBREC, "convert", "jukebox-5b", str(weights), "slim.safetensors", "--layer", "2"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)  # type: ignore[arg-type]
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("slim.safetensors: ")
    assert "MB (before: 0." in answer.stdout
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)  # type: ignore[arg-type]
    assert again.returncode == 2
    assert "it exists" in again.stderr

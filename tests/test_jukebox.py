"""Jukebox against OpenAI's classes and jukemirlib's conditioning, on a small random model.

`data/jukebox.npz` holds its two checkpoints under the official names, a quarter of a second of audio and the
reference's results: the encoder's output, the codes, the conditioning of the prior, and the states after its blocks.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from made import noise
from timbrec.encoders import load
from timbrec.encoders.jukebox import Jukebox, read_jukebox
from timbrec.encoders.networks.jukebox import JukeboxNetwork
from timbrec.encoders.networks.jukebox_sizes import Sizes
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import Encoder

FILES = {"vqvae/": "vqvae.pth.tar", "prior/": "prior_level_2.pth.tar"}
CONFIG = {"prior": {"heads": 2, "blocks": 8}}


@pytest.fixture(scope="module")
def expected(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "jukebox.npz", allow_pickle=False))


@pytest.fixture(scope="module")
def checkpoints(expected: dict[str, np.ndarray]) -> dict[str, dict[str, torch.Tensor]]:
    """The tensors of both files."""
    return {
        file: {key.removeprefix(part): torch.from_numpy(expected[key]) for key in expected if key.startswith(part)}
        for part, file in FILES.items()
    }


def written(folder: Path, checkpoints: dict[str, dict[str, torch.Tensor]], zipped: bool = False) -> Path:
    """As OpenAI wrote them: with training's prefix, under "model", in PyTorch's first format."""
    for file, tensors in checkpoints.items():
        saved = {"step": 7, "model": {f"module.{name}": tensor for name, tensor in tensors.items()}}
        torch.save(saved, folder / file, _use_new_zipfile_serialization=zipped)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


@pytest.fixture(scope="module")
def weights(checkpoints: dict[str, dict[str, torch.Tensor]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("jukebox"), checkpoints)


@pytest.fixture(scope="module")
def encoder(weights: Path) -> Jukebox:
    return Jukebox(weights)


def test_codes_and_conditioning_equal_the_official_ones(encoder: Jukebox, expected: dict[str, np.ndarray]) -> None:
    network, audio = encoder._network, expected["input_long"]
    encoded = network.encoders["2"](torch.from_numpy(audio)[None, None])
    np.testing.assert_allclose(encoded, expected["long_enc2_prequant"], atol=5e-5)
    np.testing.assert_array_equal(network.codes(torch.from_numpy(audio)[None]), expected["long_codes"])
    np.testing.assert_array_equal(encoder.codes(audio), expected["long_codes"][0, :64])  # the prior's context
    song, places = network.y_emb()
    np.testing.assert_array_equal(song, expected["y_cond"][0, 0])
    np.testing.assert_array_equal(places, expected["x_cond"])


@pytest.mark.parametrize("layer", [1, 3, 5, 7])
def test_the_hidden_states_are_the_official_ones(
    encoder: Jukebox, weights: Path, expected: dict[str, np.ndarray], layer: int
) -> None:
    audio = expected["input_long"][None]
    frames = encoder.frames(audio, layer=layer)
    np.testing.assert_allclose(frames[0], expected[f"long_layer{layer}"], atol=5e-5)
    up_to_it = Jukebox(weights, layer=layer)
    np.testing.assert_allclose(up_to_it.encode(audio)[0], frames[0].mean(axis=0), atol=5e-5)
    if layer > 1:
        np.testing.assert_allclose(up_to_it.encode(audio)[0], expected[f"long_layer{layer}_meanpool"], atol=5e-5)


def test_half_precision_is_an_option_and_near(weights: Path, expected: dict[str, np.ndarray]) -> None:
    half = Jukebox(weights, layer=5, half=True)
    frames = half.frames(expected["input_long"][None])[0]
    assert frames.dtype == np.float32
    np.testing.assert_allclose(frames, expected["long_layer5_fp16"], atol=0.05)
    error = np.abs(frames - expected["long_layer5"])
    assert 1e-4 < error.max() < 0.02  # it was in half precision
    assert half.card.revision.endswith(", half")


def test_every_hidden_state_of_the_golden_folder(test_data: Path) -> None:
    """As it lies there: safetensors, with the config that made it."""
    folder = test_data / "golden/jukebox"
    official, encoder = np.load(folder / "tiny_expected.npz"), Jukebox(folder)
    for layer in range(1, 8):
        frames = encoder.frames(official["input_long"][None], layer=layer)
        np.testing.assert_allclose(frames[0], official[f"long_layer{layer}"], atol=5e-5)


def test_the_published_sizes_give_the_published_counts(checkpoints: dict[str, dict[str, torch.Tensor]]) -> None:
    with torch.device("meta"):
        full = JukeboxNetwork(Sizes())
    tensors = full.state_dict()
    block = {name: tensor.numel() for name, tensor in tensors.items() if "_attn_mods.35." in name}
    assert (len(block), sum(block.values())) == (12, 69_157_200)
    assert round(36 * sum(block.values()) / 1e9, 2) == 2.49
    assert sum(tensor.numel() for tensor in tensors.values()) == Jukebox.card.parameters
    assert tensors["y_emb.artist_emb.emb.weight"].shape == (4111, 4800)
    assert (full.sizes.hop, full.sizes.context * full.sizes.hop) == (128, 1_048_576)

    def forms(names: Any) -> set[str]:
        return {".".join("#" if part.isdigit() else part for part in name.split(".")) for name in names}

    small = {name for file in checkpoints.values() for name in file if not name.startswith(("decoders", "prior.x_out"))}
    assert forms(tensors) == forms(small)
    assert Sizes.of(tensors, heads=8, blocks=128) == Sizes()


@pytest.mark.parametrize("time", [1, 5, 8, 21, 64])
def test_attention_equals_a_dense_mask(encoder: Jukebox, time: int) -> None:
    """Blocks of 8 codes: earlier codes of the block; the same place of earlier blocks; the whole block before."""
    blocks = encoder._network.prior.transformer._attn_mods
    x = torch.randn(2, time, 64, generator=torch.Generator().manual_seed(time))
    now, then = torch.arange(time)[:, None], torch.arange(time)[None]
    masks = [
        (now // 8 == then // 8) & (then <= now),
        (now % 8 == then % 8) & (then <= now),
        now // 8 == then // 8 + 1,
    ]
    for block, mask in zip(blocks[:3], masks, strict=True):
        attention = block.attn
        query, key, value = (x @ attention.c_attn.w + attention.c_attn.b).chunk(3, dim=-1)  # type: ignore[operator, union-attr]
        heads = []
        for head in (slice(0, 8), slice(8, 16)):
            scores = (query[..., head] @ key[..., head].mT / 8**0.5).masked_fill(~mask, -torch.inf)
            heads.append(torch.nan_to_num(scores.softmax(-1)) @ value[..., head])  # nan: there is nothing to look at
        expected = torch.cat(heads, dim=-1) @ attention.c_proj.w + attention.c_proj.b  # type: ignore[operator, union-attr]
        torch.testing.assert_close(attention(x), expected, rtol=1e-4, atol=1e-5)  # type: ignore[operator]


def test_no_code_sees_later_codes(encoder: Jukebox) -> None:
    codes = torch.randint(0, 32, (1, 64), generator=torch.Generator().manual_seed(0))
    other = codes.clone()
    other[0, 40] = (other[0, 40] + 1) % 32

    def last(codes: torch.Tensor) -> torch.Tensor:
        return dict(encoder._network.states(codes, [7]))[7][0]

    before, after = last(codes), last(other)
    changed = (before != after).any(dim=1)
    assert not changed[:41].any()  # the state at a code is made of those before it
    assert changed[41]
    torch.testing.assert_close(last(codes[:, :30]), before[:30], rtol=1e-4, atol=1e-5)


def test_blocks_behind_the_layer_and_training_s_parts_are_not_loaded(
    weights: Path, checkpoints: dict[str, dict[str, torch.Tensor]]
) -> None:
    tensors, config, source = read_jukebox(weights, layer=3)
    assert (config, source) == (CONFIG, weights)
    given = {name for file in checkpoints.values() for name in file}
    dropped = given - tensors.keys()
    assert {name.split(".")[0] for name in dropped} == {"decoders", "prior"}
    assert {name.split(".")[3] for name in dropped if "_attn_mods" in name} == {"3", "4", "5", "6"}
    assert {name for name in dropped if "_attn_mods" not in name and "decoders" not in name} == {"prior.x_out.weight"}
    encoder = Jukebox(weights, layer=3)
    assert (encoder.card.layers, encoder.card.parameters) == (3, sum(tensor.numel() for tensor in tensors.values()))
    assert encoder.card.revision.startswith("5b, layer 3, weights ")


def test_one_slim_file_and_both_formats_of_pytorch_give_the_same(
    weights: Path, checkpoints: dict[str, dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    third = Jukebox(weights, layer=3)
    zipped = Jukebox(written(tmp_path, checkpoints, zipped=True), layer=3)
    assert third.card == zipped.card
    np.testing.assert_array_equal(third.encode(noise(1, 9000)), zipped.encode(noise(1, 9000)))
    tensors, _, _ = read_jukebox(weights, layer=3)
    (tmp_path / "slim").mkdir()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "slim/jukebox.safetensors")
    read, _, _ = read_jukebox(tmp_path / "slim/jukebox.safetensors")
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)
    assert read.keys() == tensors.keys()


def test_loading_by_name(weights: Path) -> None:
    encoder = load("jukebox-5b", weights=str(weights), layer=5)
    assert isinstance(encoder, Encoder)
    assert (encoder.card.name, encoder.card.dim, encoder.card.layers) == ("jukebox-5b", 64, 5)


def test_a_window_has_the_same_vector_alone_and_in_a_batch(encoder: Jukebox) -> None:
    batch = noise(3, 6000)
    alone = np.concatenate([encoder.encode(window[None]) for window in batch])
    np.testing.assert_allclose(encoder.encode(batch), alone, rtol=1e-5)
    np.testing.assert_allclose(encoder.frames(batch).mean(axis=1), alone, rtol=1e-4, atol=1e-5)


def test_loudness_does_not_matter_and_silence_is_finite(encoder: Jukebox) -> None:
    audio = noise(1, 6000)
    np.testing.assert_array_equal(encoder.encode(audio), encoder.encode(audio * np.float32(0.25)))
    assert np.isfinite(encoder.encode(0 * audio)).all()
    with pytest.raises(AudioError, match="NaN or infinite"):
        encoder.encode(np.nan * audio)
    assert encoder.encode(noise(0, 6000)).shape == (0, 64)
    assert encoder.frames(noise(0, 6000)).shape == (0, 46, 64)


def test_a_code_takes_128_samples_and_fewer_are_refused(encoder: Jukebox) -> None:
    assert encoder.frames(noise(1, 128)).shape == (1, 1, 64)
    assert encoder.frames(noise(1, 1000)).shape == (1, 7, 64)
    assert encoder.frames(noise(1, 100_000)).shape == (1, 64, 64)
    for samples in (0, 127):
        with pytest.raises(AudioError, match=f"^{samples} samples are too short for jukebox-5b.*128"):
            encoder.encode(noise(1, samples))


def test_layers_that_are_not_there_are_refused(encoder: Jukebox, weights: Path) -> None:
    assert encoder.frames(noise(1, 1000), layer=0).shape == (1, 7, 64)
    np.testing.assert_array_equal(encoder.frames(noise(1, 1000)), encoder.frames(noise(1, 1000), layer=7))
    for layer in (-1, 8):
        with pytest.raises(ConfigError, match=f"no layer {layer} among the 7 loaded"):
            encoder.frames(noise(1, 1000), layer=layer)
    for layer in (0, 8):
        with pytest.raises(ConfigError, match=f"no layer {layer} of jukebox-5b.*7 blocks"):
            Jukebox(weights, layer=layer)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("bottleneck.level_blocks.2.k"), r"lacks tensors of jukebox-5b .*level_blocks\.2\.k"),
        (lambda t: t.pop("encoders.2.level_blocks.1.model.0.0.bias"), r"lacks tensors of jukebox-5b \(1 in all"),
        (lambda t: t.update({"encoders.2.extra": torch.zeros(1)}), "holds tensors that are not of jukebox-5b"),
        (lambda t: t.update({"conditioner_blocks.0.x": torch.zeros(1)}), "holds tensors that are not of jukebox-5b"),
    ],
)
def test_checkpoints_of_other_models_are_refused(
    checkpoints: dict[str, dict[str, torch.Tensor]],
    tmp_path: Path,
    change: Callable[[dict[str, torch.Tensor]], Any],
    message: str,
) -> None:
    changed = {file: dict(tensors) for file, tensors in checkpoints.items()}
    change(changed["vqvae.pth.tar"])
    with pytest.raises(ConfigError, match=message):
        Jukebox(written(tmp_path, changed))


class Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("/tmp/this-must-not-run"),)


@pytest.mark.parametrize("zipped", [False, True])
def test_damaged_files_are_each_refused_by_name(
    checkpoints: dict[str, dict[str, torch.Tensor]], tmp_path: Path, zipped: bool
) -> None:
    path = written(tmp_path, checkpoints, zipped) / "prior_level_2.pth.tar"
    whole = path.read_bytes()
    cuts = [(whole[:size], "cut short or damaged") for size in (5, 100, len(whole) // 2, len(whole) - 1)]
    for content, message in (
        *cuts,
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<html>not found</html>", "no PyTorch checkpoint|cut short or damaged"),
        (pickle.dumps(Code(), protocol=2), "no PyTorch checkpoint, or holds code"),
        (pickle.dumps({"model": 1}, protocol=2), "no PyTorch checkpoint|is no table of tensors|cut short"),
    ):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=message):
            Jukebox(tmp_path)
    assert not Path("/tmp/this-must-not-run").exists()
    with pytest.raises(ConfigError, match=r"lacks tensors of jukebox-5b .*prior\.pos_emb"):
        Jukebox(tmp_path / "vqvae.pth.tar")
    path.unlink()
    with pytest.raises(ConfigError, match=r"no weights of jukebox-5b in .*prior_level_2\.pth\.tar"):
        Jukebox(tmp_path)
    with pytest.raises(ConfigError, match=r"must be given: their licence allows no commercial use"):
        Jukebox()


def test_the_card_is_read_without_torch() -> None:
    code = (
        "import sys; from timbrec.encoders.jukebox import Jukebox; assert not Jukebox.card.commercial; "
        "assert not {'torch', 'transformers'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_all_layers_come_from_one_pass(
    encoder: Jukebox, expected: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    audio, layers = np.stack([expected["input_long"]] * 2), [7, 3, 5]
    passes: list[int] = []
    real = encoder._network.states

    def counted(codes: torch.Tensor, layers: list[int]) -> Any:
        passes.append(len(codes))
        return real(codes, layers)

    monkeypatch.setattr(encoder._network, "states", counted)
    vectors = encoder.encode_layers(audio, layers)
    assert (vectors.keys(), passes) == (set(layers), [1, 1])  # type: ignore[comparison-overlap]
    for layer in layers:
        np.testing.assert_allclose(vectors[layer][0], expected[f"long_layer{layer}_meanpool"], atol=5e-5)
    with pytest.raises(ConfigError, match="no layer 8 among the 7 loaded"):
        encoder.encode_layers(audio, [8])

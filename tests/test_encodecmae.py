"""EncodecMAE against the reference (habla-liaa/encodecmae v.1.0.0 with encodec 0.1.1), on a small random model.

`data/encodecmae.npz` holds its weights under the official names (tensors that all blocks share once, and one value
of each table of codes), 5.3 s of audio and the reference's results: all features, and every tenth frame of the first
chunk of EnCodec's output, of the blocks' input and of their normalised streams. Other lengths are compared with the
published description, step by step.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import layer_norm
from torch.utils.flop_counter import FlopCounterMode

from made import noise
from timbrec.encoders import encodecmae, load
from timbrec.encoders.encodecmae import CHUNK, EncodecMAE
from timbrec.encoders.networks.encodecmae import EncodecMAENetwork, Sizes
from timbrec.encoders.weights.convert import convert
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import Encoder

BLOCK = "visible_encoder.encoder_layers"


def plain_states(tensors: dict[str, Tensor], frames: Tensor, samples: int, heads: int) -> list[Tensor]:
    """From (time, codec) frames of one chunk of so many samples to all layers; keys not to be seen get -1e9."""
    x = frames @ tensors["feat_projector.weight"].T + tensors["feat_projector.bias"]
    time, dim = x.shape
    for place in range(time):
        for pair in range(dim // 2):
            angle = place / 10_000 ** (2 * pair / dim)
            x[place, 2 * pair] += tensors["positional_encoder.scale"] * math.sin(angle)
            x[place, 2 * pair + 1] += tensors["positional_encoder.scale"] * math.cos(angle)
    unseen = torch.zeros(time)
    unseen[samples // 320 :] = -1e9
    x0 = x1 = x
    states = [x]
    for layer in range(sum(".norm1.weight" in name and BLOCK in name for name in tensors)):
        own = {name.split(f"layers.{layer}.")[1]: t for name, t in tensors.items() if f"{BLOCK}.{layer}." in name}
        q, k, v = ((x0 @ own[f"att_layer.w{part}.weight"].T).view(time, dim // heads, heads) for part in "qkv")
        seen = torch.einsum("tdh,sdh->hts", q, k) / math.sqrt(dim // heads) + unseen
        attended = torch.einsum("hts,sdh->tdh", seen.softmax(2), v).reshape(time, dim) @ own["att_layer.wo.weight"].T
        x1, x0 = x1 + attended, layer_norm(x0 + attended, (dim,), own["norm1.weight"], own["norm1.bias"])
        fed = torch.relu(x0 @ own["ff_layer.0.weight"].T + own["ff_layer.0.bias"])
        fed = fed @ own["ff_layer.2.weight"].T + own["ff_layer.2.bias"]
        x1, x0 = x1 + fed, layer_norm(x0 + fed, (dim,), own["norm2.weight"], own["norm2.bias"])
        states.append(x0)
    norm = (tensors["visible_encoder.final_norm.weight"], tensors["visible_encoder.final_norm.bias"])
    return [*states, x0 + layer_norm(x1, (dim,), *norm)]


@pytest.fixture(scope="module")
def expected(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "encodecmae.npz", allow_pickle=False))


@pytest.fixture(scope="module")
def tensors(expected: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """The tensors of the official checkpoint; tensors that blocks share are one place in memory."""
    weights = {name: torch.from_numpy(value) for name, value in expected.items() if name.startswith("weights/")}
    named = {name.removeprefix("weights/"): value for name, value in weights.items()}
    for name in [name for name in named if name.endswith("norm1.weight")]:
        block = name.removesuffix("norm1.weight")
        first = re.sub(r"\d+\.$", "0.", block)
        for part in ("0.weight", "0.bias", "2.weight", "2.bias"):
            named[f"{block}ff_layer.{part}"] = named[f"{first}ff_layer.{part}"]
    return named


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, Tensor]) -> Path:
    path = tmp_path_factory.mktemp("encodecmae")
    torch.save({"state_dict": tensors}, path / "model.pt")
    (path / "config.json").write_text('{"num_encoder_heads": 4}')
    return path


@pytest.fixture(scope="module")
def encoder(folder: Path) -> EncodecMAE:
    return load("encodecmae-base", folder)  # type: ignore[return-value]


def test_every_stage_is_the_references(encoder: EncodecMAE, expected: dict[str, np.ndarray]) -> None:
    audio = expected["input"][None]
    np.testing.assert_allclose(encoder.frames(audio)[0], expected["features"], atol=2e-5)
    np.testing.assert_allclose(encoder.encode(audio)[0], expected["pooled"], atol=2e-5)
    first = audio[:, :CHUNK]
    with torch.no_grad():
        frames = encoder._network.wav_encoder(torch.from_numpy(first)[:, None])[0].mT
    np.testing.assert_allclose(frames[::10], expected["encodec"], atol=2e-5)
    np.testing.assert_allclose(encoder.frames(first, 0)[0, ::10], expected["layer_0"], atol=2e-5)
    for layer, states in enumerate(expected["layer_x0"], 1):
        np.testing.assert_allclose(encoder.frames(first, layer)[0, ::10], states, atol=2e-5)
    np.testing.assert_allclose(encoder.frames(first, 4)[0], expected["features"][:300], atol=2e-5)


def test_the_whole_golden_from_both_of_its_files(test_data: Path) -> None:
    folder = test_data / "golden/encodecmae_v1_tiny"
    official, audio = np.load(folder / "expected.npz"), np.load(folder / "input.npy")[None]
    encoders = [load("encodecmae-base", path) for path in (folder, folder / "official_format.pt")]
    assert encoders[0].card == encoders[1].card
    for encoder in encoders:
        np.testing.assert_allclose(encoder.frames(audio)[0], official["features"], atol=2e-5)  # type: ignore[attr-defined]
        first = audio[:, :CHUNK]
        np.testing.assert_allclose(encoder.frames(first, 0)[0], official["first_chunk_projected_plus_pos"], atol=2e-5)  # type: ignore[attr-defined]
        np.testing.assert_allclose(encoder.frames(first)[0], official["first_chunk_visible"], atol=2e-5)  # type: ignore[attr-defined]
        for layer, stage in enumerate(official["first_chunk_layer_x0"], 1):  # the last, before the final norm, too
            np.testing.assert_allclose(encoder.frames(first, layer)[0], stage, atol=2e-5)  # type: ignore[attr-defined]


@pytest.mark.parametrize("samples", [1, 6, 319, 320, 321, 639, 3_200, 3_201, 3_519, 40_001])
def test_a_chunk_of_any_length_is_as_described(encoder: EncodecMAE, tensors: dict[str, Tensor], samples: int) -> None:
    """Whole and incomplete last frames, and chunks of less than a frame, which the reference masks entirely."""
    audio = noise(1, samples, seed=samples)
    with torch.no_grad():
        frames = encoder._network.wav_encoder(torch.from_numpy(audio)[:, None])[0].mT
        plain = plain_states(tensors, frames, samples, heads=4)
    assert len(frames) == -(-samples // 320)
    for layer, state in enumerate(plain):
        np.testing.assert_allclose(encoder.frames(audio, layer)[0], state, atol=2e-5, err_msg=str(layer))


@pytest.mark.parametrize("rest", [0, 1, 319, 320, 400])
def test_chunks_know_nothing_of_each_other(encoder: EncodecMAE, rest: int) -> None:
    audio = noise(2, 2 * CHUNK + rest)
    parts = [audio[:, start : start + CHUNK] for start in range(0, audio.shape[1], CHUNK)]
    frames = np.concatenate([encoder.frames(np.ascontiguousarray(part)) for part in parts], 1)
    np.testing.assert_allclose(encoder.frames(audio), frames, atol=5e-6)
    assert encoder.frames(audio[:0]).shape == (0, *frames.shape[1:])
    assert frames.shape[1] == 600 + -(-rest // 320)


@pytest.mark.parametrize("samples", [300, 12_345, CHUNK + 500])
def test_a_window_has_the_same_vector_alone_and_in_a_batch(encoder: EncodecMAE, samples: int) -> None:
    batch = noise(3, samples) * np.float32([[1], [1e-3], [3]])  # type: ignore[arg-type, operator]
    alone = np.concatenate([encoder.encode(window[None]) for window in batch])
    error = np.linalg.norm(encoder.encode(batch) - alone, axis=1) / np.linalg.norm(alone, axis=1)
    assert error.max() < 1e-5


def test_layers_options_and_silence(encoder: EncodecMAE, folder: Path) -> None:
    audio = noise(2, 20_000)
    for layer, vectors in encoder.encode_layers(audio, [4, 0, 3]).items():
        np.testing.assert_allclose(vectors, encoder.frames(audio, layer).mean(1), atol=1e-6)
    second, half = load("encodecmae-base", folder, layer=2), load("encodecmae-base", folder, dtype="bfloat16")
    np.testing.assert_allclose(second.encode(audio), encoder.frames(audio, 2).mean(1), atol=1e-6)
    assert 1e-4 < np.abs(half.encode(audio) - encoder.encode(audio)).max() < 0.1
    assert len({model.card.revision for model in (encoder, second, half)}) == 3
    assert np.isfinite(encoder.encode(np.zeros((1, 20_000), np.float32))).all()
    assert encoder.encode(noise(0, 20_000)).shape == (0, 32)
    with pytest.raises(AudioError, match=r"0 samples are too short for encodecmae-base. One frame takes 1 at"):
        encoder.encode(noise(1, 0))
    with pytest.raises(ConfigError, match=r"encodecmae-base has no layer 5. Its layers are 0 to 4"):
        encoder.frames(audio, 5)
    with pytest.raises(ConfigError, match="does not compute in 'float16'"):
        load("encodecmae-base", folder, dtype="float16")
    assert isinstance(encoder, Encoder)


def test_only_tensors_for_training_are_dropped(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    kept = {name for name in tensors if not encodecmae.UNUSED.fullmatch(name)}
    parts = ("wav_encoder.", "feat_projector.", "positional_encoder.", "visible_encoder.")
    assert kept == {name for name in tensors if name.startswith(parts)}
    (tmp_path / "config.json").write_text('{"num_encoder_heads": 4}')
    lacking = {name: tensor for name, tensor in tensors.items() if name != f"{BLOCK}.1.att_layer.wk.weight"}
    for changed, message in (
        (tensors | {"visible_encoder.cls": torch.zeros(2)}, r"not of encodecmae-base \(1 in all, e.g. 'visible_enc"),
        (lacking, r"lacks tensors of encodecmae-base \(1 in all"),
        ({"encoder.layers.0.weight": torch.zeros(2)}, "lacks tensors of encodecmae-base"),
    ):
        torch.save({"state_dict": changed}, tmp_path / "model.pt")
        with pytest.raises(ConfigError, match=message):
            EncodecMAE(tmp_path)
    (tmp_path / "model.pt").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(ConfigError, match="Git LFS pointer"):
        EncodecMAE(tmp_path)


@pytest.mark.parametrize("name", ["wav_encoder.post_net.weight", "wav_encoder.encoder.model.model.0.conv.conv.bias"])
def test_second_version_is_refused(tensors: dict[str, Tensor], tmp_path: Path, name: str) -> None:
    """Its wav encoder is a wrapper with the modules `encoder` and `post_net`."""
    torch.save({"state_dict": tensors | {name: torch.zeros(3)}}, tmp_path / "model.pt")
    with pytest.raises(ConfigError, match=r"second version, which is not supported.*lpepino/encodecmae-base"):
        EncodecMAE(tmp_path / "model.pt")


def test_a_slim_file_needs_nothing_beside_it(
    encoder: EncodecMAE, folder: Path, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    convert("encodecmae-base", folder, tmp_path / "slim.safetensors")
    slim, audio = load("encodecmae-base", tmp_path / "slim.safetensors"), noise(1, 5_000)
    assert slim.card == encoder.card
    np.testing.assert_array_equal(slim.encode(audio), encoder.encode(audio))
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, tmp_path / "model.safetensors")
    with pytest.raises(ConfigError, match=r"32 values cannot be divided among 12 heads.*config.json"):
        load("encodecmae-base", tmp_path / "model.safetensors")


def test_the_published_sizes_are_as_the_card_says() -> None:
    """On the meta device; the operations of EnCodec's encoder are counted by hand."""
    import transformers

    card, sizes = EncodecMAE.card, Sizes(heads=12, codec=128, filters=32, dim=768, inner=4096, layers=10)
    codec = transformers.EncodecModel(transformers.EncodecConfig()).encoder
    with torch.device("meta"):
        network = EncodecMAENetwork(sizes, torch.nn.Identity())
    count = sum(parameter.numel() for parameter in network.parameters())
    count -= 9 * sum(parameter.numel() for parameter in network.visible_encoder.encoder_layers[0].ff_layer.parameters())  # type: ignore[misc, union-attr]
    codec_count = sum(parameter.numel() for parameter in codec.parameters())
    assert round(count / 1e6, 1) == 30.0
    assert round(codec_count / 1e6, 2) == 7.43
    assert card.parameters == count + codec_count
    total = 0.0
    for chunks, samples in ((7, CHUNK), (1, CHUNK // 2)):
        frames = torch.empty(chunks, 128, samples // 320, device="meta")
        network.wav_encoder = Fixed(frames)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            states = dict(network.states(torch.empty(chunks, samples, device="meta"), 320, [11]))
        assert states[11].shape == (chunks, samples // 320, 768)
        total += counter.get_total_flops() + 2 * chunks * codec_products(samples)
    assert card.gflop == pytest.approx(total / 1e9, abs=0.5)


class Fixed(torch.nn.Module):
    """Gives the same frames for any audio."""

    def __init__(self, frames: Tensor) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, audio: Tensor) -> Tensor:
        return self.frames


def codec_products(samples: int) -> int:
    """Multiplications of EnCodec's encoder: kernel x inputs x outputs x places, and two LSTM layers."""
    total, channels = 7 * 32 * samples, 32
    for ratio in (2, 4, 5, 8):
        unit = 3 * channels * channels // 2 + channels // 2 * channels + channels * channels
        total += unit * samples
        samples //= ratio
        total += 2 * ratio * channels * 2 * channels * samples
        channels *= 2
    return total + samples * (2 * 2 * channels * 4 * channels + 7 * channels * 128)

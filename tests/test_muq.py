"""MuQ and MuQ-MuLan against their references with random weights.

MuQ's golden is a small model of the same values as MusicFM's, so `data/musicfm.npz` serves it too.
`data/muq_mulan.npz` holds the tensors of both towers of a small MuQ-MuLan with clips of 1 s, and the reference's
results for the first 2.6 s of the same audio: each clip's vector and their mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from conformers import MUQ, as_muq, assert_same, muq_folder, musicfm_folder, tensors_in
from made import noise
from timbrec.audit.contract import check_encoder
from timbrec.encoders import load
from timbrec.encoders.muq import MuQ
from timbrec.encoders.muq_mulan import MuQMuLan
from timbrec.encoders.networks.conformer import ConformerNetwork, Sizes
from timbrec.encoders.weights.convert import convert
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import Encoder

CLOSE: Any = {"rtol": 0, "atol": 2e-5}
MULAN = {"mulan": {"clip_secs": 1, "sr": 24000, "dim_latent": 16}, "audio_model": {"use_layer_idx": -1}}


@pytest.fixture(scope="module")
def expected(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "musicfm.npz", allow_pickle=False))


@pytest.fixture(scope="module")
def expected_mulan(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "muq_mulan.npz", allow_pickle=False))


@pytest.fixture(scope="module")
def tensors(expected: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return as_muq(tensors_in(expected))


@pytest.fixture(scope="module")
def towers(expected_mulan: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return tensors_in(expected_mulan)


@pytest.fixture(scope="module")
def weights(tensors: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return muq_folder(tmp_path_factory.mktemp("muq"), tensors, MUQ)


@pytest.fixture(scope="module")
def mulan_weights(towers: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return muq_folder(tmp_path_factory.mktemp("mulan"), towers, MULAN)


@pytest.fixture(scope="module")
def encoder(weights: Path) -> MuQ:
    return MuQ(weights)


@pytest.fixture(scope="module")
def mulan(mulan_weights: Path) -> MuQMuLan:
    return MuQMuLan(mulan_weights)


def test_muq_is_the_official_one(encoder: MuQ, expected: dict[str, np.ndarray]) -> None:
    audio = expected["input"][None]
    for layer, states in enumerate(expected["hidden_states"]):
        np.testing.assert_allclose(encoder.frames(audio, layer)[0], states, **CLOSE)
    np.testing.assert_allclose(encoder.encode(audio)[0], expected["pooled_time"], **CLOSE)


def test_the_whole_golden_of_muq(test_data: Path) -> None:
    folder = test_data / "golden/muq_tiny"
    official, audio = np.load(folder / "expected.npz"), np.load(folder / "input.npy")
    encoder = load("muq", folder)
    layers = np.stack([encoder.frames(audio, layer) for layer in range(4)])  # type: ignore[attr-defined]
    np.testing.assert_allclose(layers, official["hidden_states"], **CLOSE)
    np.testing.assert_allclose(encoder.frames(audio), official["last_hidden_state"], **CLOSE)  # type: ignore[attr-defined]
    np.testing.assert_allclose(encoder.encode(audio), official["pooled"], **CLOSE)
    for layer, vectors in encoder.encode_layers(audio, range(4)).items():  # type: ignore[attr-defined]
        np.testing.assert_allclose(vectors, layers[layer].mean(axis=1), **CLOSE)


def test_mulan_is_the_official_one(
    mulan: MuQMuLan, expected: dict[str, np.ndarray], expected_mulan: dict[str, np.ndarray]
) -> None:
    audio = expected["input"][None, :62_400]
    np.testing.assert_allclose(mulan.frames(audio)[0], expected_mulan["latents"], **CLOSE)
    np.testing.assert_allclose(mulan.encode(audio)[0], expected_mulan["embedding"], **CLOSE)
    assert (mulan.card.dim, mulan.card.time, mulan.card.frames_per_second) == (16, "1 s clips", 1.0)


def test_the_whole_golden_of_mulan(test_data: Path) -> None:
    folder = test_data / "golden/muq_mulan_tiny"
    official, audio = np.load(folder / "expected.npz"), np.load(folder / "input.npy")
    encoder = load("muq-mulan", folder)
    np.testing.assert_array_equal(encoder.clips(audio)[0], official["clips0"])  # type: ignore[attr-defined]
    np.testing.assert_allclose(encoder.frames(audio)[0], official["per_clip_latents0"], **CLOSE)  # type: ignore[attr-defined]
    np.testing.assert_allclose(encoder.encode(audio), official["embedding"], **CLOSE)


@pytest.mark.parametrize(
    ("samples", "sources"),
    [
        (8_000, [[*range(8_000), *range(8_000)]]),
        (12_000, [[*range(12_000), *range(12_000)]]),
        (13_000, [[*range(13_000), *range(11_000)]]),
        (24_000, [[*range(24_000)]]),
        (24_001, [[*range(24_000)], [24_000, *range(23_999)]]),
        (48_000, [[*range(24_000)], [*range(24_000, 48_000)]]),
        (50_000, [[*range(24_000)], [*range(24_000, 48_000)], [*range(48_000, 50_000), *range(22_000)]]),
    ],
)
def test_a_short_last_clip_is_completed_with_the_start(mulan: MuQMuLan, samples: int, sources: list[list[int]]) -> None:
    audio = noise(2, samples)
    clips = mulan.clips(audio)
    np.testing.assert_array_equal(clips, np.stack([audio[:, source] for source in sources], axis=1))
    latents = mulan.frames(audio)
    assert latents.shape == (2, len(sources), 16)
    np.testing.assert_allclose(np.linalg.norm(latents, axis=2), 1, rtol=1e-5)
    np.testing.assert_allclose(mulan.encode(audio), latents.mean(axis=1), rtol=1e-6)
    alone = (
        np.concatenate([mulan.frames(clip[None, :]) for clip in clips[0]])[:, 0] if samples >= 24_000 else latents[0]
    )
    np.testing.assert_allclose(latents[0], alone, rtol=1e-5, atol=1e-6)


def test_mulan_s_embedding_is_the_mean_of_projections(mulan: MuQMuLan, towers: dict[str, torch.Tensor]) -> None:
    """From its inner MuQ's states, written out."""
    audio = noise(1, 24_000)
    hidden = dict(mulan._conformer.states(torch.from_numpy(audio), [3]))[3].detach().numpy()[0]
    project, bias = (towers[f"mulan.audio.proj.{part}"].numpy() for part in ("weight", "bias"))
    latent, shift = (towers[f"mulan.audio_to_latents.{part}"].numpy() for part in ("weight", "bias"))
    vector = latent @ (hidden @ project.T + bias).mean(axis=0) + shift
    np.testing.assert_allclose(mulan.encode(audio)[0], vector / np.linalg.norm(vector), **CLOSE)


def test_the_published_sizes_give_the_published_counts(towers: dict[str, torch.Tensor]) -> None:
    with torch.device("meta"):
        full, head = ConformerNetwork(Sizes()), nn.Sequential(nn.Linear(1024, 768), nn.Linear(768, 512))
    training = 1024 + 8192 * 1024 + 8192 + 1024 * 64 * 128 + 128 + 1024  # cls_token, linear, pos_conv_embed
    muq = sum(tensor.numel() for tensor in full.parameters()) + training
    assert muq == MuQ.card.parameters == 333_130_880
    audio = muq + sum(tensor.numel() for tensor in head.parameters())
    assert MuQMuLan.card.parameters == pytest.approx(2 * audio, rel=0.03)  # half of them
    clip = Sizes().gflop(240_000) + 2e-9 * (250 * 1024 * 768 + 768 * 512)
    assert MuQMuLan.card.gflop == pytest.approx(3 * clip, abs=0.05)
    assert MuQ.card.gflop == pytest.approx(Sizes().gflop(720_000), abs=0.05)


def test_rvq_targets_are_left_out_and_others_refused(
    encoder: MuQ, tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    kept = {name: tensor for name, tensor in tensors.items() if "quantizer" not in name}
    rvq = {"model.rvq.quantizers.0.codebook.weight": torch.zeros(4, 2), "model.rvq.out.bias": torch.zeros(2)}
    assert MuQ(muq_folder(tmp_path, kept | rvq, MUQ)).card == encoder.card
    for name in ("model.other.weight", "rvq", "model.conformer.layers.0.rvq.x"):
        with pytest.raises(ConfigError, match=r"holds tensors that are not of muq \(1 in all"):
            MuQ(muq_folder(tmp_path, tensors | {name: torch.zeros(1)}, MUQ))


def test_the_config_must_be_there_and_tells_the_mel_statistics(
    encoder: MuQ, tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    folder = muq_folder(tmp_path, tensors, {"config": MUQ})
    assert MuQ(folder).card == encoder.card
    (folder / "config.json").write_text(json.dumps(MUQ | {"stat": {"melspec_2048_mean": 1, "melspec_2048_std": 2}}))
    other = MuQ(folder)
    assert (other._conformer.mean, other._conformer.deviation) == (1, 2)
    assert other.card.revision != encoder.card.revision
    (folder / "config.json").unlink()
    with pytest.raises(ConfigError, match=r"mel spectrum's mean.*Put config\.json of OpenMuQ/MuQ-large-msd-iter"):
        MuQ(folder)
    (folder / "config.json").write_text("[")
    with pytest.raises(ConfigError, match=r"config\.json is cut short or damaged"):
        MuQ(folder)


def test_files_of_other_models_are_refused(
    weights: Path, mulan_weights: Path, expected: dict[str, np.ndarray], tmp_path: Path
) -> None:
    musicfm = musicfm_folder(tmp_path, tensors_in(expected))
    with pytest.raises(ConfigError, match=r"lacks tensors of muq \(e\.g\. 'conformer\.layer_norm\.weight'"):
        MuQ(mulan_weights)
    with pytest.raises(ConfigError, match="lacks tensors of muq-mulan"):
        MuQMuLan(weights)
    (tmp_path / "config.json").write_text(json.dumps(MUQ))
    with pytest.raises(ConfigError, match="holds tensors that are not of muq "):
        MuQ(musicfm / "pretrained_msd.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("mulan.audio.proj.bias"), r"lacks tensors of muq-mulan"),
        (lambda t: t.pop("mulan.audio_to_latents.weight"), r"lacks tensors of muq-mulan"),
        (lambda t: t.pop("mulan.audio.model.model.conv.linear.bias"), r"lacks tensors of muq-mulan \(1 in all"),
        (lambda t: t.update({"mulan.audio.transformer.x": torch.zeros(1)}), "not of muq-mulan"),
        (lambda t: t.update({"mulan.audio.model.model.x": torch.zeros(1)}), "not of muq-mulan"),
    ],
)
def test_mulan_s_file_must_be_whole(
    towers: dict[str, torch.Tensor], tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], Any], message: str
) -> None:
    changed = dict(towers)
    change(changed)
    with pytest.raises(ConfigError, match=message):
        MuQMuLan(muq_folder(tmp_path, changed, MULAN))


def test_broken_files_are_refused(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = muq_folder(tmp_path, tensors, MUQ) / "pytorch_model.bin"
    whole = path.read_bytes()
    for content, message in (
        (whole[: len(whole) // 2], "cut short or damaged"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    ):
        path.write_bytes(content)
        for encoder in (MuQ, MuQMuLan):
            with pytest.raises(ConfigError, match=message):
                encoder(tmp_path)


def test_the_contract_holds(encoder: MuQ, mulan: MuQMuLan) -> None:
    assert isinstance(encoder, Encoder)
    findings = check_encoder(mulan, seconds=0.8)  # what MuQ shares with MusicFM is tried there
    assert not [finding for finding in findings if not finding.passed and finding.name != "throughput"]


def test_short_silent_and_no_windows(mulan: MuQMuLan) -> None:
    assert mulan.frames(noise(1, 513)).shape == (1, 1, 16)
    for samples in (0, 512):
        with pytest.raises(AudioError, match=rf"^{samples} samples are too short for muq-mulan\. It takes 513"):
            mulan.encode(noise(1, samples))
    assert np.isfinite(mulan.encode(0 * noise(1, 30_000))).all()
    assert mulan.encode(noise(0, 30_000)).shape == (0, 16)
    assert mulan.frames(noise(0, 30_000)).shape == (0, 2, 16)
    with pytest.raises(ConfigError, match="muq-mulan has no numbered layers"):
        mulan.frames(noise(1, 30_000), layer=1)


def test_bfloat16_is_an_option_and_float16_is_not(encoder: MuQ, weights: Path, mulan_weights: Path) -> None:
    half = MuQ(weights, dtype="bfloat16")
    error = np.abs(half.encode(noise(1, 12_000)) - encoder.encode(noise(1, 12_000))).max()
    assert 1e-4 < error < 0.05
    assert half.card.revision == f"{encoder.card.revision}, bfloat16"
    assert MuQMuLan(mulan_weights, dtype="bfloat16").card.revision.endswith(", bfloat16")
    with pytest.raises(ConfigError, match="muq does not compute in 'float16'"):
        MuQ(weights, dtype="float16")


def test_converted_weights_give_the_same(
    encoder: MuQ, mulan: MuQMuLan, weights: Path, mulan_weights: Path, tmp_path: Path
) -> None:
    for model, folder in ((encoder, weights), (mulan, mulan_weights)):
        done = convert(model.card.name, folder, tmp_path / f"{model.card.name}.safetensors")
        slim = load(model.card.name, done.path)
        assert slim.card == model.card
        assert_same(slim.encode(noise(1, 30_000)), model.encode(noise(1, 30_000)))
    assert not [name for name in done_names(tmp_path / "muq-mulan.safetensors") if "text" in name]


def done_names(path: Path) -> list[str]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return list(file.keys())

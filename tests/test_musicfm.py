"""MusicFM against its reference with random weights, and against the conformer in transformers at other lengths.

`data/musicfm.npz` holds a small model's tensors under the official names, three seconds of audio and the reference's
results: every tenth frame of the decibels, every thirtieth of the normalised ones, the stem, all hidden states and
both ways of pooling. The second window of the golden and its repeated ones are left out. For seven other lengths of
noise it holds the output of the conformer of transformers 5.24 for the stem's output.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from conformers import MUQ, STATISTICS, as_muq, assert_same, muq_folder, musicfm_folder, tensors_in
from made import noise
from timbrec.audit.contract import check_encoder
from timbrec.encoders import load
from timbrec.encoders.musicfm import MusicFM, MusicFMFMA, MusicFMMSD
from timbrec.encoders.networks.conformer import ConformerNetwork, Sizes, decibels, training_bands
from timbrec.encoders.signals.mel import mel_bands
from timbrec.encoders.weights.convert import convert
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import Encoder

CLOSE: Any = {"rtol": 0, "atol": 2e-5}


@pytest.fixture(scope="module")
def expected(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "musicfm.npz", allow_pickle=False))


@pytest.fixture(scope="module")
def tensors(expected: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return tensors_in(expected)


@pytest.fixture(scope="module")
def weights(tensors: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return musicfm_folder(tmp_path_factory.mktemp("musicfm"), tensors)


@pytest.fixture(scope="module")
def encoder(weights: Path) -> MusicFMMSD:
    return MusicFMMSD(weights)


@pytest.fixture(scope="module")
def encoder_and_audio(encoder: MusicFMMSD, expected: dict[str, np.ndarray]) -> tuple[MusicFMMSD, np.ndarray]:
    return encoder, expected["input"][None]


def test_every_stage_is_the_official_one(
    encoder_and_audio: tuple[MusicFMMSD, np.ndarray], expected: dict[str, np.ndarray]
) -> None:
    encoder, audio = encoder_and_audio
    mel = encoder._conformer.mel(torch.from_numpy(audio))
    db = decibels(torch.from_numpy(audio), encoder._conformer.bands)[0]
    np.testing.assert_allclose(db[:, ::10], expected["mel_db"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(mel[0, :, ::30], expected["mel_norm"], **CLOSE)
    np.testing.assert_allclose(encoder._conformer.network.conv(mel)[0], expected["conv_out"], **CLOSE)
    for layer, states in enumerate(expected["hidden_states"]):
        np.testing.assert_allclose(encoder.frames(audio, layer)[0], states, **CLOSE)
    np.testing.assert_allclose(encoder.encode(audio)[0], expected["pooled_time"], **CLOSE)


def test_the_whole_golden(test_data: Path) -> None:
    """Both its windows, from both files the reference wrote, BatchNorm's counters as float32 among them."""
    folder = test_data / "golden/musicfm_tiny"
    official, audio = np.load(folder / "expected.npz"), np.load(folder / "input.npy")
    for path in (folder, folder / "official_format.pt", folder / "weights.safetensors"):
        encoder = MusicFMMSD(path)
        bands = encoder._conformer.bands
        np.testing.assert_allclose(decibels(torch.from_numpy(audio), bands), official["mel_db"], rtol=0, atol=1e-4)
        np.testing.assert_allclose(encoder._conformer.mel(torch.from_numpy(audio[:1])), official["mel_norm"], **CLOSE)
        stem = encoder._conformer.network.conv(encoder._conformer.mel(torch.from_numpy(audio)))
        np.testing.assert_allclose(stem, official["conv_out"], **CLOSE)
        layers = np.stack([encoder.frames(audio, layer) for layer in range(4)])
        np.testing.assert_allclose(layers, official["hidden_states"], **CLOSE)
        np.testing.assert_allclose(encoder.frames(audio), official["latent"], **CLOSE)
        np.testing.assert_allclose(encoder.encode(audio), official["pooled_time"], **CLOSE)
        np.testing.assert_allclose(encoder.frames(audio[:1]), official["solo_latent"], **CLOSE)
        np.testing.assert_allclose(over_channels(path).encode(audio), official["pooled_channels_paper_bug"], **CLOSE)


def over_channels(path: Path) -> MusicFM:
    """The pooling of the first study, for windows of 3 s; its card describes windows of 30 s."""

    class Short(MusicFMMSD):
        card = MusicFMMSD.card.__class__(**vars(MusicFMMSD.card) | {"window": 3.0})

    return Short(path, over="channels")


def test_pooled_over_channels_as_in_the_first_study(
    weights: Path, encoder_and_audio: tuple[MusicFMMSD, np.ndarray], expected: dict[str, np.ndarray]
) -> None:
    encoder, audio = encoder_and_audio
    short = over_channels(weights)
    np.testing.assert_allclose(short.encode(audio)[0], expected["pooled_channels"], **CLOSE)
    assert short.encode(audio).shape == (1, short.card.dim) == (1, 75)
    np.testing.assert_allclose(short.frames(audio).mean(axis=1), short.encode(audio), **CLOSE)
    assert short.card.frames_per_second * short.card.window == short.frames(audio).shape[1]
    layers = short.encode_layers(audio, [1, 3])
    np.testing.assert_allclose(layers[1], encoder.frames(audio, layer=1).mean(axis=2), **CLOSE)
    assert short.encode(audio[:0]).shape == (0, 75)
    of_30_s = MusicFMMSD(weights, over="channels")
    assert (of_30_s.card.dim, of_30_s.card.time) == (750, "channels")
    with pytest.raises(ConfigError, match=r"72,000 samples has 75 values, not 750.*windows of 30 s"):
        of_30_s.encode(audio)
    with pytest.raises(ConfigError, match=r"cannot be pooled over 'tim'.*time, channels"):
        MusicFMMSD(weights, over="tim")


def test_the_mel_filters_are_those_in_the_checkpoint(tensors: dict[str, torch.Tensor]) -> None:
    bands = tensors["preprocessor_melspec_2048.mel_stft.mel_scale.fb"].T
    assert torch.equal(training_bands(), bands)  # to the last bit
    np.testing.assert_allclose(bands, mel_bands(24_000, 2048, 128, scale="htk", norm="none"), rtol=0, atol=2e-4)


@pytest.mark.parametrize("samples", [1025, 1199, 1200, 1441, 3599, 24_001, 31_007])
def test_other_lengths_are_as_in_transformers(
    encoder: MusicFMMSD, tensors: dict[str, torch.Tensor], expected: dict[str, np.ndarray], samples: int
) -> None:
    """The stem by its plain definition, and recorded outputs of the conformer of transformers 5.24."""
    audio = noise(2, samples, seed=samples)
    stem, states = plain_stem(tensors, audio), expected[f"transformers/{samples}"]
    frames = encoder.frames(audio)
    assert frames.shape == (2, -(-(samples // 240) // 4), 32)
    np.testing.assert_allclose(encoder.frames(audio, layer=0), stem, **CLOSE)
    np.testing.assert_allclose(frames, states, **CLOSE)


@pytest.mark.slow
def test_transformers_still_returns_the_recorded_values(
    tensors: dict[str, torch.Tensor], expected: dict[str, np.ndarray]
) -> None:
    """Its import alone takes a while."""
    from transformers import Wav2Vec2ConformerConfig
    from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import Wav2Vec2ConformerEncoder

    config = Wav2Vec2ConformerConfig(  # type: ignore[call-arg]
        hidden_size=32, intermediate_size=64, num_attention_heads=4, num_hidden_layers=3, hidden_act="swish",
        position_embeddings_type="rotary", attn_implementation="eager",
    )  # fmt: skip
    layers = Wav2Vec2ConformerEncoder(config).eval()  # type: ignore[no-untyped-call]
    named = {
        name.removeprefix("conformer."): tensor for name, tensor in tensors.items() if name.startswith("conformer.")
    }
    layers.load_state_dict(named)
    recorded = {int(name.split("/")[1]): states for name, states in expected.items() if name.startswith("transformers")}
    for samples, states in recorded.items():
        with torch.no_grad():
            computed = layers(plain_stem(tensors, noise(2, samples, seed=samples))).last_hidden_state
        np.testing.assert_allclose(computed, states, **CLOSE)
    assert len(recorded) == 7


def plain_stem(tensors: dict[str, torch.Tensor], audio: np.ndarray) -> torch.Tensor:
    window = torch.hann_window(2048)
    power = torch.stft(torch.from_numpy(audio), 2048, 240, window=window, return_complex=True).abs() ** 2
    bands = tensors["preprocessor_melspec_2048.mel_stft.mel_scale.fb"]
    mel = 10 * (power.mT @ bands).mT.clamp(min=1e-10).log10()[:, None, :, :-1]
    x = (mel - STATISTICS["melspec_2048_mean"]) / STATISTICS["melspec_2048_std"]
    for block in ("conv.conv.0", "conv.conv.1"):
        inner = plain_convolution(tensors, block, "2", plain_convolution(tensors, block, "1", x, 2).relu(), 1)
        x = (inner + plain_convolution(tensors, block, "3", x, 2)).relu()
    return x.flatten(1, 2).mT @ tensors["conv.linear.weight"].T + tensors["conv.linear.bias"]


def plain_convolution(
    tensors: dict[str, torch.Tensor], block: str, number: str, x: torch.Tensor, stride: int
) -> torch.Tensor:
    weight, bias = (tensors[f"{block}.conv{number}.{part}"] for part in ("weight", "bias"))
    gain, shift, mean, variance = (
        tensors[f"{block}.bn{number}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    convolved = torch.nn.functional.conv2d(x, weight, bias, stride=stride, padding=1)
    return torch.nn.functional.batch_norm(convolved, mean, variance, gain, shift)


def test_the_published_sizes_give_the_published_counts(tensors: dict[str, torch.Tensor]) -> None:
    with torch.device("meta"):
        full = ConformerNetwork(Sizes())
    state = full.state_dict()
    training = {"cls_token": 1024, "linear.weight": 4096 * 1024, "linear.bias": 4096}
    training |= {"weight_g": 128, "weight_v": 1024 * 64 * 128, "bias": 1024}  # of pos_conv_embed
    buffers = sum(tensor.numel() for name, tensor in state.items() if "running" in name or "num_batches" in name)
    total = sum(tensor.numel() for tensor in state.values()) - buffers + sum(training.values())
    assert total == MusicFMMSD.card.parameters == MusicFMFMA.card.parameters == 328_932_480
    unused = tensors.keys() - small_network().state_dict().keys()
    assert len(state) + len(unused) == 465  # as many as a published file has
    forms = {".".join("#" if part.isdigit() else part for part in name.split(".")) for name in state}
    assert forms == {
        ".".join("#" if part.isdigit() else part for part in name.split(".")) for name in tensors.keys() - unused
    }
    assert Sizes.of(state, {}) == Sizes()
    assert MusicFMMSD.card.layers == full.sizes.layers
    assert state["conv.linear.weight"].shape == (1024, 512 * 32)


def small_network() -> ConformerNetwork:
    with torch.device("meta"):
        return ConformerNetwork(Sizes(dim=32, layers=3, heads=4, feed_forward=64, channels=8))


@pytest.mark.parametrize("samples", [72_000, 31_007])
def test_the_arithmetic_of_a_window_equals_torchs_count(encoder: MusicFMMSD, samples: int) -> None:
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        encoder.encode(noise(1, samples))
    dropped = 2 * 128 * 1025  # a last frame's mel bands
    assert encoder._conformer.sizes.gflop(samples) == pytest.approx((counter.get_total_flops() - dropped) / 1e9)
    assert encoder.card.gflop == encoder._conformer.sizes.gflop(720_000)
    assert MusicFMMSD.card.gflop == pytest.approx(Sizes().gflop(720_000), abs=0.05)


def test_all_layers_from_one_pass(encoder: MusicFMMSD, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = noise(2, 9000)
    passes = []  # type: ignore[var-annotated]
    monkeypatch.setattr(encoder._conformer.network.conv, "forward", counted(encoder, passes))
    layers = encoder.encode_layers(audio, [3, 0, 2, 0])
    assert len(passes) == 2  # one for each window
    monkeypatch.undo()
    assert layers.keys() == {0, 2, 3}
    for layer, vectors in layers.items():
        np.testing.assert_allclose(vectors, encoder.frames(audio, layer).mean(axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(layers[3], encoder.encode(audio))
    assert encoder.encode_layers(audio, []) == {}
    assert encoder.encode_layers(audio[:0], [1])[1].shape == (0, 32)


def counted(encoder: MusicFMMSD, passes: list[int]) -> Callable[[torch.Tensor], torch.Tensor]:
    forward = encoder._conformer.network.conv.forward

    def counting(mel: torch.Tensor) -> torch.Tensor:
        passes.append(len(mel))
        return forward(mel)

    return counting


def test_the_layer_is_an_option_and_layers_that_are_not_there_are_refused(encoder: MusicFMMSD, weights: Path) -> None:
    audio = noise(1, 5000)
    second = MusicFMMSD(weights, layer=2)
    np.testing.assert_array_equal(second.encode(audio), encoder.encode_layers(audio, [2])[2])
    assert second.card.revision == f"{encoder.card.revision}, layer 2"
    for layer in (-1, 4):
        for call in (
            lambda layer: encoder.frames(audio, layer),
            lambda layer: encoder.encode_layers(audio, [1, layer]),
            lambda layer: MusicFMMSD(weights, layer=layer),
        ):
            with pytest.raises(ConfigError, match=rf"musicfm-msd has no layer {layer}\. Its layers are 0 to 3"):
                call(layer)


def test_the_contract_holds(encoder: MusicFMMSD) -> None:
    findings = check_encoder(encoder, seconds=0.5)
    assert not [finding for finding in findings if not finding.passed and finding.name != "throughput"]


def test_a_window_has_the_same_vector_alone_and_in_a_batch(encoder: MusicFMMSD) -> None:
    batch = noise(5, 12_345)
    alone = np.concatenate([encoder.encode(window[None]) for window in batch])
    np.testing.assert_array_equal(encoder.encode(batch), alone)
    together = dict(encoder._conformer.states(torch.from_numpy(batch), [3]))[3].mean(1)  # as on a GPU
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


def test_short_silent_and_no_windows(encoder: MusicFMMSD) -> None:
    for samples in (0, 1024):
        with pytest.raises(
            AudioError,
            match=rf"^{samples:,} samples are too short for musicfm-msd\. One frame takes 1,025 at 24,000 Hz",
        ):
            encoder.encode(noise(1, samples))
    assert np.isfinite(encoder.encode(0 * noise(1, 5000))).all()
    np.testing.assert_allclose(encoder._conformer.mel(torch.zeros(1, 5000)), (-100 - 6.768445) / 18.417923, rtol=1e-6)
    assert encoder.encode(noise(0, 5000)).shape == (0, 32)
    assert encoder.frames(noise(0, 5000)).shape == (0, 5, 32)


def test_bfloat16_is_an_option_and_near(encoder: MusicFMMSD, weights: Path) -> None:
    audio = noise(2, 12_000)
    half = MusicFMMSD(weights, dtype="bfloat16")
    vectors = half.encode(audio)
    assert vectors.dtype == np.float32
    assert 1e-4 < np.abs(vectors - encoder.encode(audio)).max() < 0.05
    assert half.card.revision == f"{encoder.card.revision}, bfloat16"
    with pytest.raises(ConfigError, match=r"does not compute in 'float16'.*float32, bfloat16"):
        MusicFMMSD(weights, dtype="float16")


def test_fma_s_statistics_come_from_its_file(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    folder = musicfm_folder(tmp_path, tensors, "fma")
    same = load("musicfm-fma", folder)
    assert isinstance(same, Encoder)
    (folder / "fma_stats.json").write_text(json.dumps(STATISTICS | {"melspec_2048_mean": 5.0}))
    other = load("musicfm-fma", folder)
    assert (other._conformer.mean, other._conformer.deviation) == (5.0, STATISTICS["melspec_2048_std"])  # type: ignore[attr-defined]
    assert other.card.revision != same.card.revision
    for content in ({}, {"melspec_2048_mean": 5.0}, STATISTICS | {"melspec_2048_std": 0}):
        (folder / "fma_stats.json").write_text(json.dumps(content))
        with pytest.raises(ConfigError, match=r"mel spectrum's mean.*missing. Put fma_stats\.json of minzwon/MusicFM"):
            load("musicfm-fma", folder)
    (folder / "fma_stats.json").unlink()
    (folder / "config.json").write_text(json.dumps({"stat": STATISTICS}))  # MSD's, as MuQ's config has them
    with pytest.raises(ConfigError, match=r"Put fma_stats\.json"):
        load("musicfm-fma", folder)
    with pytest.raises(ConfigError, match=r"pretrained_fma\.pt holds the weights of musicfm-fma"):
        load("musicfm-msd", folder / "pretrained_fma.pt")


def test_msd_s_statistics_are_known(encoder: MusicFMMSD, tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    folder = musicfm_folder(tmp_path, tensors)
    (folder / "msd_stats.json").unlink()
    assert MusicFMMSD(folder).card == encoder.card
    (folder / "msd_stats.json").write_text("{")
    with pytest.raises(ConfigError, match=r"msd_stats\.json is cut short or damaged"):
        MusicFMMSD(folder)


def test_a_config_tells_heads_and_depth(tensors: dict[str, torch.Tensor], tmp_path: Path, encoder: MusicFMMSD) -> None:
    without = {name: tensor for name, tensor in tensors.items() if "inv_freq" not in name}
    folder = musicfm_folder(tmp_path, without)
    config = {"encoder_depth": 3, "w2v2_conformer": {"num_attention_heads": 4}}
    (folder / "config.json").write_text(json.dumps(config))
    assert_same(MusicFMMSD(folder).encode(noise(1, 5000)), encoder.encode(noise(1, 5000)))
    for change, message in (
        ({"encoder_depth": 4}, r"lacks tensors of musicfm-msd \(\d+ in all, e\.g\. 'conformer\.layers\.3\."),
        ({"w2v2_conformer": {"num_attention_heads": 5}}, "32 channels cannot be divided among 5 heads"),
    ):
        (folder / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(ConfigError, match=message):
            MusicFMMSD(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("conformer.layer_norm.weight"), r"lacks tensors of musicfm-msd .*conformer\.layer_norm"),
        (lambda t: t.pop("conv.linear.bias"), r"lacks tensors of musicfm-msd \(1 in all, e\.g\. 'conv\.linear\.bias"),
        (lambda t: t.update({"conformer.extra": torch.zeros(1)}), "holds tensors that are not of musicfm-msd"),
        (lambda t: t.update({"rvq.codebook": torch.zeros(1)}), "holds tensors that are not of musicfm-msd"),
        (lambda t: t.update({"conv.linear.bias": torch.zeros(3)}), "holds tensors of other shapes than musicfm-msd"),
    ],
)
def test_checkpoints_of_other_models_are_refused(
    tensors: dict[str, torch.Tensor], tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], Any], message: str
) -> None:
    changed = dict(tensors)
    change(changed)
    with pytest.raises(ConfigError, match=message):
        MusicFMMSD(musicfm_folder(tmp_path, changed))


def test_muq_s_file_and_broken_ones_are_refused(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    muq = muq_folder(tmp_path / "muq", as_muq(tensors), MUQ)
    with pytest.raises(ConfigError, match=r"not of musicfm-msd \(2 in all, e\.g\. 'quantizer_melspec_2048\.codebook"):
        MusicFMMSD(muq / "pytorch_model.bin")
    path = musicfm_folder(tmp_path, tensors) / "pretrained_msd.pt"
    whole = path.read_bytes()
    for content, message in (
        (whole[: len(whole) // 2], "cut short or damaged"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"", "is empty"),
    ):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=message):
            MusicFMMSD(tmp_path)
    path.unlink()
    with pytest.raises(ConfigError, match=r"no weights of musicfm-msd in .*pretrained_msd\.pt"):
        MusicFMMSD(tmp_path)


def test_tensors_for_training_change_neither_vectors_nor_revision(
    encoder: MusicFMMSD, tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    network = small_network().state_dict()
    slim = {name: tensor.contiguous() for name, tensor in tensors.items() if name in network or "inv_freq" in name}
    save_file(slim, tmp_path / "slim.safetensors")
    other = MusicFMMSD(tmp_path)
    assert other.card == encoder.card
    assert_same(other.encode(noise(1, 5000)), encoder.encode(noise(1, 5000)))
    slim["conformer.layers.2.ffn2.output_dense.bias"] = slim["conformer.layers.2.ffn2.output_dense.bias"] + 1
    save_file(slim, tmp_path / "slim.safetensors")
    assert MusicFMMSD(tmp_path).card.revision != encoder.card.revision


def test_converted_weights_give_the_same(encoder: MusicFMMSD, weights: Path, tmp_path: Path) -> None:
    done = convert("musicfm-msd", weights, tmp_path / "musicfm.safetensors")
    assert done.tensors == len(small_network().state_dict())
    slim = MusicFMMSD(done.path)
    assert slim.card == encoder.card
    assert_same(slim.encode(noise(1, 5000)), encoder.encode(noise(1, 5000)))
    with pytest.raises(ConfigError, match=r"holds the weights of musicfm-msd, not musicfm-fma"):
        MusicFMFMA(done.path)


def test_the_cards_are_read_without_torch() -> None:
    code = (
        "import sys; from timbrec.encoders.musicfm import MusicFMMSD; from timbrec.encoders.muq import MuQ; "
        "from timbrec.encoders.muq_mulan import MuQMuLan; assert MusicFMMSD.card.commercial; "
        "assert not MuQ.card.commercial; assert not {'torch', 'transformers'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

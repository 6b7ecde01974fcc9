"""MusiCNN against musicnn 0.1.0 under TensorFlow 2.13 and librosa 0.9.2, with its published weights.

`data/musicnn.npz` holds the first patch's samples and expected values. The network's shape is also compared with plain
convolutions on random weights, so that something is proven where the weights are not installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import conv2d, pad, relu

from made import noise
from timbrec.audio import Windows, read_windows
from timbrec.encoders import load
from timbrec.encoders.bases import patches
from timbrec.encoders.musicnn import MusiCNNMSD, MusiCNNMTT
from timbrec.encoders.networks.musicnn import MusiCNNNetwork, renamed
from timbrec.encoders.weights.tf_checkpoint import read_tf_checkpoint
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import Encoder

PATCH = 187 * 256
SHAPES = {
    "conv2d/kernel": (7, 38, 1, 204),
    "conv2d_1/kernel": (7, 67, 1, 204),
    "conv2d_2/kernel": (128, 1, 1, 51),
    "conv2d_3/kernel": (64, 1, 1, 51),
    "conv2d_4/kernel": (32, 1, 1, 51),
    "conv2d_5/kernel": (7, 561, 1, 64),
    "conv2d_6/kernel": (7, 64, 1, 64),
    "conv2d_7/kernel": (7, 64, 1, 64),
    "dense/kernel": (1506, 200),
    "dense_1/kernel": (200, 50),
}
NORMS = (1, 204, 204, 51, 51, 51, 64, 64, 64, 1506, 200)


def random_variables(seed: int = 0) -> dict[str, torch.Tensor]:
    """The official names and shapes, with gains of both signs."""
    rng, variables = np.random.default_rng(seed), {}
    for name, shape in SHAPES.items():
        variables[name] = rng.normal(0, 0.7 / np.prod(shape[:-1]) ** 0.5, shape)
        variables[name.replace("kernel", "bias")] = rng.normal(0, 0.1, shape[-1])
    for number, size in enumerate(NORMS):
        layer = f"batch_normalization_{number}" if number else "batch_normalization"
        for part, low, high in (("gamma", -1, 1), ("beta", -0.1, 0.1), ("moving_mean", 0, 0.3)):
            variables[f"{layer}/{part}"] = rng.uniform(low, high, size)
        variables[f"{layer}/moving_variance"] = rng.uniform(0.5, 1.5, size)
    return {name: torch.from_numpy(np.asarray(value, np.float32)) for name, value in variables.items()}


def plain_network(variables: dict[str, torch.Tensor], patches: torch.Tensor) -> dict[str, torch.Tensor]:
    """The published description step by step: convolution, ReLU, normalisation, and only then the maximum."""

    def layer(kind: str, number: int, part: str) -> torch.Tensor:
        return variables[f"{kind}_{number}/{part}" if number else f"{kind}/{part}"]

    def norm(x: torch.Tensor, number: int, axis: int) -> torch.Tensor:
        parts = (layer("batch_normalization", number, p) for p in ("moving_mean", "moving_variance", "gamma", "beta"))
        mean, variance, gamma, beta = (part.reshape([-1] + [1] * (x.ndim - 1 - axis)) for part in parts)
        return (x - mean) / torch.sqrt(variance + 1e-3) * gamma + beta

    def convolution(x: torch.Tensor, number: int) -> torch.Tensor:
        kernel = layer("conv2d", number, "kernel").permute(3, 2, 0, 1)
        return norm(relu(conv2d(x, kernel, layer("conv2d", number, "bias"))), number + 1, 1)

    x = norm(patches[:, None], 0, 1)
    timbral = [convolution(pad(x, (0, 0, 3, 3)), number).amax(3) for number in (0, 1)]
    before_after = {2: (63, 64), 3: (31, 32), 4: (15, 16)}  # TensorFlow's SAME for 128, 64, 32
    temporal = [convolution(pad(x, (0, 0, *around)), number).amax(3) for number, around in before_after.items()]
    front = torch.cat(timbral + temporal, dim=1).mT[:, None]
    cnn1 = convolution(pad(front, (0, 0, 3, 3)), 5)[..., 0].mT
    cnn2 = convolution(pad(cnn1[:, None], (0, 0, 3, 3)), 6)[..., 0].mT + cnn1
    cnn3 = convolution(pad(cnn2[:, None], (0, 0, 3, 3)), 7)[..., 0].mT + cnn2
    features = torch.cat([front[:, 0], cnn1, cnn2, cnn3], dim=2)
    pooled = norm(torch.stack([features.amax(1), features.mean(1)], dim=2).flatten(1), 9, 1)
    hidden = relu(pooled @ layer("dense", 0, "kernel") + layer("dense", 0, "bias"))
    penultimate = norm(hidden, 10, 1)
    logits = penultimate @ layer("dense", 1, "kernel") + layer("dense", 1, "bias")
    return {
        "timbral": torch.cat(timbral, dim=1).mT,
        "temporal": torch.cat(temporal, dim=1).mT,
        "cnn1": cnn1,
        "cnn2": cnn2,
        "cnn3": cnn3,
        "max_pool": features.amax(1),
        "mean_pool": features.mean(1),
        "penultimate": penultimate,
        "taggram": torch.sigmoid(logits),
    }


@pytest.fixture(scope="module")
def expected(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "musicnn.npz", allow_pickle=False))


@pytest.fixture(scope="module")
def msd(package: Path) -> MusiCNNMSD:
    return MusiCNNMSD()


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("musicnn") / "random.safetensors"
    save_file(random_variables(), path)
    return path


@pytest.fixture(scope="module")
def encoder(random_weights: Path) -> MusiCNNMSD:
    return MusiCNNMSD(random_weights)


def test_the_network_equals_plain_convolutions_for_gains_of_both_signs() -> None:
    variables = random_variables(1)
    network = MusiCNNNetwork()
    network.load_state_dict(renamed(variables))
    patches = torch.rand(2, 187, 96, generator=torch.Generator().manual_seed(0)) * 3
    with torch.no_grad():
        stages, plain = network(patches), plain_network(variables, patches)
    assert stages.keys() == plain.keys()
    for stage, values in plain.items():
        torch.testing.assert_close(stages[stage], values, rtol=1e-4, atol=1e-5, msg=stage)
    assert plain["taggram"].std() > 0.02  # something gets through


def test_the_log_mel_is_librosas(encoder: MusiCNNMSD, random_weights: Path, expected: dict[str, np.ndarray]) -> None:
    logmel = encoder.patches(expected["input"])
    np.testing.assert_allclose(logmel[0].numpy(), np.log10(1e4 * expected["mel_power"] + 1), atol=2e-5)
    constant = MusiCNNMSD(random_weights, pad_mode="constant").patches(expected["input"])
    np.testing.assert_allclose(
        constant[0, 0].numpy(), expected["padconstant_logmel_frame0"], atol=5e-4
    )  # float16 inside
    assert (logmel[0, 0] - constant[0, 0]).abs().max() > 0.01
    torch.testing.assert_close(logmel[0, 1:], constant[0, 1:])


def test_the_vectors_are_the_official_ones(msd: MusiCNNMSD, expected: dict[str, np.ndarray]) -> None:
    """All stages by their maxima and means over time; the official log-mel is rounded to float16."""
    stages = msd.stages(expected["input"][None])
    np.testing.assert_allclose(stages["penultimate"][0], expected["nof16_penultimate"], atol=1e-4)
    np.testing.assert_allclose(stages["taggram"][0], expected["taggram"], atol=1e-4)
    for stage in ("max_pool", "mean_pool"):
        np.testing.assert_allclose(stages[stage][0], expected[stage], rtol=5e-3, atol=1e-3)
    constant = MusiCNNMSD(pad_mode="constant").encode(expected["input"][None])
    np.testing.assert_allclose(constant, expected["padconstant_penultimate"], atol=5e-4)


def test_loud_music_does_not_overflow(msd: MusiCNNMSD, expected: dict[str, np.ndarray]) -> None:
    loud = msd.encode(expected["loud"] * expected["input"][None])
    np.testing.assert_allclose(loud, expected["loud_nof16_penultimate"], atol=1e-4)
    assert np.isfinite(msd.encode(noise(1, PATCH) * 100)).all()


@pytest.mark.parametrize("pad_mode", ["reflect", "constant"])
def test_every_stage_of_the_official_run(package: Path, test_data: Path, pad_mode: str) -> None:
    """The full golden: eight seconds, two patches."""
    folder = test_data / "golden/musicnn"
    official, audio = np.load(folder / "MSD_musicnn_expected.npz"), np.load(folder / "input_16k.npy")
    encoder = MusiCNNMSD(pad_mode=pad_mode)
    stages = encoder.stages(audio[None])
    prefix = {"reflect": "nof16_", "constant": "padconstant_"}[pad_mode]
    atol = {"reflect": 1e-4, "constant": 5e-4}[pad_mode]
    np.testing.assert_allclose(stages["penultimate"][0], official[f"{prefix}penultimate"], atol=atol)
    np.testing.assert_allclose(encoder.encode(audio[None])[0], stages["penultimate"][0].mean(0), atol=1e-6)
    with torch.no_grad():
        from_patches = encoder._network(torch.from_numpy(official["logmel_patches"]))
    for stage in from_patches:
        np.testing.assert_allclose(from_patches[stage], official[stage], rtol=1e-4, atol=1e-3, err_msg=stage)
    np.testing.assert_allclose(from_patches["penultimate"], official["penultimate"], atol=1e-4)
    np.testing.assert_allclose(from_patches["taggram"], official["taggram"], atol=1e-5)


def test_the_layers_are_the_official_stages(package: Path, test_data: Path) -> None:
    """From the official log-mel: front end, middle convolutions, maximum and mean interleaved, penultimate."""
    official = np.load(test_data / "golden/musicnn/MSD_musicnn_expected.npz")
    encoder, logmel = MusiCNNMSD(), torch.from_numpy(official["logmel_patches"])
    with torch.no_grad():
        layers = encoder._layers(logmel, range(7))
    pooled = np.stack([official["max_pool"], official["mean_pool"]], axis=2).reshape(2, 1, 1506)
    expected = [
        official["logmel_patches"],
        np.concatenate([official["timbral"], official["temporal"]], axis=2),
        *(official[stage] for stage in ("cnn1", "cnn2", "cnn3")),
        pooled,
        official["penultimate"][:, None],
    ]
    for layer, states in enumerate(expected):
        np.testing.assert_allclose(layers[layer], states, rtol=1e-4, atol=1e-3, err_msg=str(layer))


def test_layers_are_means_over_time_and_have_lengths_of_their_own(encoder: MusiCNNMSD, random_weights: Path) -> None:
    audio, widths = noise(2, 2 * PATCH + 5_000), [96, 561, 64, 64, 64, 1506, 200]
    for layer, vectors in encoder.encode_layers(audio, range(7)).items():
        frames = encoder.frames(audio, layer)
        assert frames.shape == (2, 2 * (187 if layer < 5 else 1), widths[layer])
        np.testing.assert_allclose(vectors, frames.mean(1), rtol=1e-4, atol=1e-5)
        assert encoder.frames(audio[:0], layer).shape == (0, *frames.shape[1:])
        assert encoder.encode_layers(audio[:0], [layer])[layer].shape == (0, widths[layer])
    front = MusiCNNMSD(random_weights, layer=1)
    np.testing.assert_allclose(front.encode(audio), encoder.encode_layers(audio, [1])[1])
    assert (front.card.dim, front.card.frames_per_second) == (561, 62.5)
    assert front.card.revision == f"{encoder.card.revision}, layer 1"


def test_overlap_is_the_step_that_the_official_extractor_takes_for_it(
    encoder: MusiCNNMSD, random_weights: Path
) -> None:
    """Its `input_overlap=1` is time_to_frames(1.0) = (16000 - 256) // 256 = 61 frames in librosa."""
    overlapping, audio = MusiCNNMSD(random_weights, overlap=1.0), noise(2, 100_000)
    frames = overlapping.frames(audio)
    assert frames.shape == (2, len(range(0, 391 - 187 + 1, 61)), 200)
    power = np.stack([encoder.patches(audio[0, start * 256 :])[0].numpy() for start in (61, 122)])
    inner = slice(2, 180)  # frames at an end of the audio see its mirror image
    np.testing.assert_allclose(overlapping.patches(audio[0])[1:3].numpy()[:, inner], power[:, inner], atol=1e-5)
    assert overlapping.card.frames_per_second == pytest.approx(16_000 / (61 * 256))
    assert overlapping.card.revision.endswith(", overlap 1 s")
    assert overlapping.frames(audio[:0]).shape == (0, *frames.shape[1:])
    with pytest.raises(ConfigError, match=r"overlap=0\.01 s is less than a frame"):
        MusiCNNMSD(random_weights, overlap=0.01)


def test_first_patch_only_equals_the_released_package(package: Path, test_data: Path) -> None:
    folder = test_data / "golden/musicnn"
    stale = np.load(folder / "MSD_musicnn_expected.npz")["penultimate_pypi010_stale"]
    first = MusiCNNMSD(first_patch_only=True)
    audio = np.load(folder / "input_16k.npy")[None]
    np.testing.assert_allclose(first.encode(audio)[0], stale.mean(0), atol=5e-4)
    assert first.frames(audio).shape == (1, 1, 200)
    assert first.card.revision == "musicnn 0.1.0, first patch"  # its vectors never share a store with the others


def test_the_checkpoint_is_read_as_tensorflow_reads_it(package: Path, test_data: Path) -> None:
    for model in ("MSD_musicnn", "MTT_musicnn"):
        variables = read_tf_checkpoint(package / model / ".index")
        official = load_file(test_data / "golden/musicnn" / f"{model}.safetensors")
        assert len(variables) == 150  # with the optimiser's
        for name, value in official.items():
            np.testing.assert_array_equal(variables[name], value)


def test_the_tags_stand_in_the_order_of_the_outputs(expected: dict[str, np.ndarray]) -> None:
    assert MusiCNNMSD.tags == tuple(expected["tags_msd"])
    assert MusiCNNMTT.tags == tuple(expected["tags_mtt"])


def test_a_piece_has_nearly_the_same_vector_at_two_rates(msd: MusiCNNMSD, test_data: Path) -> None:
    """At 44.1 kHz stereo, and at 22.05 kHz mono and 40 kbit/s.

    The rate alone changes nothing (see below); that coding changes single patches, to cosines between 0.96 and 0.999,
    and the trumpet has no more than one.
    """
    folder = test_data / "data/librosa_clips/audio"
    pieces = ["Kevin_MacLeod_-_Vibe_Ace", "sorohanro_-_solo-trumpet-06", "147793__setuniman__sweet-waltz-0i-22mi"]
    pieces += ["admiralbob77_-_Choice_-_Drum-bass", "pibble", "Karissa_Hobbs_-_Lets_Go_Fishin"]
    files = [*pieces, *(f"{piece}.hq" for piece in pieces[:2])]
    clips = [read_windows(folder / f"{file}.ogg", 16_000, 30.0, Windows("spread", 2)).windows for file in files]
    vectors = np.stack([msd.encode(clip).mean(axis=0) for clip in clips])
    vectors -= vectors[:6].mean(axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors[6:] @ vectors[:6].T
    assert cosines[0, 0] > 0.99
    assert cosines[1, 1] > 0.98
    assert (cosines - np.eye(2, 6) < 0.9).all(), cosines


@pytest.mark.parametrize(
    ("song", "tags"),
    [
        ("S*_feat._N*_-_saru", {"Hip-Hop", "electronic"}),
        ("Le_royaume_des_glous_glous_-_Raoul_de_QSM", {"rock"}),
        ("Fantasma_-_Los_Rombos", {"female vocalists", "folk"}),
    ],
)
def test_songs_get_the_tags_that_a_listener_would_give(
    msd: MusiCNNMSD, test_data: Path, song: str, tags: set[str]
) -> None:
    """The songs are filed under Hip-Hop, Metal and Folk; docs/encoders.md lists all ten."""
    (path,) = (test_data / "data/jamendo_lyrics_audio/mp3").glob(f"{song}.mp3")
    window = read_windows(path, 16_000, 30.0, Windows("centre")).windows
    probabilities = msd.stages(window)["taggram"].reshape(-1, 50).mean(0)
    assert msd.tags[probabilities.argmax()] in tags


def _after(msd: MusiCNNMSD, recording: np.ndarray, rate: int) -> Any:
    return msd.encode(soxr.resample(recording, rate, 16_000)[None])[0]


def test_the_rate_alone_changes_no_vector(msd: MusiCNNMSD, test_data: Path) -> None:
    folder = test_data / "data/librosa_clips/audio"
    path = folder / "sorohanro_-_solo-trumpet-06.hq.ogg"
    recordings = {
        rate: read_windows(path, rate, 30.0, Windows("first")).windows[0] for rate in (16_000, 22_050, 44_100)
    }
    vectors = {rate: _after(msd, recording, rate) for rate, recording in recordings.items()}
    other = read_windows(folder / "pibble.ogg", 16_000, 30.0, Windows("first")).windows[:, :PATCH]
    centre = (vectors[16_000] + msd.encode(other)[0]) / 2
    centred = {rate: (vector - centre) / np.linalg.norm(vector - centre) for rate, vector in vectors.items()}
    assert min(centred[rate] @ centred[16_000] for rate in (22_050, 44_100)) > 0.9999


@pytest.mark.parametrize("samples", [PATCH, 16_000 * 7])
def test_a_window_has_the_same_vector_alone_and_in_a_batch(encoder: MusiCNNMSD, samples: int) -> None:
    batch = noise(3, samples)
    alone = np.concatenate([encoder.encode(window[None]) for window in batch])
    error = np.linalg.norm(encoder.encode(batch) - alone, axis=1) / np.linalg.norm(alone, axis=1)
    assert error.max() < 1e-5


def test_patches_tile_a_window_and_the_rest_is_dropped(encoder: MusiCNNMSD) -> None:
    audio = noise(1, PATCH * 2 + 20_000)
    frames = encoder.frames(audio)
    assert frames.shape == (1, 2, 200)
    np.testing.assert_allclose(encoder.encode(audio), frames.mean(1), rtol=1e-6)
    moved = audio.copy()
    moved[:, 2 * PATCH + 256 :] = 0  # a frame looks 256 samples ahead
    np.testing.assert_array_equal(encoder.frames(moved), frames)
    assert encoder.frames(noise(1, 480_000)).shape == (1, 10, 200)
    assert encoder.card.frames_per_second == pytest.approx(1 / 2.992)


@pytest.mark.parametrize("samples", [1, 255, 16_000, 47_615])
def test_a_window_shorter_than_a_patch_is_played_again(encoder: MusiCNNMSD, samples: int) -> None:
    short = noise(2, samples)
    longer = np.tile(short, (1, 47_616 // samples + 1))[:, :47_616]  # 187 frames
    np.testing.assert_array_equal(encoder.frames(short), encoder.frames(longer))
    assert encoder.frames(short).shape == (2, 1, 200)


def test_silence_is_finite_and_nothing_is_refused(encoder: MusiCNNMSD) -> None:
    assert np.isfinite(encoder.encode(np.zeros((1, PATCH), np.float32))).all()
    assert encoder.encode(noise(0, PATCH)).shape == (0, 200)
    assert encoder.frames(noise(0, 480_000)).shape == (0, 10, 200)
    with pytest.raises(AudioError, match="0 samples are too short for musicnn-msd"):
        encoder.encode(noise(1, 0))


def test_missing_pools_and_layers_are_refused(encoder: MusiCNNMSD, random_weights: Path) -> None:
    with pytest.raises(ConfigError, match=r"musicnn-msd has no layer 7\. Its layers are 0 to 6"):
        encoder.frames(noise(1, PATCH), layer=7)
    with pytest.raises(ConfigError, match=r"no pad_mode 'zeros'.*reflect, constant"):
        MusiCNNMSD(random_weights, pad_mode="zeros")


def test_loading_by_name_from_the_package_a_folder_and_a_file(package: Path, test_data: Path) -> None:
    audio, vectors = noise(1, PATCH), {}
    for name, folder in (("musicnn-msd", "MSD_musicnn"), ("musicnn-mtt", "MTT_musicnn")):
        golden = test_data / "golden/musicnn"
        places = [None, package, package / folder, str(package / folder / ".index"), golden]
        loaded = [load(name, weights=place) for place in (*places, golden / f"{folder}.safetensors")]
        assert {model.card.revision for model in loaded} == {"musicnn 0.1.0"}
        assert all(isinstance(model, Encoder) for model in loaded)
        assert {model.card.name for model in loaded} == {name}
        vectors[name] = [model.encode(audio) for model in loaded]
        assert all((vector == vectors[name][0]).all() for vector in vectors[name])
    assert np.abs(vectors["musicnn-msd"][0] - vectors["musicnn-mtt"][0]).max() > 0.1


def test_other_weights_have_another_revision(encoder: MusiCNNMSD, tmp_path: Path) -> None:
    assert encoder.card.revision.startswith("musicnn 0.1.0, weights ")
    save_file(random_variables(2), tmp_path / "MSD_musicnn.safetensors")
    assert MusiCNNMSD(tmp_path).card.revision != encoder.card.revision
    assert MusiCNNMSD.card.revision == "musicnn 0.1.0"


def test_weights_that_are_not_the_models_are_each_refused_by_name(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="holds the weights of musicnn-mtt, not musicnn-msd"):
        MusiCNNMSD(package / "MTT_musicnn")
    with pytest.raises(ConfigError, match=r"no weights of musicnn-msd in .*Looked for \.index, MSD_musicnn/\.index"):
        MusiCNNMSD(tmp_path)
    with pytest.raises(ConfigError, match=r"no file .*nowhere"):
        MusiCNNMSD(tmp_path / "nowhere")
    for name, change, message in (
        ("lacks", lambda v: v.pop("dense_1/bias"), "lacks tensors of musicnn-msd .1 in all, e.g. 'output.bias"),
        ("more", lambda v: v.update(extra=torch.zeros(1)), "holds tensors that are not of musicnn-msd .*'extra "),
        ("shape", lambda v: v.update({"dense/bias": torch.zeros(500)}), r"other shapes than .*hidden.bias \(500,\)"),
    ):
        variables = random_variables()
        change(variables)  # type: ignore[no-untyped-call]
        save_file(variables, tmp_path / f"{name}.safetensors")
        with pytest.raises(ConfigError, match=message):
            MusiCNNMSD(tmp_path / f"{name}.safetensors")
    monkeypatch.setattr(patches, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"not installed.*timbrec weights get musicnn"):
        MusiCNNMSD()


def test_damaged_files_are_each_refused_by_name(package: Path, random_weights: Path, tmp_path: Path) -> None:
    def refused(path: Path, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            MusiCNNMSD(path)

    whole = random_weights.read_bytes()
    for name, content, message in (
        ("pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer.*git lfs pull"),
        ("empty", b"", "is empty"),
        ("short", whole[: len(whole) // 2], "cut short or damaged"),
        ("header", whole[:100], "cut short or damaged"),
    ):
        (tmp_path / f"{name}.safetensors").write_bytes(content)
        refused(tmp_path / f"{name}.safetensors", message)
    shutil.copytree(package / "MSD_musicnn", tmp_path / "copy")
    index, data = tmp_path / "copy/.index", tmp_path / "copy/.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1000])
    refused(tmp_path / "copy", "cut short or damaged")
    data.unlink()
    refused(tmp_path / "copy", r"no file .*\.data-00000-of-00001")
    shutil.copy(package / "MSD_musicnn/.data-00000-of-00001", data)
    whole = index.read_bytes()
    for cut in (whole[:-1], whole[:40], whole[:200] + whole[300:], bytes(len(whole) - 48) + whole[-48:]):
        index.write_bytes(cut)
        refused(index, "cut short or damaged")


def test_a_damaged_package_is_not_taken_for_other_weights(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One changed bit of one weight."""
    shutil.copytree(package / "MSD_musicnn", tmp_path / "musicnn/MSD_musicnn")
    data = tmp_path / "musicnn/MSD_musicnn/.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    at = content.find(read_tf_checkpoint(package / "MSD_musicnn/.index")["dense/kernel"][0].tobytes())
    content[at] ^= 1
    data.write_bytes(content)
    spec = find_spec("musicnn")
    monkeypatch.setattr(spec, "submodule_search_locations", [str(tmp_path / "musicnn")])
    monkeypatch.setattr(patches, "find_spec", lambda name: spec)
    with pytest.raises(ConfigError, match="cut short or damaged"):
        MusiCNNMSD()
    assert MusiCNNMSD(tmp_path / "musicnn").card.revision.startswith("musicnn 0.1.0, weights ")


def test_cards_are_read_without_torch_and_the_package_without_tensorflow() -> None:
    code = (
        "import sys; from timbrec.encoders.musicnn import MusiCNNMSD, MusiCNNMTT; "
        "assert (MusiCNNMSD.card.dim, MusiCNNMTT.card.name) == (200, 'musicnn-mtt'); "
        "assert not {'torch', 'tensorflow', 'librosa', 'musicnn'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""Music2Vec against transformers 4.38.2's Data2VecAudioModel, on a small random model.

`data/music2vec.npz` holds its weights under the official names, 2.5 s of audio and all hidden states; of the whole
golden, the batches of unequal lengths are left out, which are never made here.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from made import noise
from timbrec.encoders import load
from timbrec.encoders.bases.wav2vec import hidden_states, wav2vec_network
from timbrec.encoders.music2vec import Music2Vec
from timbrec.encoders.weights.convert import convert
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import Encoder


@pytest.fixture(scope="module")
def expected(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "music2vec.npz", allow_pickle=False))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, expected: dict[str, np.ndarray]) -> Path:
    """The layout of the hub."""
    path = tmp_path_factory.mktemp("music2vec")
    weights = {name: torch.from_numpy(value) for name, value in expected.items() if name.startswith("weights/")}
    torch.save({name.removeprefix("weights/"): value for name, value in weights.items()}, path / "pytorch_model.bin")
    (path / "config.json").write_text(str(expected["config"]))
    return path


@pytest.fixture(scope="module")
def raw(folder: Path) -> Music2Vec:
    return load("music2vec", folder, normalise=False)  # type: ignore[return-value]


def test_every_layer_is_the_references(raw: Music2Vec, expected: dict[str, np.ndarray]) -> None:
    audio, states = expected["input"][None], expected["hidden_states"]
    for layer, state in enumerate(states):
        np.testing.assert_allclose(raw.frames(audio, layer)[0], state, atol=2e-5, err_msg=str(layer))
    np.testing.assert_array_equal(raw.frames(audio), raw.frames(audio, 3))
    np.testing.assert_allclose(raw.encode(audio)[0], expected["pooled"], atol=2e-5)
    for layer, vectors in raw.encode_layers(audio, [3, 0]).items():
        np.testing.assert_allclose(vectors[0], states[layer].mean(0), atol=2e-5)


def test_the_whole_golden_which_was_made_without_normalising(test_data: Path) -> None:
    folder = test_data / "golden/music2vec_tiny"
    official, encoder = np.load(folder / "expected.npz"), load("music2vec", folder)
    audio = np.load(folder / "input.npy")[None]
    np.testing.assert_allclose(encoder.frames(audio)[0], official["last_hidden_state"], atol=2e-5)  # type: ignore[attr-defined]
    np.testing.assert_allclose(encoder.frames(official["batch_input"]), official["batch_nomask_last"], atol=2e-5)  # type: ignore[attr-defined]


def test_the_layers_pass_is_the_models_own(raw: Music2Vec) -> None:
    audio = torch.from_numpy(noise(2, 4_321))
    with torch.no_grad():
        own = raw._network(audio).last_hidden_state
    np.testing.assert_allclose(raw.frames(audio.numpy()), own, atol=1e-6)


def test_windows_are_normalised_unless_the_files_or_the_study_say_no(
    folder: Path, raw: Music2Vec, expected: dict[str, np.ndarray], tmp_path: Path
) -> None:
    audio = noise(2, 8_000) * np.float32(1e-3) + np.float32(5e-4)
    standard = (audio - audio.mean(1, keepdims=True)) / np.sqrt(audio.var(1, keepdims=True) + 1e-7)
    default = load("music2vec", folder)
    np.testing.assert_allclose(default.encode(audio), raw.encode(standard), atol=1e-4)
    assert np.abs(default.encode(audio) - raw.encode(audio)).max() > 1e-2
    assert default.card.revision != raw.card.revision
    (tmp_path / "pytorch_model.bin").write_bytes((folder / "pytorch_model.bin").read_bytes())
    (tmp_path / "config.json").write_text(str(expected["config"]))
    for says in (True, False):
        (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": says}))
        assert load("music2vec", tmp_path).normalise is says  # type: ignore[attr-defined]
        assert load("music2vec", tmp_path, normalise=not says).normalise is not says  # type: ignore[attr-defined]
        slim = tmp_path / f"slim-{says}.safetensors"
        convert("music2vec", tmp_path, slim)
        (tmp_path / "preprocessor_config.json").unlink()
        assert load("music2vec", slim).normalise is says  # type: ignore[attr-defined]


def test_the_studys_way_takes_samples_at_24_khz_as_they_are(folder: Path, raw: Music2Vec) -> None:
    study = load("music2vec", folder, rate=24_000)
    audio = noise(2, 24_000)
    np.testing.assert_array_equal(study.encode(audio), raw.encode(audio))  # one second is one and a half to the model
    assert (study.card.rate, study.card.frames_per_second, study.frames(audio).shape[1]) == (24_000, 75, 74)  # type: ignore[attr-defined]
    assert (raw.card.rate, raw.card.frames_per_second) == (16_000, 50)
    assert "24000 Hz" in study.card.revision
    with pytest.raises(ConfigError, match=r"no audio at 22,050 Hz. Choose from 16000, 24000"):
        load("music2vec", folder, rate=22_050)


@pytest.mark.parametrize("samples", [400, 5_001, 16_000])
def test_a_window_has_the_same_vector_alone_and_in_a_batch(folder: Path, samples: int) -> None:
    encoder, batch = load("music2vec", folder), noise(3, samples) * np.float32([[1], [1e-3], [3]])  # type: ignore[arg-type, operator]
    alone = np.concatenate([encoder.encode(window[None]) for window in batch])
    error = np.linalg.norm(encoder.encode(batch) - alone, axis=1) / np.linalg.norm(alone, axis=1)
    assert error.max() < 1e-5


def test_layers_empty_batches_silence_and_short_windows(raw: Music2Vec) -> None:
    audio = noise(2, 5_000)
    for layer, vectors in raw.encode_layers(audio, [3, 1]).items():
        np.testing.assert_allclose(vectors, raw.frames(audio, layer).mean(1), atol=1e-6)
    assert raw.frames(noise(0, 5_000)).shape == (0, 15, 32)
    assert np.isfinite(raw.encode(np.zeros((1, 400), np.float32))).all()
    with pytest.raises(AudioError, match=r"One frame takes 400 at 16,000 Hz"):
        raw.encode(noise(1, 399))
    with pytest.raises(ConfigError, match="Its layers are 0 to 3"):
        raw.encode_layers(audio, [1, 4])
    assert isinstance(raw, Encoder)


def test_another_models_file_is_refused(folder: Path, golden: Path, tmp_path: Path) -> None:
    mert = np.load(golden / "mert.npz", allow_pickle=False)
    weights = {name.removeprefix("weights/"): torch.from_numpy(mert[name]) for name in mert if name[:8] == "weights/"}
    torch.save(weights, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(ConfigError, match="Give the weights of music2vec"):
        load("music2vec", tmp_path)
    with pytest.raises(ConfigError, match="Give the weights of mert-95m"):
        load("mert-95m", folder)


def test_the_published_sizes_are_as_the_card_says(folder: Path) -> None:
    network, card = wav2vec_network("Data2VecAudioModel", {}, "music2vec"), Music2Vec.card
    count = sum(parameter.numel() for parameter in network.parameters())
    assert card.parameters == count
    assert round((count + card.dim) / 1e6, 2) == 93.16  # with what masks frames in training
    for rate, frames in ((16_000, 1499), (24_000, 2249)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            states = dict(hidden_states(network, torch.empty(1, 30 * rate, device="meta"), [12]))
        assert states[12].shape == (1, frames, 768)
        gflop = load("music2vec", folder, rate=rate).card.gflop
        assert gflop == pytest.approx(counter.get_total_flops() / 1e9, abs=0.1)

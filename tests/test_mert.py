"""MERT against the reference (yizhilll/MERT 391062e4 under transformers 4.38.2), on a small random model.

`data/mert.npz` holds its weights under the official names, 2.5 s of audio and all hidden states; of the whole golden,
the batches of unequal lengths are left out, which are never made here. The small model normalises before its blocks, as
mert-330m does; the other order, that of mert-95m, is compared with the layer's formula.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import gelu, layer_norm, linear
from torch.utils.flop_counter import FlopCounterMode

from made import noise
from timbrec.encoders import load
from timbrec.encoders.bases.layered import LayeredBase
from timbrec.encoders.bases.wav2vec import hidden_states, wav2vec_network
from timbrec.encoders.mert import MERT95M, MERT330M
from timbrec.encoders.weights.convert import convert
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import Encoder


@pytest.fixture(scope="module")
def expected(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "mert.npz", allow_pickle=False))


@pytest.fixture(scope="module")
def tensors(expected: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    weights = {name: value for name, value in expected.items() if name.startswith("weights/")}
    return {name.removeprefix("weights/"): torch.from_numpy(value) for name, value in weights.items()}


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, expected: dict[str, np.ndarray], tensors: dict[str, torch.Tensor]
) -> Path:
    """The layout of the hub."""
    path = tmp_path_factory.mktemp("mert")
    torch.save(tensors, path / "pytorch_model.bin")
    (path / "config.json").write_text(str(expected["config"]))
    return path


@pytest.fixture(scope="module")
def encoder(folder: Path) -> MERT330M:
    return MERT330M(folder, normalise=False)


def test_every_layer_is_the_references(encoder: MERT330M, expected: dict[str, np.ndarray]) -> None:
    audio, states = expected["input"][None], expected["hidden_states"]
    for layer, state in enumerate(states):
        np.testing.assert_allclose(encoder.frames(audio, layer)[0], state, atol=2e-5, err_msg=str(layer))
    np.testing.assert_array_equal(encoder.frames(audio), encoder.frames(audio, 3))  # the last: behind the final norm
    np.testing.assert_allclose(encoder.encode(audio)[0], expected["pooled"], atol=2e-5)
    for layer, vectors in encoder.encode_layers(audio, [0, 1, 2, 3]).items():
        np.testing.assert_allclose(vectors[0], states[layer].mean(0), atol=2e-5)


def test_the_whole_golden_from_safetensors_and_a_batch(test_data: Path) -> None:
    folder = test_data / "golden/mert_330m_tiny"
    official, encoder = np.load(folder / "expected.npz"), load("mert-330m", folder, normalise=False)
    audio = np.load(folder / "input.npy")[None]
    np.testing.assert_allclose(encoder.frames(audio)[0], official["last_hidden_state"], atol=2e-5)  # type: ignore[attr-defined]
    np.testing.assert_allclose(encoder.frames(official["batch_input"]), official["batch_nomask_last"], atol=2e-5)  # type: ignore[attr-defined]


@pytest.mark.parametrize("stable", [False, True])
def test_one_pass_over_the_layers_is_the_models_own(expected: dict[str, np.ndarray], stable: bool) -> None:
    """transformers' forward pass, which keeps no layer and computes all, gives the same last one."""
    config = json.loads(str(expected["config"])) | {"do_stable_layer_norm": stable}
    network = wav2vec_network("HubertModel", config, "mert")
    network.to_empty(device="cpu")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.2)
        audio = torch.from_numpy(noise(1, 4_001))
        last = dict(hidden_states(network, audio, [3]))[3]
        torch.testing.assert_close(last, network(audio).last_hidden_state, atol=1e-6, rtol=0)


def test_a_block_that_normalises_afterwards_is_its_formula(expected: dict[str, np.ndarray]) -> None:
    config = json.loads(str(expected["config"])) | {"do_stable_layer_norm": False}
    network = wav2vec_network("HubertModel", config, "mert").to_empty(device="cpu")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.2)
        states = dict(hidden_states(network, torch.from_numpy(noise(1, 3_000)), [0, 1]))
        plain = post_norm_block(network.encoder.layers[0].state_dict(), states[0][0], heads=4)
    torch.testing.assert_close(states[1][0], plain, atol=1e-5, rtol=1e-5)


def post_norm_block(weights: dict[str, torch.Tensor], x: torch.Tensor, heads: int) -> torch.Tensor:
    def dense(name: str, inputs: torch.Tensor) -> torch.Tensor:
        return linear(inputs, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name: str, inputs: torch.Tensor) -> torch.Tensor:
        return layer_norm(inputs, inputs.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"])

    q, k, v = (dense(f"attention.{part}_proj", x).unflatten(1, (heads, -1)) for part in "qkv")
    weight = torch.einsum("thd,shd->hts", q, k).mul(q.shape[2] ** -0.5).softmax(2)
    x = norm("layer_norm", x + dense("attention.out_proj", torch.einsum("hts,shd->thd", weight, v).flatten(1)))
    fed = dense("feed_forward.output_dense", gelu(dense("feed_forward.intermediate_dense", x)))
    return norm("final_layer_norm", x + fed)


@pytest.mark.parametrize("samples", [400, 4_001, 24_000])
def test_a_window_has_the_same_vector_alone_and_in_a_batch(encoder: MERT330M, samples: int) -> None:
    batch = noise(3, samples) * np.float32([[1], [1e-3], [3]])  # type: ignore[arg-type, operator]
    alone = np.concatenate([encoder.encode(window[None]) for window in batch])
    error = np.linalg.norm(encoder.encode(batch) - alone, axis=1) / np.linalg.norm(alone, axis=1)
    assert error.max() < 1e-5


def test_many_windows_are_encoded_in_blocks(encoder: MERT330M, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = noise(5, 2_400)
    whole = encoder.encode(batch)
    monkeypatch.setattr(LayeredBase, "seconds", (0.25, 0.0))  # two windows
    np.testing.assert_allclose(encoder.encode(batch), whole, rtol=1e-5, atol=1e-6)
    assert encoder.frames(batch).shape == (5, 7, 32)


@pytest.mark.parametrize(("samples", "time"), [(400, 1), (719, 1), (720, 2), (24_000, 74)])
def test_a_frame_every_320_samples(encoder: MERT330M, samples: int, time: int) -> None:
    assert encoder.frames(noise(1, samples)).shape == (1, time, 32)
    assert encoder.frames(noise(0, samples)).shape == (0, time, 32)


def test_layers_in_one_pass_are_the_frames_means(encoder: MERT330M) -> None:
    audio = noise(2, 9_999)
    layers = encoder.encode_layers(audio, [2, 0, 3, 2])
    assert layers.keys() == {0, 2, 3}
    for layer, vectors in layers.items():
        np.testing.assert_allclose(vectors, encoder.frames(audio, layer).mean(1), atol=1e-6)
    assert encoder.encode_layers(audio, []) == {}
    empty = encoder.encode_layers(noise(0, 9_999), [1, 2])
    assert {layer: vectors.shape for layer, vectors in empty.items()} == {1: (0, 32), 2: (0, 32)}
    assert encoder.encode(noise(0, 9_999)).shape == (0, 32)


def test_unsupported_options_are_refused(encoder: MERT330M, folder: Path) -> None:
    for layer in (-1, 4):
        with pytest.raises(ConfigError, match=f"mert-330m has no layer {layer}. Its layers are 0 to 3"):
            encoder.frames(noise(1, 400), layer)
    with pytest.raises(ConfigError, match="no layer 4"):
        load("mert-330m", folder, layer=4)
    with pytest.raises(AudioError, match=r"399 samples are too short for mert-330m. One frame takes 400 at 24,000 Hz"):
        encoder.encode(noise(2, 399))
    with pytest.raises(ConfigError, match=r"does not compute in 'float16'. Choose from float32, bfloat16"):
        load("mert-330m", folder, dtype="float16")


def test_options_change_vectors_and_revision(encoder: MERT330M, folder: Path) -> None:
    audio = noise(2, 8_000) * np.float32(1e-3) + np.float32(5e-4)
    layered = MERT330M(folder, layer=2, normalise=False)
    half = MERT330M(folder, normalise=False, dtype="bfloat16")
    normalised = MERT330M(folder)
    assert len({loaded.card.revision for loaded in (encoder, layered, half, normalised)}) == 4
    np.testing.assert_allclose(layered.encode(audio), encoder.frames(audio, 2).mean(1), atol=1e-6)
    standard = (audio - audio.mean(1, keepdims=True)) / np.sqrt(audio.var(1, keepdims=True) + 1e-7)
    np.testing.assert_allclose(normalised.encode(audio), encoder.encode(standard), atol=1e-4)
    assert np.abs(normalised.encode(audio) - encoder.encode(audio)).max() > 0.01  # the first norm's epsilon matters
    assert 1e-4 < np.abs(half.encode(audio) - encoder.encode(audio)).max() < 0.2
    assert half.encode(audio).dtype == np.float32


def test_windows_are_normalised_unless_a_file_beside_the_weights_or_an_option_says_no(
    folder: Path, expected: dict[str, np.ndarray], tmp_path: Path
) -> None:
    assert MERT330M(folder).normalise  # the hub's preprocessor_config.json says so
    (tmp_path / "pytorch_model.bin").write_bytes((folder / "pytorch_model.bin").read_bytes())
    (tmp_path / "config.json").write_text(str(expected["config"]))
    for stated in (True, False):
        recipe = tmp_path / "preprocessor_config.json"
        recipe.write_text(json.dumps({"do_normalize": stated, "sampling_rate": 24000}))
        assert MERT330M(tmp_path).normalise is stated
        assert MERT330M(tmp_path, normalise=not stated).normalise is not stated
        slim = tmp_path / f"slim-{stated}.safetensors"
        convert("mert-330m", tmp_path, slim)
        recipe.unlink()
        assert MERT330M(slim).normalise is stated


def test_a_quiet_track_has_its_loud_vector_when_normalised(encoder: MERT330M, folder: Path) -> None:
    loud = noise(1, 24_000)
    quiet = loud * np.float32(0.01)
    normalised = MERT330M(folder)

    def change(mert: MERT330M) -> float:
        vectors = mert.encode(loud)[0], mert.encode(quiet)[0]
        return float(np.linalg.norm(vectors[0] - vectors[1]) / np.linalg.norm(vectors[0]))

    assert change(normalised) < 0.1 < change(encoder)


def test_names_of_either_layout_and_a_slim_file_give_the_same(
    encoder: MERT330M, folder: Path, expected: dict[str, np.ndarray], tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    conv, new = "encoder.pos_conv_embed.conv.", "parametrizations.weight.original"
    renamed = dict(tensors)
    for number, part in enumerate(("weight_g", "weight_v")):
        renamed[f"{conv}{new}{number}"] = renamed.pop(conv + part)
    save_file(renamed, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(str(expected["config"]))
    convert("mert-330m", folder, tmp_path / "slim.safetensors")
    audio = expected["input"][None, :5_000]
    other = MERT330M(tmp_path / "model.safetensors", normalise=False)
    np.testing.assert_array_equal(other.encode(audio), encoder.encode(audio))
    (tmp_path / "config.json").unlink()
    slim = MERT330M(tmp_path / "slim.safetensors", normalise=False)
    np.testing.assert_array_equal(slim.encode(audio), encoder.encode(audio))
    assert slim.card == encoder.card


def test_faulty_files_have_different_messages(
    folder: Path, expected: dict[str, np.ndarray], tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "pytorch_model.bin"
    (tmp_path / "config.json").write_text(str(expected["config"]))
    whole = (folder / "pytorch_model.bin").read_bytes()
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0c03\nsize 1261835137\n"
    for content, message in ((whole[:-100], "cut short"), (pointer, "Git LFS pointer"), (b"", "is empty")):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=message):
            MERT330M(path)
    path.write_bytes(pickle.dumps({"weight": print}, protocol=2))
    with pytest.raises(ConfigError, match="code besides tensors"):
        MERT330M(path)
    for changed, message in (
        (tensors | {"lm_head.weight": torch.zeros(2)}, r"not of mert-330m \(1 in all, e.g. 'lm_head.weight"),
        ({k: v for k, v in tensors.items() if "layers.2.attention.k" not in k}, r"lacks tensors of .*\(2 in all"),
        ({k: v for k, v in tensors.items() if not k.endswith("weight_g")}, "lacks tensors of mert-330m"),
    ):
        torch.save(changed, path)
        with pytest.raises(ConfigError, match=message):
            MERT330M(path)
    (tmp_path / "config.json").unlink()
    torch.save(tensors, path)
    with pytest.raises(ConfigError, match="mert-95m"):  # without its config, a small model is not the published one
        MERT95M(path)
    sizes = {"hidden_size": 1024, "num_hidden_layers": 24}
    (tmp_path / "config.json").write_text(json.dumps(json.loads(str(expected["config"])) | sizes))
    with pytest.raises(ConfigError, match=r"holds the weights of mert-330m\. Load mert-330m"):
        MERT95M(path)
    (tmp_path / "nothing here").mkdir()
    with pytest.raises(ConfigError, match="no weights of mert-330m"):
        MERT330M(tmp_path / "nothing here")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"deepnorm": True}, "asks for deepnorm"),
        ({"feature_extractor_cqt": True}, "asks for feature_extractor_cqt"),
        ({"num_attention_heads": 5}, "describes no model"),
        ({"hidden_size": "wide"}, "describes no model"),
    ],
)
def test_a_config_that_is_not_understood_is_refused(
    folder: Path, expected: dict[str, np.ndarray], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes((folder / "pytorch_model.bin").read_bytes())
    (tmp_path / "config.json").write_text(json.dumps(json.loads(str(expected["config"])) | change))
    with pytest.raises(ConfigError, match=message):
        MERT330M(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="cut short or damaged"):
        MERT330M(tmp_path)


@pytest.mark.parametrize(("kind", "millions"), [(MERT95M, 94.37), (MERT330M, 315.43)])
def test_the_published_sizes_are_as_the_card_says(kind: type[MERT95M], millions: float) -> None:
    """On the meta device, which computes shapes and counts operations."""
    network = wav2vec_network("HubertModel", kind._published, "mert")
    card, count = kind.card, sum(parameter.numel() for parameter in network.parameters())
    count += network.config.num_conv_pos_embeddings  # lengths that are part of the weight once loaded
    assert card.parameters == count
    assert round((count + card.dim) / 1e6, 2) == millions  # with what masks frames in training
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        states = dict(hidden_states(network, torch.empty(1, 30 * card.rate, device="meta"), [0, card.layers]))
    assert states[card.layers].shape == (1, 2249, card.dim)
    assert card.gflop == pytest.approx(counter.get_total_flops() / 1e9, abs=0.1)
    assert card.frames_per_second == 75


def test_the_encoders_are_in_the_catalogue_and_keep_the_contract(
    encoder: MERT330M, folder: Path, tensors: dict[str, torch.Tensor]
) -> None:
    assert isinstance(encoder, Encoder)
    assert load("mert-95m", folder).card.name == "mert-95m"
    assert (encoder.card.dim, encoder.card.layers) == (32, 3)
    count = sum(tensor.numel() for tensor in tensors.values())
    assert encoder.card.parameters == count - len(tensors["masked_spec_embed"])
    assert np.isfinite(encoder.encode(np.zeros((1, 4_000), np.float32))).all()


def test_loading_and_encoding_say_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MERT95M(folder).encode(noise(1, 400))
    assert capfd.readouterr() == ("", "")


def test_the_cards_need_no_torch() -> None:
    code = (
        "import sys; from timbrec.encoders.mert import MERT95M; from timbrec.encoders.music2vec import Music2Vec; "
        "from timbrec.encoders.encodecmae import EncodecMAE; assert not MERT95M.card.commercial; "
        "assert not {'torch', 'transformers'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_transformers_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        ConfigError, match=r"mert-330m needs the package transformers.*pip install 'timbrec\[encoders\]'"
    ):
        MERT330M(folder)

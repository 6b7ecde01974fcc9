"""MULE against sxmp-mule 1.1.2 under TensorFlow 2.13 and librosa 0.9.2, with random weights.

The weights are drawn as for the expected values: from a generator per tensor, seeded with a model's number and the
tensor's place among the sorted names. `data/mule.npz` holds both models' tensors' shapes, the small one's graph as
Keras saved it, seven seconds of audio and the embeddings of its slices by both.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from made import noise
from timbrec.encoders import load
from timbrec.encoders.mule import MULE
from timbrec.encoders.networks.mule import MULENetwork, Sizes
from timbrec.encoders.signals.mel import mel_bands
from timbrec.encoders.weights.mule import mule_network
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import Encoder

SLICE = 299 * 160  # samples of 300 frames


def drawn(layout: dict[str, list[int]], model: int) -> dict[str, torch.Tensor]:
    tensors = {}
    for place, name in enumerate(sorted(layout)):
        values = np.random.default_rng([model, place]).standard_normal(layout[name]).astype(np.float32)
        if name.endswith(".skip_gain"):
            values = 0.8 + 0.1 * values
        elif name.endswith(".gain"):
            values = 1 + 0.1 * values
        elif name.endswith(".bias"):
            values = 0.1 * values
        elif ".se." in name:
            values = values / np.sqrt(layout[name][0])
        tensors[name] = torch.from_numpy(np.asarray(values, np.float32))
    return tensors


@pytest.fixture(scope="module")
def expected(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "mule.npz", allow_pickle=False))


@pytest.fixture(scope="module")
def tensors(expected: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return drawn(json.loads(expected["tiny_layout"].tobytes()), model=1)


@pytest.fixture(scope="module")
def weights(tensors: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mule") / "mule.safetensors"
    save_file(tensors, path)
    return path


@pytest.fixture(scope="module")
def encoder(weights: Path) -> MULE:
    return MULE(weights)


def test_the_embeddings_are_the_official_ones(encoder: MULE, expected: dict[str, np.ndarray]) -> None:
    frames = encoder.frames(expected["wave"][None])
    np.testing.assert_allclose(frames[0], expected["embedding"], atol=1e-5)
    np.testing.assert_allclose(encoder.encode(expected["wave"][None])[0], expected["embedding"].mean(0), atol=1e-5)


def test_the_full_network_is_the_official_one(encoder: MULE, expected: dict[str, np.ndarray]) -> None:
    layout = json.loads(expected["full_layout"].tobytes())
    with torch.device("meta"):
        empty = MULENetwork(Sizes()).state_dict()
    assert {name: list(tensor.shape) for name, tensor in empty.items()} == layout
    assert sum(tensor.numel() for tensor in empty.values()) == 62_345_742 == MULE.card.parameters
    full = mule_network(drawn(layout, model=2), Path("drawn"))
    assert (full.dim, MULE.card.dim) == (1728, 1728)
    np.testing.assert_allclose(full(encoder.slices(expected["wave"])), expected["full_embedding"], atol=1e-5)


def test_the_last_activation_is_there_or_not(
    encoder: MULE, tensors: dict[str, torch.Tensor], expected: dict[str, np.ndarray]
) -> None:
    without = mule_network(tensors, Path("drawn"), final_activation=False)
    np.testing.assert_allclose(without(encoder.slices(expected["wave"])), expected["pooled_preact"], atol=1e-5)


def test_every_stage_and_the_front_end_of_the_official_run(test_data: Path, encoder: MULE) -> None:
    """The full golden, from its own file as Keras wrote it."""
    folder = test_data / "golden/mule"
    official = np.load(folder / "tiny_expected.npz")
    kept: dict[str, torch.Tensor] = {}
    network = MULE(folder / "tiny_model.keras")._network
    stages = {f"{name}_stage{n}": network.get_submodule(f"{name}.{n}") for name in ("slow", "fast") for n in range(4)}
    for name, module in (stages | {"slow_stem": network.slow_stem, "fast_stem": network.fast_stem}).items():
        module.register_forward_hook(lambda _, __, output, name=name: kept.update({name: output}))
    result = network(torch.from_numpy(official["slices"][..., 0]))
    for name, output in kept.items():
        values = official[name]
        np.testing.assert_allclose(output.permute(0, 2, 3, 1)[: len(values)], values, atol=1e-5, err_msg=name)
    assert len(kept) == 10
    np.testing.assert_allclose(result, official["embedding"], atol=1e-5)
    np.testing.assert_allclose(encoder.slices(official["wave_16k"]), official["slices"][..., 0], atol=1e-4)


def test_the_slices_are_those_of_librosas_mel(encoder: MULE) -> None:
    """Centres at 2 s, 4 s, ...; the last slice ends with the audio."""
    librosa = pytest.importorskip("librosa", reason="librosa, the oracle of the mel spectrum, is not installed")
    audio = noise(1, 16_000 * 5)[0] * np.linspace(0, 1, 80_000, dtype=np.float32)
    bands = {"n_fft": 2048, "hop_length": 160, "win_length": 400, "n_mels": 96, "htk": True, "norm": 2.0}
    mel = librosa.feature.melspectrogram(y=audio, sr=16_000, fmax=8000.0, pad_mode="reflect", **bands)
    log_mel = np.log10(1e4 * mel + 1)
    assert log_mel.shape == (96, 501)
    slices = encoder.slices(audio)
    assert slices.shape == (2, 96, 300)
    for values, start in zip(slices, (50, 201), strict=True):
        part = log_mel[:, start : start + 300]
        np.testing.assert_allclose(values, (part - part.mean()) / max(part.std(), 0.01), atol=1e-3)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize(("norm", "librosas"), [("area", "slaney"), ("l2", 2), ("none", None)])
def test_all_mel_bands_are_librosas(scale: str, norm: str, librosas: object) -> None:
    librosa = pytest.importorskip("librosa", reason="librosa, the oracle of the mel spectrum, is not installed")
    for rate, n_fft, bands in ((16_000, 512, 96), (24_000, 2048, 128)):
        expected = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bands, htk=scale == "htk", norm=librosas)
        np.testing.assert_allclose(mel_bands(rate, n_fft, bands, scale=scale, norm=norm), expected, atol=1e-6)  # type: ignore[arg-type]


def test_half_a_minute_has_fifteen_slices_and_three_seconds_have_one(encoder: MULE) -> None:
    assert encoder.frames(noise(1, 16_000 * 30)).shape == (1, 15, 120)
    assert encoder.frames(noise(1, 16_000 * 6)).shape == (1, 3, 120)
    assert encoder.frames(noise(1, 16_000 * 3)).shape == (1, 1, 120)
    assert encoder.card.frames_per_second * encoder.card.window == 15


@pytest.mark.parametrize("samples", [1, 159, 16_000, SLICE - 1])
def test_a_window_shorter_than_a_slice_is_played_again(encoder: MULE, samples: int) -> None:
    short = noise(2, samples)
    longer = np.tile(short, (1, SLICE // samples + 1))[:, :SLICE]
    np.testing.assert_array_equal(encoder.frames(short), encoder.frames(longer))
    assert encoder.frames(short).shape == (2, 1, 120)


@pytest.mark.parametrize("samples", [SLICE, 16_000 * 9])
def test_a_window_has_the_same_vector_alone_and_in_a_batch(encoder: MULE, samples: int) -> None:
    batch = noise(3, samples)
    alone = np.concatenate([encoder.encode(window[None]) for window in batch])
    error = np.linalg.norm(encoder.encode(batch) - alone, axis=1) / np.linalg.norm(alone, axis=1)
    assert error.max() < 1e-5


def test_the_study_s_vectors_are_sums_and_have_another_revision(encoder: MULE, weights: Path) -> None:
    audio, summed = noise(2, 16_000 * 7), MULE(weights, pool="sum")
    np.testing.assert_allclose(summed.encode(audio), 3 * encoder.encode(audio), rtol=1e-5)
    assert summed.card.revision == f"{encoder.card.revision}, summed"


def test_the_official_gain_of_mono_files_is_a_half(encoder: MULE, weights: Path) -> None:
    audio, halved = noise(1, SLICE), MULE(weights, mono_gain="official")
    np.testing.assert_array_equal(halved.encode(audio), encoder.encode(audio / 2))
    assert np.abs(halved.encode(audio) - encoder.encode(audio)).max() > 1e-4
    assert halved.card.revision == f"{encoder.card.revision}, half gain"


def test_silence_is_finite_and_nothing_is_refused(encoder: MULE) -> None:
    assert np.isfinite(encoder.encode(np.zeros((1, SLICE), np.float32))).all()
    assert encoder.encode(noise(0, SLICE)).shape == (0, 120)
    assert encoder.frames(noise(0, 16_000 * 30)).shape == (0, 15, 120)
    with pytest.raises(AudioError, match="no samples"):
        encoder.encode(noise(1, 0))


def test_loading_by_name_from_a_folder_and_a_file(weights: Path) -> None:
    by_file, other = load("mule", weights=weights), load("mule", weights=str(weights.parent), pool="mean")
    assert isinstance(by_file, Encoder)
    assert by_file.card == other.card
    assert (by_file.card.dim, by_file.card.parameters) == (120, 153_542)
    assert by_file.card.revision.startswith("sxmp-mule 1.1.2, weights ")


def test_missing_pools_and_layers_are_refused(encoder: MULE, weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mule has no numbered layers"):
        encoder.frames(noise(1, SLICE), layer=2)
    with pytest.raises(ConfigError, match=r"cannot be pooled by 'max'\. Known: mean, sum"):
        MULE(weights, pool="max")
    with pytest.raises(ConfigError, match=r"no mono_gain 'half'\. Known: full, official"):
        MULE(weights, mono_gain="half")
    with pytest.raises(ConfigError, match=r"must be given.*CC BY-NC.*git lfs pull"):
        MULE()
    with pytest.raises(ConfigError, match=r"no weights of mule in .*model\.keras"):
        MULE(tmp_path)
    with pytest.raises(ConfigError, match=r"no file .*model\.keras"):
        MULE(tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("slow_stem.0.bias"), r"lacks tensors of mule \(e.g. 'slow_stem.0'"),
        (lambda t: t.pop("slow.1.1.conv2.gain"), r"lacks tensors of mule \(1 in all, e.g. 'slow.1.1.conv2.gain'"),
        (lambda t: t.update(projector=torch.zeros(2)), "holds tensors that are not of mule .*projector"),
        (lambda t: t.update({"fast.0.0.skip_gain": torch.zeros(2)}), "other shapes than mule .*fast.0.0.skip_gain"),
    ],
)
def test_weights_that_are_not_mules_are_refused(
    tensors: dict[str, torch.Tensor], tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], Any], message: str
) -> None:
    changed = dict(tensors)
    change(changed)
    save_file(changed, tmp_path / "mule.safetensors")
    with pytest.raises(ConfigError, match=message):
        MULE(tmp_path)


class Archive:
    """A Keras archive of the small model, written as Keras 2.13 does, that a test may change before it is read."""

    def __init__(self, config: bytes, tensors: dict[str, torch.Tensor]) -> None:
        self.config = json.loads(config)
        self.layers: list[dict[str, Any]] = self.config["config"]["layers"]
        self.variables = self._in_order_of_creation(tensors)

    def _in_order_of_creation(self, tensors: dict[str, torch.Tensor]) -> dict[str, dict[str, np.ndarray]]:
        """The order of layers in the reference: the slow pathway, the fast pathway, and their connections."""
        convolutions = [f"{stem}.{number}" for stem in ("slow_stem", "fast_stem") for number in range(4)]
        dense, gains = [], []
        for pathway in ("slow", "fast"):
            for stage, depth in enumerate((1, 2, 2, 1)):
                for block in range(depth):
                    place = f"{pathway}.{stage}.{block}"
                    parts = ["conv0", "conv1", "conv2", "conv3", *(["shortcut"] if block == 0 else [])]
                    convolutions += [f"{place}.{part}" for part in parts]
                    dense += [f"{place}.se.fc1", f"{place}.se.fc2"]
                    gains.append(place)
        convolutions += [f"fusion.{stage}.{part}" for stage in range(4) for part in ("conv_t", "conv_1x1")]
        kinds = {
            "WeightStandardization": (convolutions, {"vars/0": "kernel", "vars/1": "gain", "layer/vars/0": "bias"}),
            "Dense": (dense, {"vars/0": "kernel", "vars/1": "bias"}),
            "ScalarMultiply": (gains, {"vars/0": "skip_gain"}),
        }
        variables = {}
        for kind, (places, parts) in kinds.items():  # type: ignore[assignment]
            layers = [layer for layer in self.layers if layer["class_name"] == kind]
            layers = [layer for layer in layers if layer["config"].get("learnable", True)]
            layers.sort(key=lambda layer: int((re.findall(r"_(\d+)$", layer["name"]) or [0])[0]))
            for layer, place in zip(layers, places, strict=True):
                variables[layer["name"]] = {at: tensors[f"{place}.{part}"].numpy() for at, part in parts.items()}  # type: ignore[attr-defined]
        return variables

    def write(self, path: Path) -> Path:
        """Groups are named by class and a number that grows by 2 after a layer with variables, else by 1."""
        h5py = pytest.importorskip("h5py", reason="h5py, which reads .keras files, is not installed")
        content, numbers = io.BytesIO(), Counter[str]()
        with h5py.File(content, "w") as file:
            for layer in self.layers:
                kind = re.sub(r"(.)([A-Z])", r"\1_\2", layer["class_name"]).lower()
                name = f"{kind}_{numbers[kind]}" if numbers[kind] else kind
                values = self.variables.get(layer["name"], {})
                numbers[kind] += 2 if values else 1
                file.create_group(f"_layer_checkpoint_dependencies/{name}/vars")
                for at, value in values.items():
                    file[f"_layer_checkpoint_dependencies/{name}/{at}"] = value
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("metadata.json", json.dumps({"keras_version": "2.13.1"}))
            archive.writestr("config.json", json.dumps(self.config))
            archive.writestr("model.weights.h5", content.getvalue())
        return path


@pytest.fixture
def archive(expected: dict[str, np.ndarray], tensors: dict[str, torch.Tensor]) -> Archive:
    return Archive(expected["config"].tobytes(), tensors)


def test_the_official_format_gives_the_same_vectors(archive: Archive, encoder: MULE, tmp_path: Path) -> None:
    from_keras = MULE(archive.write(tmp_path / "model.keras"))
    assert from_keras.card == encoder.card
    np.testing.assert_array_equal(from_keras.encode(noise(1, SLICE)), encoder.encode(noise(1, SLICE)))


def test_names_and_numbers_of_layers_do_not_matter(archive: Archive, encoder: MULE, tmp_path: Path) -> None:
    """As if the model had been built second, or loaded and saved again with other names."""
    text, names = json.dumps(archive.config), sorted((layer["name"] for layer in archive.layers), key=len, reverse=True)
    other = {name: f"layer of {hash(name)}" for name in names}
    for name in names:
        text = text.replace(f'"{name}"', f'"{other[name]}"')
    archive.config = json.loads(text)
    archive.layers = archive.config["config"]["layers"]
    archive.variables = {other[name]: values for name, values in archive.variables.items()}
    assert MULE(archive.write(tmp_path / "model.keras")).card == encoder.card


def test_a_graph_without_the_last_activation_is_followed(
    archive: Archive, expected: dict[str, np.ndarray], tmp_path: Path
) -> None:
    archive.config["config"]["output_layers"] = [["concatenate_4", 0, 0]]
    frames = MULE(archive.write(tmp_path / "model.keras")).frames(expected["wave"][None])
    np.testing.assert_allclose(frames[0], expected["pooled_preact"], atol=1e-5)


def _setting(archive: Archive, kind: str, number: int) -> dict[str, Any]:
    layer = [layer for layer in archive.layers if layer["class_name"] == kind][number]
    return layer["config"]["layer"]["config"] if kind == "WeightStandardization" else layer["config"]


@pytest.mark.parametrize(
    "change",
    [
        lambda a: _setting(a, "WeightStandardization", 9).update(strides=[2, 2]),
        lambda a: _setting(a, "WeightStandardization", 40).update(groups=3),
        lambda a: _setting(a, "ScalarMultiply", 0).update(init_gain=0.5),
        lambda a: a.variables.pop("dense_5"),
        lambda a: a.variables["dense_5"].pop("vars/1"),
        lambda a: a.config["config"].update(output_layers=[["stoch_depth_3", 0, 0]]),
    ],
)
def test_another_graph_is_refused(archive: Archive, tmp_path: Path, change: Callable[[Archive], Any]) -> None:
    change(archive)
    with pytest.raises(ConfigError, match=r"holds another network than MULE's|lacks tensors of mule|other shapes than"):
        MULE(archive.write(tmp_path / "model.keras"))


def test_damaged_files_are_each_refused_by_name(
    archive: Archive, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive.write(tmp_path / "model.keras")
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content, message in (
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1da1\nsize 251054764\n", "Git LFS pointer"),
        (b"", "is empty"),
        (whole[:-1000], "cut short or damaged"),
        (bytes(flipped), "cut short or damaged"),
        (weights.read_bytes(), "no Keras archive"),
    ):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=message):
            MULE(path)
    path.write_bytes(whole)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ConfigError, match=r"needs h5py\. Run `pip install 'timbrec\[encoders\]'`"):
        MULE(path)


def test_the_card_is_read_without_torch() -> None:
    code = (
        "import sys; from timbrec.encoders.mule import MULE; assert not MULE.card.commercial; "
        "assert not {'torch', 'h5py', 'tensorflow', 'librosa'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

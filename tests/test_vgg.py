"""The VGG taggers against musicnn 0.1.0's own extractor, with its published weights under TensorFlow 2.21.

`data/vgg.npz` holds the extractor's outputs for two patches of its own log-mel spectrum: all of pool5 and of the tags,
and every few time steps, bands and channels of the first patch's other pools. The network is also compared with the
published description on random weights, which needs no package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import batch_norm, conv2d, max_pool2d, relu

from made import noise
from timbrec.encoders import load
from timbrec.encoders.networks.vgg import VGGNetwork, renamed
from timbrec.encoders.shared import musicnn_tags
from timbrec.encoders.vgg import VGGMSD, VGGMTT
from timbrec.errors import ConfigError

PATCH = 187 * 256
NORM_SIZES = (1, 128, 128, 128, 128, 128)
PARTS = ("moving_mean", "moving_variance", "gamma", "beta")
MODELS: dict[str, Any] = {"MSD_vgg": VGGMSD, "MTT_vgg": VGGMTT}
STEPS = {"pool1": (12, 12), "pool2": (6, 6), "pool3": (3, 3), "pool4": (2, 1)}  # in data/vgg.npz; every third channel


def random_vgg_variables(seed: int = 0) -> dict[str, torch.Tensor]:
    """Variables with the official names and shapes, and gains of both signs."""
    rng, variables = np.random.default_rng(seed), {}
    for number in range(1, 6):
        shape = (3, 3, 1 if number == 1 else 128, 128)
        variables[f"{number}CNN/kernel"] = rng.normal(0, 1.4 / np.prod(shape[:-1]) ** 0.5, shape)
        variables[f"{number}CNN/bias"] = rng.normal(0, 0.1, 128)
    variables["dense/kernel"], variables["dense/bias"] = rng.normal(0, 0.1, (256, 50)), rng.normal(0, 0.1, 50)
    for number, size in enumerate(NORM_SIZES):
        layer = f"batch_normalization_{number}" if number else "batch_normalization"
        for part, low, high in (("gamma", -1, 1), ("beta", -0.1, 0.1), ("moving_mean", 0, 0.3)):
            variables[f"{layer}/{part}"] = rng.uniform(low, high, size)
        variables[f"{layer}/moving_variance"] = rng.uniform(0.5, 1.5, size)
    return {name: torch.from_numpy(np.asarray(value, np.float32)) for name, value in variables.items()}


def described_network(variables: dict[str, torch.Tensor], patches: torch.Tensor) -> dict[str, torch.Tensor]:
    """The published description with torch's own layers, channels first."""

    def norm(x: torch.Tensor, number: int) -> torch.Tensor:
        layer = f"batch_normalization_{number}" if number else "batch_normalization"
        mean, variance, gamma, beta = (variables[f"{layer}/{part}"] for part in PARTS)
        return batch_norm(x, mean, variance, gamma, beta, eps=1e-3)

    x, stages = norm(patches[:, None], 0), {}
    for number, (pool, stride) in enumerate([((4, 1), 2), (2, 2), (2, 2), (2, 2), (4, 4)], 1):
        kernel = variables[f"{number}CNN/kernel"].permute(3, 2, 0, 1)
        x = norm(relu(conv2d(x, kernel, variables[f"{number}CNN/bias"], padding=1)), number)
        x = max_pool2d(x, pool, stride)  # type: ignore[call-overload]
        stages[f"pool{number}"] = x.permute(0, 2, 3, 1)
    logits = stages["pool5"].flatten(1) @ variables["dense/kernel"] + variables["dense/bias"]
    return stages | {"taggram": torch.sigmoid(logits)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vgg") / "random.safetensors"
    save_file(random_vgg_variables(), path)
    return path


@pytest.fixture(scope="module")
def encoder(weights: Path) -> VGGMSD:
    return VGGMSD(weights)


@pytest.fixture(scope="module")
def official(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "vgg.npz", allow_pickle=False))


def test_network_equals_its_published_description() -> None:
    variables = random_vgg_variables(1)
    network = VGGNetwork()
    network.load_state_dict(renamed(variables))
    patches = torch.rand(2, 187, 96, generator=torch.Generator().manual_seed(0)) * 3
    with torch.no_grad():
        stages, described = network(patches), described_network(variables, patches)
    assert stages.keys() == described.keys()
    for stage, values in described.items():
        torch.testing.assert_close(stages[stage], values, rtol=1e-4, atol=1e-4, msg=stage)
    assert described["taggram"].std() > 0.02  # the input reaches the output


@pytest.mark.parametrize("model", MODELS)
def test_stages_equal_the_official_extractor(
    package: Path, golden: Path, official: dict[str, np.ndarray], model: str
) -> None:
    """From the first patch's official log-mel, which is rounded to float16."""
    mel = np.load(golden / "musicnn.npz")["mel_power"].astype(np.float16).astype(np.float32)
    with torch.no_grad():
        stages = MODELS[model]()._network(torch.from_numpy(np.log10(10_000 * mel + 1))[None])
    for stage, (times, bands) in STEPS.items():
        values = stages[stage][0, ::times, ::bands, ::3].numpy()
        np.testing.assert_allclose(values, official[f"{model}/{stage}"], rtol=1e-4, atol=2e-4, err_msg=stage)
    np.testing.assert_allclose(stages["pool5"][0, :, 0], official[f"{model}/pool5"][0], atol=1e-5)
    np.testing.assert_allclose(stages["taggram"][0], official[f"{model}/taggram"][0], atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_vector_is_the_mean_over_patches_of_the_official_pool5(
    package: Path, test_data: Path, official: dict[str, np.ndarray], model: str
) -> None:
    """From the samples; without rounding of the log-mel, values differ by up to 5e-4."""
    audio, encoder = np.load(test_data / "golden/musicnn/input_16k.npy")[None], MODELS[model]()
    pool5 = official[f"{model}/pool5"].reshape(2, 256)
    np.testing.assert_allclose(encoder.frames(audio)[0], pool5, atol=1e-3)
    np.testing.assert_allclose(encoder.encode(audio)[0], pool5.mean(0), atol=1e-3)
    np.testing.assert_allclose(encoder.stages(audio)["taggram"][0], official[f"{model}/taggram"], atol=1e-3)


def test_layers_are_the_pools_with_one_state_per_time_step(encoder: VGGMSD, weights: Path) -> None:
    audio, shapes = noise(2, 2 * PATCH + 5_000), [(187, 96), (92, 6144), (46, 3072), (23, 1536), (11, 768), (1, 256)]
    stages = encoder.stages(audio)
    for layer, vectors in encoder.encode_layers(audio, range(6)).items():
        times, width = shapes[layer]
        frames = encoder.frames(audio, layer)
        assert frames.shape == (2, 2 * times, width)
        np.testing.assert_allclose(vectors, frames.mean(1), rtol=1e-4, atol=1e-5)
        if layer:
            np.testing.assert_array_equal(frames.ravel(), stages[f"pool{layer}"].ravel())
    assert VGGMSD(weights, layer=4).card.dim == 768
    assert VGGMSD(weights, layer=4).card.revision == f"{encoder.card.revision}, layer 4"


def test_cards_count_the_parameters_and_the_tags(package: Path, encoder: VGGMSD) -> None:
    assert sum(parameter.numel() for parameter in encoder._network.parameters()) == VGGMSD.card.parameters == 607_030
    assert (VGGMSD.tags, VGGMTT.tags) == (musicnn_tags.MSD, musicnn_tags.MTT)
    for name in ("vgg-msd", "vgg-mtt"):
        assert load(name).card.revision == "musicnn 0.1.0"


def test_weights_of_other_models_are_refused(package: Path, weights: Path) -> None:
    with pytest.raises(ConfigError, match="holds the weights of vgg-mtt, not vgg-msd"):
        VGGMSD(package / "MTT_vgg")
    with pytest.raises(ConfigError, match="lacks tensors of vgg-msd"):
        VGGMSD(package / "MSD_musicnn/.index")
    with pytest.raises(ConfigError, match="lacks tensors of musicnn-msd"):
        load("musicnn-msd", weights=weights)

"""The small random models that test_musicfm.py and test_muq.py look at, in their official layouts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

BLOCK = {"num_attention_heads": 4, "layer_norm_eps": 1e-5, "rotary_embedding_base": 10000, "num_hidden_layers": 24}
STATISTICS = {
    "melspec_2048_cnt": 14282760192,
    "melspec_2048_mean": 6.768444971712967,
    "melspec_2048_std": 18.417922652295623,
}
MUQ = {"encoder_depth": 3, "encoder_dim": 32, "conv_dim": 8, "stat": STATISTICS, "w2v2_config": BLOCK}


def tensors_in(expected: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The weights in a file of expected values, by their official names."""
    return {
        name.removeprefix("weights/"): torch.from_numpy(value)
        for name, value in expected.items()
        if name.startswith("weights/")
    }


def as_muq(tensors: Mapping[str, torch.Tensor], prefix: str = "model.") -> dict[str, torch.Tensor]:
    """MusicFM's tensors as MuQ's file has them."""
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("preprocessor_")}
    return {f"{prefix}{name.replace('_2048_0', '_2048')}": tensor for name, tensor in kept.items()}


def musicfm_folder(folder: Path, tensors: Mapping[str, torch.Tensor], name: str = "msd") -> Path:
    """A checkpoint and its statistics; the tensors determine heads and depth."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = {"state_dict": {f"model.{key}": tensor for key, tensor in tensors.items()}}
    torch.save(saved, folder / f"pretrained_{name}.pt")
    (folder / f"{name}_stats.json").write_text(json.dumps(STATISTICS))
    return folder


def muq_folder(folder: Path, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> Path:
    """`pytorch_model.bin` and `config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(dict(tensors), folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal but for the last bit, which products may round otherwise where tensors lie otherwise in memory."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())

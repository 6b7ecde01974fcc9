"""Every encoder of the catalogue, small enough to be loaded and run in a test; a new one needs a line in TINY."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from timbrec.encoders import load
from timbrec.protocols import Encoder

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Tiny:
    """`weights` to load, in the official layout or near it; None are installed or needless. `seconds` of a window."""

    weights: Path | None = None
    seconds: float | None = None
    options: dict[str, Any] = field(default_factory=dict)


def mule(folder: Path) -> Tiny:
    from test_mule import drawn

    layout = json.loads(np.load(DATA / "mule.npz")["tiny_layout"].tobytes())
    save_file(drawn(layout, model=1), folder / "mule.safetensors")
    return Tiny(folder / "mule.safetensors", 3.2)


def jukebox(folder: Path) -> Tiny:
    """Its context is 64 codes, 0.19 s."""
    from test_jukebox import FILES, written

    data = np.load(DATA / "jukebox.npz")
    parts = {
        file: {key.removeprefix(part): torch.from_numpy(data[key]) for key in data.files if key.startswith(part)}
        for part, file in FILES.items()
    }
    return Tiny(written(folder, parts), 0.15)


def musicnn(folder: Path) -> Tiny:
    """The published weights, where the package that has them is installed."""
    from test_musicnn import random_variables

    if find_spec("musicnn"):
        return Tiny(seconds=3.0)
    save_file(random_variables(), folder / "variables.safetensors")
    return Tiny(folder / "variables.safetensors", 3.0)


def vgg(folder: Path) -> Tiny:
    """The published weights, where the package that has them is installed."""
    from test_vgg import random_vgg_variables

    if find_spec("musicnn"):
        return Tiny(seconds=3.0)
    save_file(random_vgg_variables(), folder / "variables.safetensors")
    return Tiny(folder / "variables.safetensors", 3.0)


def musicfm(name: str) -> Callable[[Path], Tiny]:
    def made(folder: Path) -> Tiny:
        from conformers import musicfm_folder, tensors_in

        return Tiny(musicfm_folder(folder, tensors_in(np.load(DATA / "musicfm.npz")), name), 2.0)

    return made


def muq(folder: Path) -> Tiny:
    from conformers import MUQ, as_muq, muq_folder, tensors_in

    return Tiny(muq_folder(folder, as_muq(tensors_in(np.load(DATA / "musicfm.npz"))), MUQ), 2.0)


def muq_mulan(folder: Path) -> Tiny:
    """Its clips last 1 s."""
    from conformers import muq_folder, tensors_in
    from test_muq import MULAN

    return Tiny(muq_folder(folder, tensors_in(np.load(DATA / "muq_mulan.npz")), MULAN), 2.0)


def of_the_hub(data: str) -> Callable[[Path], Tiny]:
    """`pytorch_model.bin` and `config.json`."""

    def made(folder: Path) -> Tiny:
        arrays = np.load(DATA / f"{data}.npz")
        torch.save(_weights(arrays), folder / "pytorch_model.bin")
        (folder / "config.json").write_text(str(arrays["config"]))
        return Tiny(folder, 2.0)

    return made


def encodecmae(folder: Path) -> Tiny:
    """The layers share their second half, which the data hold once."""
    tensors = _weights(np.load(DATA / "encodecmae.npz"))
    for name in [name for name in tensors if name.endswith("norm1.weight")]:
        block = name.removesuffix("norm1.weight")
        first = re.sub(r"\d+\.$", "0.", block)
        for part in ("0.weight", "0.bias", "2.weight", "2.bias"):
            tensors[f"{block}ff_layer.{part}"] = tensors[f"{first}ff_layer.{part}"]
    torch.save({"state_dict": tensors}, folder / "model.pt")
    (folder / "config.json").write_text('{"num_encoder_heads": 4}')
    return Tiny(folder, 2.0)


def _weights(data: Any) -> dict[str, torch.Tensor]:
    keys = [key for key in data.files if key.startswith("weights/")]
    return {key.removeprefix("weights/"): torch.from_numpy(data[key]) for key in keys}


TINY: dict[str, Callable[[Path], Tiny]] = {
    "mfcc": lambda folder: Tiny(),
    "spectral": lambda folder: Tiny(),
    "musicnn-msd": musicnn,
    "musicnn-mtt": musicnn,
    "vgg-msd": vgg,
    "vgg-mtt": vgg,
    "mule": mule,
    "jukebox-5b": jukebox,
    "musicfm-msd": musicfm("msd"),
    "musicfm-fma": musicfm("fma"),
    "muq": muq,
    "muq-mulan": muq_mulan,
    "mert-95m": of_the_hub("mert"),
    "mert-330m": of_the_hub("mert"),
    "music2vec": of_the_hub("music2vec"),
    "encodecmae-base": encodecmae,
}


def loaded(name: str, tiny: Tiny) -> Encoder:
    return load(name, weights=tiny.weights, **tiny.options)

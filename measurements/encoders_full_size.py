"""Encoders of the published sizes on 30 s of noise, with random weights in the official layout.

Each runs in a process of its own: loading from a file as published, one window in float32, and the memory both took at
most. The time of a window is compared with the time of its arithmetic in bare matrix products, measured in the same
process by turns. Weights of one encoder take up to 2.7 GB in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from harness import machine, medians, seconds

from timbrec.encoders import load

PRODUCT = (3000, 1024, 4096)  # rows, inner and columns: a feed-forward layer's of 2 minutes
STATISTICS = {"melspec_2048_mean": 6.768444971712967, "melspec_2048_std": 18.417922652295623}


def drawn(name: str, shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    """Values with which hidden states neither vanish nor explode."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros(())
    if name.endswith(("running_var", "weight_g")) or (len(shape) == 1 and name.endswith("weight")):
        return 0.9 + 0.2 * torch.rand(shape, generator=rng)
    fan_in = math.prod(shape[1:]) if len(shape) > 1 else 100
    return torch.randn(shape, generator=rng) * (0.7 / math.sqrt(fan_in))


def conformer(codes: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of MusicFM's and MuQ's tensors, with the tensors for training that both have."""
    from timbrec.encoders.networks.conformer import ConformerNetwork, Sizes

    with torch.device("meta"):
        network = ConformerNetwork(Sizes())
    training = {
        "cls_token": (1024,),
        "linear.weight": (codes, 1024),
        "linear.bias": (codes,),
        "conformer.embed_positions.inv_freq": (32,),
        "conformer.pos_conv_embed.conv.weight_g": (1, 1, 128),
        "conformer.pos_conv_embed.conv.weight_v": (1024, 64, 128),
        "conformer.pos_conv_embed.conv.bias": (1024,),
    }
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} | training


def musicfm(folder: Path) -> None:
    """`pretrained_msd.pt` and `msd_stats.json`, 465 tensors as published."""
    layout = conformer(codes=4096) | {
        "quantizer_melspec_2048_0.codebook": (4096, 16),
        "quantizer_melspec_2048_0.random_projection": (512, 16),
        "preprocessor_melspec_2048.mel_stft.mel_scale.fb": (1025, 128),
        "preprocessor_melspec_2048.mel_stft.spectrogram.window": (2048,),
    }
    torch.save({"state_dict": tensors(layout, "model.")}, folder / "pretrained_msd.pt")
    (folder / "msd_stats.json").write_text(json.dumps(STATISTICS))


def muq(folder: Path) -> None:
    """`pytorch_model.bin` and `config.json`."""
    training = {"quantizer_melspec_2048.codebook": (8192, 16), "quantizer_melspec_2048.random_projection": (512, 16)}
    torch.save(tensors(conformer(codes=8192) | training, "model."), folder / "pytorch_model.bin")
    block = {"num_attention_heads": 16, "layer_norm_eps": 1e-5, "rotary_embedding_base": 10_000}
    config = {"encoder_depth": 12, "encoder_dim": 1024, "stat": STATISTICS, "w2v2_config": block}
    (folder / "config.json").write_text(json.dumps(config))


def muq_mulan(folder: Path) -> None:
    """`pytorch_model.bin` with the audio's tower, a stand-in for the text's, and `config.json`."""
    tower = tensors(conformer(codes=8192), "mulan.audio.model.model.")
    rest: dict[str, tuple[int, ...]] = {
        "mulan.audio.proj.weight": (768, 1024),
        "mulan.audio.proj.bias": (768,),
        "mulan.audio_to_latents.weight": (512, 768),
        "mulan.audio_to_latents.bias": (512,),
        "mulan.text.model.embeddings.word_embeddings.weight": (250_002, 768),
        "mulan.text_to_latents.weight": (512, 768),
        "mulan.contrast.temperatures": (1, 1, 1),
    }
    torch.save(tower | tensors(rest, ""), folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps({"mulan": {"clip_secs": 10, "sr": 24000}}))


def wav2vec(kind: str, **sizes: object) -> Callable[[Path], None]:
    """A maker of `pytorch_model.bin` and `config.json` of MERT or Music2Vec."""

    def make(folder: Path) -> None:
        import transformers

        config = getattr(transformers, f"{kind}Config")(**sizes)
        with torch.device("meta"):
            network = getattr(transformers, f"{kind}Model")(config)
        layout = {official(name): tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        torch.save(tensors(layout, ""), folder / "pytorch_model.bin")
        (folder / "config.json").write_text(config.to_json_string())

    return make


def encodecmae(folder: Path) -> None:
    """`model.pt`: one tensor for all blocks where they share it, and most of the tensors for training."""
    import transformers

    from timbrec.encoders.networks.encodecmae import EncodecMAENetwork, Sizes

    codec = transformers.EncodecModel(transformers.EncodecConfig()).encoder
    with torch.device("meta"):
        network = EncodecMAENetwork(Sizes(heads=12, codec=128, filters=32, dim=768, inner=4096, layers=10), codec)
    layout = {official(name): tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    layout |= {f"decoder.encoder_layers.0.att_layer.w{part}.weight": (768, 768) for part in "qkvo"}
    saved = tensors(layout, "")
    saved |= {
        name: saved[re.sub(r"layers\.\d+", "layers.0", name)]
        for name in saved
        if name.startswith("visible_encoder") and ".ff_layer." in name
    }
    torch.save({"state_dict": saved}, folder / "model.pt")


def official(name: str) -> str:
    """The official name of a tensor that transformers or PyTorch call otherwise."""
    name = name.replace("parametrizations.weight.original0", "weight_g").replace(
        "parametrizations.weight.original1", "weight_v"
    )
    if name.startswith("wav_encoder.layers."):
        name = name.replace(".layers.", ".model.model.").replace("conv.", "conv.conv.")
    return name


def tensors(layout: dict[str, tuple[int, ...]], prefix: str) -> dict[str, torch.Tensor]:
    """Random ones for a layout, the same at every call."""
    rng = torch.Generator().manual_seed(0)
    return {f"{prefix}{name}": drawn(name, shape, rng) for name, shape in layout.items()}


LARGE = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24}
OFFICIAL: dict[str, Callable[[Path], None]] = {
    "musicfm-msd": musicfm,
    "muq": muq,
    "muq-mulan": muq_mulan,
    "mert-95m": wav2vec("Hubert"),
    "mert-330m": wav2vec("Hubert", do_stable_layer_norm=True, **LARGE),
    "music2vec": wav2vec("Data2VecAudio"),
    "encodecmae-base": encodecmae,
}


def peak_gb() -> float:
    """The most memory this process has held so far, read-only pages of the file of weights included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def measure(name: str, folder: Path, rounds: int) -> None:
    """Print time and memory of one encoder."""
    started: list[object] = []
    loading = seconds(lambda: started.append(load(name, folder)))
    encoder, loaded = started[0], peak_gb()
    card = encoder.card
    window = np.random.default_rng(0).normal(0, 0.1, (1, round(card.window * card.rate))).astype(np.float32)
    vector = encoder.encode(window)
    peak = peak_gb()
    assert vector.shape == (1, card.dim), vector.shape
    assert np.isfinite(vector).all()
    rows, inner, columns = PRODUCT
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)
    taken = medians({"encode": lambda: encoder.encode(window), "product": lambda: left @ right}, rounds)
    product = 2e-9 * math.prod(PRODUCT) / taken["product"]
    floor = card.gflop / product
    print(
        f"{name}: {card.window:g} s of audio in {taken['encode']:.1f} s, "
        f"{taken['encode'] / floor:.2f} x its {card.gflop:,.0f} GFLOP in matrix products ({product:.0f} GFLOP/s); "
        f"loaded in {loading:.1f} s, {loaded:.1f} GB, {peak:.1f} GB when encoding"
    )


def main() -> None:
    """One process makes an encoder's weights, another measures it; without a task, this one starts them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(OFFICIAL), help=f"default: {', '.join(OFFICIAL)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        OFFICIAL[options.names[0]](options.make)
    elif options.measure:
        measure(options.names[0], options.measure, options.rounds)
    else:
        run(options.names, options.rounds)


def run(names: list[str], rounds: int) -> None:
    """Make and measure one after the other."""
    print(machine(), flush=True)
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            for step in ("--make", "--measure"):
                arguments = [sys.executable, __file__, name, step, folder, "--rounds", str(rounds)]
                subprocess.run(arguments, check=True)


if __name__ == "__main__":
    main()

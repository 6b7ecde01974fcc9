"""MULE's official file, a Keras archive of a functional graph, read without TensorFlow.

The archive holds the graph (config.json) and its variables (model.weights.h5). Neither names the parts of the network:
layers are named by class and number. The part follows from the position: on the way from the input to the output, the
layers with variables come in an order that the architecture fixes.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from timbrec.encoders.networks.mule import BRANCH, STAGES, Block, Convolution, MULENetwork, Sizes
from timbrec.encoders.weights.reading import damaged, load_strictly, weights_file
from timbrec.errors import ConfigError
from timbrec.types import Array

VARIABLES = {  # by class: names of a layer's variables in the file and in the network
    "WeightStandardization": {"vars/0": ".kernel", "vars/1": ".gain", "layer/vars/0": ".bias"},
    "Dense": {"vars/0": ".kernel", "vars/1": ".bias"},
    "ScalarMultiply": {"vars/0": ".skip_gain"},
}
Layer = dict[str, Any]
Group = dict[str, Array]  # a layer's variables in the file


def mule_network(tensors: Mapping[str, torch.Tensor], source: Path, final_activation: bool = True) -> MULENetwork:
    """The network with these weights, of their sizes. Raises ConfigError for missing or foreign tensors."""
    try:
        sizes = Sizes.of(tensors)
    except KeyError as error:
        raise ConfigError(
            f"{source} lacks tensors of mule", example=error.args[0], fix="Give the weights of mule."
        ) from error
    with torch.device("meta"):
        network = MULENetwork(sizes, final_activation)
    load_strictly(network, tensors, source, "mule")
    return network


def load_keras(path: Path) -> MULENetwork:
    """The network with the weights of a Keras archive.

    Raises ConfigError if the file is damaged or no such archive, if its graph is not MULE's in every size, stride and
    constant, or if h5py is not installed.
    """
    graph, groups = _read(path)
    flow = _flow(graph)
    variables = _variables(graph["layers"], groups)
    weighted = [layer for layer in flow if layer["name"] in variables]
    places = list(_places(weighted))
    if len(places) != len(weighted) or len(weighted) != sum(map(len, groups.values())):
        raise _other_graph(path)
    tensors: dict[str, torch.Tensor] = {}
    for place, layer in zip(places, weighted, strict=True):
        tensors |= {place + part: torch.from_numpy(value) for part, value in variables[layer["name"]].items()}
    network = mule_network(tensors, path, final_activation=flow[-1]["class_name"] == "Activation")
    if not _same_settings(network, dict(zip(places, weighted, strict=True)), flow):
        raise _other_graph(path)
    return network


def _read(path: Path) -> tuple[Layer, dict[str, list[Group]]]:
    """The graph, and the groups of variables of each class of layers."""
    with weights_file(path).open("rb") as file:
        zipped = file.read(2) == b"PK"
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))["config"], _groups(archive.read("model.weights.h5"))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        if zipped and not isinstance(error, KeyError):
            raise damaged(path) from error
        raise ConfigError(f"{path} is no Keras archive", fix="Give model.keras of sxmp-mule.") from error


def _groups(h5: bytes) -> dict[str, list[Group]]:
    """The groups of variables of each class of layers, in the order of their numbers."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ConfigError("reading a .keras file needs h5py", fix="Run `pip install 'timbrec[encoders]'`.") from error
    kinds: dict[str, dict[int, Group]] = defaultdict(lambda: defaultdict(dict))

    def take(name: str, item: Any) -> None:
        parts = re.fullmatch(r"(?:.*/)?(?!layer/)([a-z0-9_]+?)(?:_(\d+))?/((?:layer/)?vars/\d+)", name)
        if isinstance(item, h5py.Dataset) and parts and not name.startswith("optimizer/"):
            kinds[parts[1]][int(parts[2] or 0)][parts[3]] = np.asarray(item, np.float32)

    with h5py.File(io.BytesIO(h5)) as file:
        file.visititems(take)
    return {kind: [group for _, group in sorted(numbered.items())] for kind, numbered in kinds.items()}


def _variables(layers: list[Layer], groups: dict[str, list[Group]]) -> dict[str, Group]:
    """The variables of each layer with variables: the n-th layer of a class in the graph has the n-th group."""
    variables = {}
    for kind, parts in VARIABLES.items():
        with_variables = [layer for layer in layers if layer["class_name"] == kind and _has_variables(layer)]
        snake = re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()
        for layer, group in zip(with_variables, groups.get(snake, []), strict=False):
            variables[layer["name"]] = {parts.get(where, where): value for where, value in group.items()}
    return variables


def _has_variables(layer: Layer) -> bool:
    return bool(layer["config"].get("learnable", True))


def _flow(graph: Layer) -> list[Layer]:
    """The layers that the output depends on, each after its inputs, in the order of the inputs."""
    layers = {layer["name"]: layer for layer in graph["layers"]}
    sources = {name: list(_names(layer["inbound_nodes"])) for name, layer in layers.items()}
    order: dict[str, Layer] = {}
    stack = [graph["output_layers"][0][0]]
    while stack:
        waiting = next((source for source in sources[stack[-1]] if source not in order), None)
        if waiting is not None:
            stack.append(waiting)
        else:
            name = stack.pop()
            order[name] = layers[name]
    return list(order.values())


def _names(node: Any) -> Iterator[str]:
    """The layers named in `inbound_nodes`: every [name, 0, 0, ...], at a depth that depends on the class."""
    if isinstance(node, list) and len(node) > 2 and isinstance(node[0], str) and isinstance(node[1], int):
        yield node[0]
        node = node[3:]
    for part in node if isinstance(node, list) else node.values() if isinstance(node, dict) else ():
        yield from _names(part)


def _places(layers: list[Layer]) -> Iterator[str]:
    """The names in the network of the layers with variables, in the order that data reaches them."""
    for stem in ("slow_stem", "fast_stem"):
        yield from (f"{stem}.{number}" for number in range(4))
    # A stage starts with the convolution of 7 frames that strides the fast pathway.
    starts = [number for number, layer in enumerate(layers) if _convolution(layer).get("kernel_size") == [1, 7]]
    for stage, (start, end) in enumerate(pairwise([*starts, len(layers)])):
        dense = sum(layer["class_name"] == "Dense" for layer in layers[start:end])
        yield from (f"fusion.{stage}.conv_t", f"fusion.{stage}.conv_1x1")
        for pathway in ("slow", "fast"):
            for block in range(dense // 4):  # two in each block of each pathway
                parts = ["conv0", "conv1", "conv2", "conv3", "se.fc1", "se.fc2"]
                yield from (f"{pathway}.{stage}.{block}.{part}" for part in ["shortcut"] * (block == 0) + parts)
                yield f"{pathway}.{stage}.{block}"


def _convolution(layer: Layer) -> Layer:
    """The settings of the convolution in a layer, if there is one."""
    return layer["config"]["layer"]["config"] if layer["class_name"] == "WeightStandardization" else {}


def _same_settings(network: MULENetwork, placed: dict[str, Layer], flow: list[Layer]) -> bool:
    """Whether strides, groups and constants of the graph equal the network's."""
    modules = [(network.get_submodule(place), _convolution(layer)) for place, layer in placed.items()]
    convolutions = [(module, settings) for module, settings in modules if isinstance(module, Convolution)]
    scalars = [layer for layer in flow if layer["class_name"] == "ScalarMultiply" and not _has_variables(layer)]
    deviations = [module.deviation for module, _ in modules if isinstance(module, Block)]
    constants = [constant for deviation in deviations for constant in (1 / deviation, BRANCH)]
    return (
        len(network.slow) == STAGES
        and all(list(module.stride) == settings["strides"] for module, settings in convolutions)
        and all(module.groups == settings["groups"] for module, settings in convolutions)
        and np.array_equal(np.round([layer["config"]["init_gain"] for layer in scalars], 6), np.round(constants, 6))
    )


def _other_graph(path: Path) -> ConfigError:
    return ConfigError(f"{path} holds another network than MULE's", fix="Give model.keras of sxmp-mule.")

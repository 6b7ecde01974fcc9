"""Processes that train together, started by Ray Train on the nodes of a cluster."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from timbrec.errors import ConfigError, TimbrecError
from timbrec.machine.cluster import connected, nodes
from timbrec.machine.devices import use_threads
from timbrec.training.together import leading

_SECONDS = 2.0  # between calls of `watch`


def run_together(
    engine: str, processes: int, device: str, call: Callable[..., Any], *arguments: Any, watch: Callable[[], None]
) -> None:
    """Make a call in the first of several processes of a Ray cluster; its trainings divide among all of them.

    A process takes a GPU if `device` names one, or is "auto" and the cluster has as many; else it takes an equal share
    of the cores. `watch` is called every other second. Raises ConfigError for more processes than the cluster has GPUs
    or cores, and the TimbrecError of the call.
    """
    with connected(engine) as ray:
        gpus, cores = (int(sum(place.get(kind, 0) for place in nodes(ray))) for kind in ("GPU", "CPU"))
        gpu = device.startswith("cuda") or (device == "auto" and gpus >= processes)
        if processes > (limit := gpus if gpu else cores):
            raise ConfigError(
                f"{processes} processes were asked for, and the cluster has {limit} {'GPUs' if gpu else 'cores'}",
                fix=f"Use --processes {limit}." if limit else 'Choose `device: cpu`, or "auto".',
            )
        threads = 1 if gpu else cores // processes
        task = ray.remote(_trained).options(num_cpus=0)
        reference = task.remote(processes, gpu, threads, [call], arguments)
        while not ray.wait([reference], timeout=_SECONDS)[0]:
            watch()
        _raise_first(ray.get(reference))


def _trained(
    processes: int, gpu: bool, threads: int, call: Sequence[Callable[..., Any]], arguments: tuple[Any, ...]
) -> list[Exception]:
    """Run the processes, from within the cluster; returns their errors."""
    from ray.train import RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchConfig, TorchTrainer

    share = {"CPU": threads} | ({"GPU": 1} if gpu else {})
    with tempfile.TemporaryDirectory(prefix="timbrec-") as folder:
        trainer = TorchTrainer(
            _process,
            train_loop_config={"gpu": gpu, "threads": threads, "call": call[0], "arguments": arguments},
            scaling_config=ScalingConfig(num_workers=processes, use_gpu=gpu, resources_per_worker=share),
            torch_config=TorchConfig(backend="nccl" if gpu else "gloo"),
            run_config=RunConfig(storage_path=folder),
        )
        try:
            trainer.fit()
        except TrainingFailedError as error:
            return list(getattr(error, "worker_failures", {}).values()) or [error]
    return []


def _process(given: dict[str, Any]) -> None:
    """A process of the group: the first makes the call, the others serve its trainings."""
    from ray.train import get_context

    os.environ["GROUP_RANK"] = str(get_context().get_node_rank())  # Fabric reads it; Ray sets the others
    use_threads(given["threads"])
    with leading("cuda" if given["gpu"] else "cpu") as leads:
        if leads:
            given["call"](*given["arguments"])


def _raise_first(errors: Sequence[Exception]) -> None:
    """Raise the user's error, if there is any, else a ConfigError for the first error."""
    for error in errors:
        if isinstance(error, TimbrecError):
            raise error
    if errors:
        raise ConfigError(
            f"a process of the training failed ({type(errors[0]).__name__}: {str(errors[0])[:200]}); "
            "finished cells are stored",
            fix="Run the same command again: it goes on where it stopped.",
        ) from errors[0]

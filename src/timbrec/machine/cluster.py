"""Connections to a Ray cluster: started for the run or joined, and checked before work starts.

`timbrec[ray]` installs Ray. It is imported when a cluster is used, and nowhere else.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from timbrec.errors import ConfigError, listing
from timbrec.machine.devices import cores, free_memory, use_threads
from timbrec.machine.versions import versions

if TYPE_CHECKING:
    from types import ModuleType

_PREFIX = "ray://"
_SECONDS = 10.0  # for an address to answer
_HEALTH = 60.0  # for a head node to say that it is well, the start of a process included
_TRIES = 3  # of a client to get a server of its own from a busy head node
_NO_SERVER = ("client server failed", "Initialization failure from server")  # in the head node's answers
_CHECKED = ("timbrec", "code", "python", "torch", "numpy", "polars")
_STORE = (100 * 2**20, 4 * 2**30)  # least and most bytes of the object store of a cluster that is started here


def kind_of(engine: str) -> str:
    """The name of an engine without an address: `ray` for `ray://HOST:PORT`. Raises ConfigError for `local://...`."""
    kind, mark, _ = engine.partition("://")
    if mark and kind == "local":
        raise ConfigError("the engine `local` is this machine and takes no address", example=engine,
                          fix="Name a cluster: ray://HOST:10001.")  # fmt: skip
    return kind


@contextmanager
def session(engine: str) -> Iterator[None]:
    """Keep the cluster of an engine connected within the `with` block; engines other than Ray need none."""
    with connected(engine) if kind_of(engine) == "ray" else nullcontext():
        yield


@contextmanager
def connected(engine: str) -> Iterator[ModuleType]:
    """Connect to the cluster of `ray` or `ray://ADDRESS` and yield the module `ray`.

    `ray` starts a cluster on this machine and stops it at the end. `ray://HOST:PORT` is the address of a cluster's
    client server, `ray://auto` the cluster that this machine belongs to. Within another `connected`, the connection is
    shared. Raises ConfigError without Ray, for an address where no Ray answers, and for workers with other versions of
    timbrec (its code included), Python, torch, numpy or polars than here.
    """
    ray = _module()
    if ray.is_initialized():
        yield ray
        return
    _connect(ray, engine.removeprefix(_PREFIX))
    try:
        _refuse_other_versions(ray)
        yield ray
    finally:
        ray.shutdown()


def nodes(ray: ModuleType) -> list[dict[str, float]]:
    """The resources (`CPU`, `GPU`, `memory` in bytes) of every living node that can run tasks."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]


def on_every_node(ray: ModuleType, call: Callable[..., Any], *arguments: Any, gpu: bool = False) -> dict[str, Any]:
    """The result of a call on each node, by the node's host name and address; an exception counts as a result.

    With `gpu`, only nodes with a GPU run the call.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(call)
    waiting = {}
    for node in ray.nodes():
        if node["Alive"] and node["Resources"].get("GPU" if gpu else "CPU"):
            place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']}:{node['NodeManagerPort']})"
            waiting[name] = task.options(num_cpus=0, scheduling_strategy=place).remote(*arguments)
    return {name: _outcome(ray, reference) for name, reference in waiting.items()}


@contextmanager
def refusing_lost_work(ray: ModuleType) -> Iterator[None]:
    """Turn a full object store, a full disk below it, and repeatedly lost workers into a ConfigError."""
    lost = ray.exceptions
    try:
        yield
    except (lost.ObjectStoreFullError, lost.OutOfDiskError) as error:
        raise ConfigError(
            "the object store of Ray is full; finished work is stored",
            fix="Start Ray with a larger --object-store-memory, or free the disk that it spills to; then run again.",
        ) from error
    except (lost.WorkerCrashedError, lost.ActorDiedError, lost.NodeDiedError, lost.OutOfMemoryError) as error:
        raise ConfigError(
            f"Ray lost a worker several times in the same work ({type(error).__name__}: {_first_line(error)}); "
            "finished work is stored",
            fix="See the logs of Ray for the reason, such as memory; then run again.",
        ) from error


def streamed(ray: ModuleType, call: Callable[..., Iterator[Any]], *arguments: Any) -> Iterator[Any]:
    """The items that a generator yields; on `ray://HOST:PORT` it runs in the cluster.

    Ray Data does not run in a client of a cluster. No item may be None.
    """
    if not ray.util.client.ray.is_connected():
        yield from call(*arguments)
        return
    stream = ray.remote(_Stream).options(num_cpus=0).remote(call, *arguments)
    while (item := ray.get(stream.next.remote())) is not None:
        yield item


class _Stream:
    """A generator that runs in the cluster."""

    def __init__(self, call: Callable[..., Iterator[Any]], *arguments: Any) -> None:
        self._items = call(*arguments)

    def next(self) -> Any:
        """The next item; None at the end."""
        return next(self._items, None)


class Calls:
    """Calls whose results are fetched later: run at the time of fetching, or as tasks of a cluster with a core each.

    `ahead` is the number of calls to submit before fetching the first result.
    """

    def __init__(self, engine: str) -> None:
        self._ray = _module() if kind_of(engine) == "ray" else None
        self.ahead = 0 if self._ray is None else max(int(sum(place["CPU"] for place in nodes(self._ray))), 1)

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        """A function that returns the result of the call, or raises its error."""
        if self._ray is None:
            return partial(call, *arguments)
        return partial(_result, self._ray, self._ray.remote(_with_a_core).remote(call, *arguments))


def _with_a_core(call: Callable[..., Any], *arguments: Any) -> Any:
    use_threads(1)
    return call(*arguments)


def _result(ray: ModuleType, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise (error.cause or error) from None


def _outcome(ray: ModuleType, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        return error.cause or error
    except ray.exceptions.RayError as error:
        return error


def _module() -> ModuleType:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # a busy machine takes longer than the default
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its warnings are for Ray's own developers
    try:
        import ray
    except ImportError as error:
        raise ConfigError("the engine `ray` needs Ray", fix='Install it: pip install "timbrec[ray]".') from error
    return ray


def _join(ray: ModuleType, address: str, **options: object) -> None:
    """Join a cluster; try again where a busy head node did not start this client's server in time."""
    for left in reversed(range(_TRIES)):
        try:
            ray.init(address, **options)
            return
        except ConnectionError as error:
            if not left or not any(words in str(error) for words in _NO_SERVER):
                raise


def _connect(ray: ModuleType, address: str) -> None:
    quiet = {"logging_level": "ERROR", "configure_logging": False}
    if address == "ray":
        least, most = _STORE
        store = min(max(free_memory() // 5, least), most)
        try:
            ray.init("local", num_cpus=cores(), object_store_memory=store, include_dashboard=False, **quiet)
        except Exception as error:
            raise ConfigError(
                f"Ray could not be started on this machine: {_first_line(error)}",
                fix="See /tmp/ray/session_latest/logs, or use `--engine local`.",
            ) from error
        return
    if address != "auto":
        _refuse_silent(address)
    elif named := os.environ.get("RAY_ADDRESS"):
        _refuse_no_head(named)
    try:
        _join(ray, "auto" if address == "auto" else _PREFIX + address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise ConfigError(
            f"no Ray cluster could be joined at {address}: {_first_line(error)}",
            fix="Name the client server of the head node, ray://HOST:10001, or start Ray there: ray start --head.",
        ) from error


def _refuse_silent(address: str) -> None:
    """Raise ConfigError if nothing listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"{address!r} is no HOST:PORT", fix="For example: --engine ray://head:10001.")
    try:
        socket.create_connection((host, int(port)), timeout=_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"nobody answers at ray://{address} ({_first_line(error)})",
            fix="Check the address, and that `ray start --head` runs there.",
        ) from error


def _refuse_no_head(address: str) -> None:
    """Raise ConfigError if RAY_ADDRESS names no head node that answers: Ray itself would ask there for minutes."""
    if "://" in address or address in ("auto", "local"):
        return
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        healthy = subprocess.run(command, capture_output=True, check=False, timeout=_HEALTH).returncode == 0
    except subprocess.TimeoutExpired:
        healthy = False
    if not healthy:
        raise ConfigError("no Ray cluster answers at RAY_ADDRESS", example=address,
                          fix="Correct it or unset it; the port of a head node is 6379 by default.")  # fmt: skip


def _refuse_other_versions(ray: ModuleType) -> None:
    """Raise ConfigError if a node has other versions than this process, or no timbrec."""
    own = versions_here()
    differences = []
    for node, theirs in on_every_node(ray, versions_here).items():
        if not isinstance(theirs, dict):
            differences.append(f"{node} cannot run timbrec: {_first_line(theirs)}")
            continue
        other = [f"{name} {theirs.get(name)} (here {own[name]})" for name in own if theirs.get(name) != own[name]]
        if other:
            differences.append(f"{node} has {', '.join(other)}")
    if differences:
        raise ConfigError(
            f"workers differ from this machine: {'; '.join(differences[:3])}",
            count=len(differences),
            fix="Install the same versions on every node: results would not be comparable.",
        )


def versions_here() -> dict[str, str]:
    """Versions that must be equal on every node."""
    return {name: value for name, value in versions().items() if name in _CHECKED}


def _first_line(error: object) -> str:
    return listing([line for line in str(error).splitlines() if line.strip()][:1]) or type(error).__name__

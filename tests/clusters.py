"""A real Ray cluster of two nodes with a core each, on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_raylet_start_wait_time_s"] = "180"  # noqa: SIM112 - the name that Ray reads
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - workers of a busy machine would otherwise stand still
STORE = 100 * 2**20  # bytes of each node's object store


@contextmanager
def two_nodes(**head: int) -> Iterator[str]:
    """Start two nodes; yields the engine that joins them. Options are for the head node."""
    with mortal_node(**head) as (engine, _):
        yield engine


@contextmanager
def mortal_node(**head: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Start two nodes; yields the engine that joins them, and a function that kills the second node."""
    from ray.cluster_utils import Cluster

    options: dict[str, Any] = {"num_cpus": 1, "object_store_memory": STORE}
    cluster = Cluster(initialize_head=True, head_node_args=options | {"include_dashboard": False} | head)
    before = os.environ.get("RAY_ADDRESS")
    try:
        second = cluster.add_node(**options)
        cluster.wait_for_nodes()
        os.environ["RAY_ADDRESS"] = cluster.address
        yield "ray://auto", partial(cluster.remove_node, second, allow_graceful=False)
    finally:
        if before is None:
            os.environ.pop("RAY_ADDRESS", None)
        else:
            os.environ["RAY_ADDRESS"] = before
        cluster.shutdown()  # type: ignore[no-untyped-call]

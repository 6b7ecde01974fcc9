"""Ranking metrics: one file each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timbrec import catalog

if TYPE_CHECKING:
    from timbrec.metrics.shared.base import Metric


def metric_of(label: str) -> Metric:
    """The catalogue's metric of a label such as "ndcg@50"."""
    name, k = label.split("@")
    metric: Metric = catalog.load("metrics", name)(int(k))
    return metric

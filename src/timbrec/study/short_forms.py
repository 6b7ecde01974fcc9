"""Short forms of a config, expanded: a name in place of a part with settings, one value in place of a list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LISTS = ("recommenders", "cells", "probes", "seeds", "k", "metrics", "strata")
TABLES = ("interactions", "items")


def expanded(data: dict[str, Any]) -> dict[str, Any]:
    """Expand the short forms of a config.

    One value stands for a list with it: `k: 20` for `k: [20]`, `of: mert` for `of: [mert]`. A path stands for a table
    or for vectors: `interactions: plays.csv` for `interactions: {path: plays.csv}`, `mine: v.npy` for `mine: {vectors:
    v.npy}`. `- knn` stands for `- {use: knn}`, `metadata:` for all its columns, and `thinning` for a further entry of
    `cells`. Without `primary`, it is NDCG@50, or NDCG at the largest `k` where 50 is none of them. Values of other
    types are left to the checks of the config.
    """
    data = data | {key: _listed(data[key]) for key in LISTS if key in data}
    tables = {key: data[key] for key in TABLES if key in data}
    data |= {
        key: {"path": value} if isinstance(value, list) else _under("path", value) for key, value in tables.items()
    }
    if isinstance(data.get("encoders"), dict):
        data["encoders"] = {name: _under("vectors", value) for name, value in data["encoders"].items()}
    lists: dict[str, Any] = {
        key: _parts(data[key]) for key in ("recommenders", "cells") if isinstance(data.get(key), list)
    }
    if isinstance(data.get("probes"), list):
        lists["probes"] = [_probe(entry) for entry in data["probes"]]
    if "thinning" in data:
        data = dict(data)
        settings = data.pop("thinning")
        if settings not in (None, False):
            cell = {"use": "thinning"} | (settings if isinstance(settings, dict) else {})
            lists["cells"] = [*lists.get("cells", [{"use": "ranking"}]), cell]
    if isinstance(data.get("encoders"), dict) and data["encoders"].get("metadata", "absent") in (None, {}):
        lists["encoders"] = data["encoders"] | {"metadata": {"metadata": []}}
    if isinstance(data.get("representations"), dict):
        lists["representations"] = {name: _representation(value) for name, value in data["representations"].items()}
    if "primary" not in data and (largest := _largest(data.get("k"))):
        lists["primary"] = f"ndcg@{largest}"
    return data | lists


def _largest(values: Any) -> int | None:
    """The largest of some numbers without 50; None for other values."""
    usable = isinstance(values, list) and all(type(value) is int for value in values)
    return max(values, default=None) if usable and 50 not in values else None


def _listed(value: Any) -> Any:
    """A list of one value; lists, and no value, as they are."""
    if value is None or isinstance(value, list):
        return value
    return list(value) if isinstance(value, tuple) else [value]


def _under(key: str, value: Any) -> Any:
    """`{key: path}` for a path; other values as they are."""
    return {key: value} if isinstance(value, str | Path) else value


def _parts(entries: list[Any]) -> list[Any]:
    return [{"use": entry} if isinstance(entry, str) else entry for entry in entries]


def _probe(entry: Any) -> Any:
    """`- gtzan` stands for `- {use: gtzan}`, `- {labels: genres.csv}` for `- {use: labels, path: genres.csv}`."""
    if isinstance(entry, str):
        return {"use": entry}
    if not isinstance(entry, dict):
        return entry
    if "use" not in entry and "labels" in entry:
        path = entry["labels"]
        entry = {"use": "labels", "path": path, "label": Path(str(path)).stem} | {
            key: value for key, value in entry.items() if key != "labels"
        }
    if isinstance(entry.get("vectors"), dict):
        entry = entry | {"vectors": {name: _under("vectors", value) for name, value in entry["vectors"].items()}}
    return entry


def _representation(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    names = value.get("of")
    transforms = value.get("transforms", [])
    return value | {
        "of": names if isinstance(names, list) else [names],
        "transforms": _parts(transforms) if isinstance(transforms, list) else transforms,
    }

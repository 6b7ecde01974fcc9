"""Quality of what `recommend` gives: mixed lists by their share of new tracks, new listeners, and hubs.

    python measurements/recommend_quality.py RUN_OF_THE_DEMO HETREC_DATA [--users 300] [--hubs]

Prints Markdown tables for docs/recommend.md. KNN is fitted on the train part; lists of 10 for users of the test.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from harness.hetrec import hetrec_split

import timbrec
from timbrec.data.interactions import Interactions
from timbrec.data.split import Split
from timbrec.models.catalogue import catalogue_of
from timbrec.models.hubs import occurrences, skew
from timbrec.models.listeners import known_user
from timbrec.protocols import Content
from timbrec.recommenders import recommender
from timbrec.study.config import make_config
from timbrec.study.inputs import load_inputs
from timbrec.study.runs import Run

K = 10
SHARES: tuple[Any, ...] = (None, "auto", 0.0, 0.1, 0.2, 0.3, 0.5)


def model_of(split: Split, vectors: np.ndarray, train: Interactions) -> timbrec.Model:
    scorer = recommender("knn", {}).fit(train, Content(vectors), None, np.random.default_rng(0))
    return timbrec.Model.of(scorer, split.users, catalogue_of(split.items.ids), train, {"recommender": "knn"})


def relevant(pairs: Interactions, split: Split) -> dict[str, set[str]]:
    table: dict[str, set[str]] = {}
    for user, item in zip(split.users.take(pairs.user), split.items.take(pairs.item), strict=True):
        table.setdefault(user, set()).add(item)
    return table


def ndcg(listed: list[str], liked: set[str]) -> float:
    gains = [1 / np.log2(place + 2) for place, item in enumerate(listed) if item in liked]
    return sum(gains) / sum(1 / np.log2(place + 2) for place in range(min(len(liked), K)))


def recall(listed: list[str], liked: set[str]) -> float:
    return len(liked & set(listed)) / len(liked)


def mean(values: Iterator[float]) -> str:
    figures = list(values)
    return f"{np.mean(figures):.3f} ±{1.96 * np.std(figures) / max(len(figures), 1) ** 0.5:.3f}"


def mixed(model: timbrec.Model, hot: dict[str, set[str]], cold: dict[str, set[str]], users: int) -> None:
    print("\n| share of new tracks | hot NDCG@10 | cold recall@10 | new tracks listed |\n|---|---|---|---|")
    of_hot, of_cold = (sorted(table)[:users] for table in (hot, cold))
    for share in SHARES:
        lists = {user: model.recommend(user, k=K, new_share=share, reasons=0) for user in {*of_hot, *of_cold}}
        items = {user: table["item"].to_list() for user, table in lists.items()}
        new = np.mean([table["new"].mean() for table in lists.values()])
        name = "scores as they are" if share is None else "calibrated" if share == "auto" else f"{share:.0%}"
        figures = (mean(ndcg(items[u], hot[u]) for u in of_hot), mean(recall(items[u], cold[u]) for u in of_cold))
        print(f"| {name} | {figures[0]} | {figures[1]} | {new:.0%} |", flush=True)


def folded_in(split: Split, vectors: np.ndarray, hot: dict[str, set[str]], users: int) -> None:
    """The same users once as users of the model, and once left out of it and folded in by their history."""
    train = split.test.train
    held = np.zeros(train.n_users, bool)
    held[::5] = True
    whole, rest = model_of(split, vectors, train), model_of(split, vectors, train.where(~held[train.user]))
    names = [user for user in split.users.take(np.flatnonzero(held)) if user in hot][:users]
    histories = {user: whole.items.take(known_user(user, whole.users, whole.played)[1]).to_list() for user in names}
    lists = {
        "known to the model": {user: whole.recommend(user, k=K, kind="all", reasons=0) for user in names},
        "folded in": {user: rest.recommend(history=histories[user], k=K, reasons=0) for user in names},
    }
    print("\n| listeners | hot NDCG@10 |\n|---|---|")
    for name, tables in lists.items():
        print(f"| {name} ({len(names)}) | {mean(ndcg(tables[u]['item'].to_list(), hot[u]) for u in names)} |")
    same = np.mean(
        [len({*lists["known to the model"][u]["item"]} & {*lists["folded in"][u]["item"]}) / K for u in names]
    )
    print(f"\n{same:.1%} of the tracks are in both lists.", flush=True)


def hubs(name: str, model: timbrec.Model, hot: dict[str, set[str]], cold: dict[str, set[str]], users: int) -> None:
    row = [name, f"{skew(occurrences(np.asarray(model.index.items))):.1f}"]  # type: ignore[union-attr]
    for kind, table in (("known", hot), ("new", cold)):
        names = sorted(table)[:users]
        values = []
        for correction in (False, "csls", "mutual"):
            lists = [model.recommend(u, k=K, kind=kind, hubs=correction, reasons=0)["item"].to_list() for u in names]
            values.append(np.array([ndcg(listed, table[u]) for listed, u in zip(lists, names, strict=True)]))
        row.append(f"{values[0].mean():.3f}")
        gains = (values[1] - values[0], values[2] - values[0])
        row += [f"{gain.mean():+.3f} ±{1.96 * gain.std() / len(gain) ** 0.5:.3f}" for gain in gains]
    print(f"| {' | '.join(row)} |", flush=True)


def worlds(run: Path, hetrec: Path) -> Iterator[tuple[str, Split, dict[str, np.ndarray]]]:
    config = make_config(Run(run).facts["config"])
    inputs = load_inputs(config)
    yield "demo", inputs.split, {name: inputs.vectors(inputs.representation(name)) for name in inputs.sources}
    split, content = hetrec_split(hetrec, 0, 5)
    yield "HetRec", split, {"tags": content.vectors}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("hetrec", type=Path)
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--hubs", action="store_true", help="hubs alone")
    chosen = parser.parse_args()
    for world, split, vectors in worlds(chosen.run, chosen.hetrec):
        split = replace(split, test=replace(split.test, cold_candidates="catalogue"))
        hot, cold = relevant(split.test.hot, split), relevant(split.test.cold, split)
        for name, values in [] if chosen.hubs else list(vectors.items())[:2]:
            print(f"\n## {world}, {name}")
            mixed(model_of(split, values, split.test.train), hot, cold, chosen.users)
            folded_in(split, values, hot, chosen.users)
        print(f"\n## {world}: hubs\n")
        heads = ["encoder", "skew", *(f"{name} NDCG@10 | CSLS | mutual proximity" for name in ("hot", "cold"))]
        print(f"| {' | '.join(heads)} |\n|---|---|---|---|---|---|---|---|")
        for name, values in vectors.items():
            hubs(name, model_of(split, values, split.test.train), hot, cold, chosen.users)


if __name__ == "__main__":
    main()

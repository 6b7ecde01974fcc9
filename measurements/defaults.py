"""How the defaults of the recommenders were found: one setting at a time around the default, on validation alone.

Every fold is the validation fold of a planted world or of HetRec; no test part is looked at. Training stops on the one
half of the fold's users and is measured on the other. Results are kept in `--out`, one line a fit, and are not made
again; the tables of docs/recommender-measurements.md are printed from them.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from scipy.stats import t

from timbrec.data.cuts import by_items
from timbrec.data.split import Fold, Scenario
from timbrec.data.vocabulary import Vocabulary
from timbrec.datasets.hetrec import HetRec
from timbrec.protocols import Content
from timbrec.ranking.scorers import Scorer
from timbrec.recommenders import recommender
from timbrec.training import validate
from timbrec.worlds.planted import PlantedWorld

SCENARIOS: tuple[Scenario, ...] = ("hot", "cold", "mixed")
QUALITY = 0.8  # of the planted encoders
LISTENERS = 8  # of a HetRec artist at least, which bounds the time of a fit

TRIED: dict[str, list[dict[str, Any]]] = {
    "knn": [
        {"scale": "none"}, {"scale": "centre"}, {"scale": "standardise"}, {"profile": "raw"}, {"similarity": "dot"},
        {"weights": "log"},
    ],
    "ease": [{"l2": 20.0}, {"l2": 50.0}, {"l2": 100.0}, {"l2": 200.0}, {"l2": 500.0}, {"l2": 1000.0}],
    "elsa": [
        {"lr": 0.01}, {"lr": 0.03}, {"factors": 64}, {"factors": 256}, {"batch": 32}, {"batch": 512},
        {"targets": "catalogue"}, {"patience": 5},
    ],
    "shallow": [
        {"scale": "none"}, {"scale": "centre"}, {"lr": 1e-3}, {"lr": 3e-3}, {"batch": 1_000}, {"batch": 3_000},
        {"negatives": 20}, {"negatives": 50}, {"negative_users": "any"}, {"margin": 0.1}, {"margin": 0.4},
        {"confidence": True}, {"width": 32}, {"width": None}, {"lr": 1e-3, "width": None},
        {"learned": ["users", "items"]}, {"learned": ["items"]},
        {"stop_on": "hot"}, {"stop_on": "cold"}, {"patience": 8}, {"patience": 16}, {"average": True},
    ],
    "contrastive": [
        {"scale": "none"}, {"scale": "centre"}, {"lr": 3e-3}, {"lr": 3e-4}, {"batch": 128}, {"batch": 1_000},
        {"loss": "ADCLW"}, {"loss": "DCL"}, {"loss": "DCLW"}, {"loss": "SDCL"}, {"loss": "SDCLW"},
        {"temperature": 0.05}, {"temperature": 0.2}, {"width": 256}, {"factors": 128}, {"elsa_epochs": 3},
        {"stop_on": "cold"}, {"stop_on": "hot"}, {"patience": 5},
        {"batch": 128, "width": 256}, {"average": True},
    ],
    "hybrid": [
        {"scale": "none"}, {"scale": "centre"}, {"lr": 1e-3}, {"lr": 3e-3}, {"batch": 32}, {"batch": 512},
        {"width": 64}, {"width": 768}, {"targets": "catalogue"}, {"stop_on": "cold"}, {"stop_on": "hot"},
        {"patience": 5}, {"batch": 32, "lr": 3e-3}, {"average": True},
    ],
    "bert4rec": [
        {"scale": "none"}, {"scale": "centre"}, {"lr": 1e-3}, {"lr": 3e-4}, {"batch": 8}, {"batch": 32}, {"batch": 128},
        {"norm": "after"}, {"positions": "start"}, {"start": "random"}, {"mask": 0.2}, {"mask": 0.6}, {"width": 64},
        {"dropout": 0.3}, {"layers": 2}, {"targets": "catalogue"}, {"learned": ["items"]}, {"stop_on": "cold"},
        {"average": False}, {"patience": 6}, {"patience": 8, "least_gain": 0.0},
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A validation fold dealt in two by users: training stops on the one part, the other is measured."""

    stop: Fold
    judge: Fold
    content: Content

    @classmethod
    def of(cls, fold: Fold, content: Content, seed: int) -> Case:
        stops = np.random.default_rng([seed, 1]).random(fold.train.n_users) < 0.5
        parts = (
            Fold(fold.train, *(half.where(stops[half.user] == side) for half in (fold.hot, fold.cold)))
            for side in (True, False)
        )
        return cls(*parts, content)


@cache
def case(name: str, seed: int, data: Path | None) -> Case:
    """By name: `plain` (64 dimensions, normal), `rough` (256, unequal scales and heavy tails), or `hetrec`."""
    if name == "hetrec":
        assert data is not None
        dataset = HetRec(data / "hetrec_lastfm", seed=seed)
        log, vectors = dataset.events(), dataset.vectors()["tags-128"]
        count = np.bincount(log.table["item"].to_numpy(), minlength=len(log.items))
        kept = log.items.ids.gather(np.flatnonzero(count >= LISTENERS))
        items = Vocabulary(kept.filter(kept.is_in(vectors.ids.implode())))
        fold = by_items(log.restricted_to(items), seed).validation
        return Case.of(fold, Content(vectors.aligned(items.ids)), seed)
    world = PlantedWorld(400, 500, dim=64 if name == "plain" else 256, seed=seed, rough=float(name == "rough"))
    return Case.of(world.split.validation, Content(world.vectors(QUALITY)), seed)


def measure(name: str, settings: dict[str, Any], world: str, seed: int, data: Path | None) -> dict[str, Any]:
    """Fit once; NDCG@50 of the users that training did not stop on."""
    world_case, fitted = case(world, seed, data), recommender(name, settings)
    began, used = time.perf_counter(), time.process_time()
    scorer = fitted.fit(world_case.stop.train, world_case.content, world_case.stop, np.random.default_rng(seed))
    row = {"seconds": round(time.perf_counter() - began, 2), "cpu": round(time.process_time() - used, 2)}
    row |= {"epochs": scorer.facts.get("epochs trained"), "best": scorer.chosen.get("epochs")}
    return row | {half: value(scorer, world_case.judge, half) for half in SCENARIOS}


def value(scorer: Scorer, fold: Fold, half: Scenario) -> float | None:
    return validate(scorer, fold, half) if scorer.can_rank_cold or half == "hot" else None


def worlds_of(name: str, worlds: list[str]) -> list[str]:
    """Without content `plain` and `rough` are the same."""
    return worlds if recommender(name, {}).uses_content else [item for item in worlds if item != "plain"]


def key(name: str, settings: dict[str, Any], world: str, seed: int) -> str:
    return json.dumps([name, asdict(recommender(name, settings)), world, seed])


def results(out: Path) -> dict[str, dict[str, Any]]:
    """The stored results, by key."""
    path = out / "defaults.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {row["key"]: row for row in map(json.loads, lines)}


def run(
    names: list[str], worlds: list[str], seeds: int, data: Path | None, out: Path, only: list[dict[str, Any]]
) -> None:
    """Measure all missing results."""
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        for settings in only or [{}, *TRIED.get(name, [])]:
            for seed in range(1, seeds + 1):
                for world in worlds_of(name, worlds):
                    this = key(name, settings, world, seed)
                    if this in results(out):
                        continue
                    row = {"key": this} | measure(name, settings, world, seed, data)
                    with (out / "defaults.jsonl").open("a") as file:
                        file.write(json.dumps(row) + "\n")
                    print(name, settings, world, seed, {part: row[part] for part in row if part != "key"}, flush=True)


def compared(name: str, settings: dict[str, Any], stored: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Mean NDCG@50 per world and half, and the mean over folds of log(setting / default), hot and cold averaged, with
    its t interval over the folds that both have."""
    cells: dict[str, list[float]] = {}
    ratios, cost = [], []
    for world, seed in product(worlds_of(name, ["plain", "rough", "hetrec"]), range(1, 20)):
        item, base = (stored.get(key(name, changed, world, seed)) for changed in (settings, {}))
        if item is None or base is None:
            continue
        halves = [half for half in ("hot", "cold") if item[half] is not None]
        for half in halves:
            cells.setdefault(f"{world} {half}", []).append(item[half])
        ratios.append(np.mean([np.log(item[half] / base[half]) for half in halves]))
        cost.append(np.log(max(item["cpu"], 0.01) / max(base["cpu"], 0.01)))
    row: dict[str, Any] = {"setting": ", ".join(f"{k} = {v}" for k, v in settings.items()) or "default"}
    row |= {cell: f"{np.mean(values):.4f}" for cell, values in cells.items()}
    if settings:
        row["against the default"] = f"{100 * np.mean(ratios):+.1f} %"
        row["time"] = f"x {np.exp(np.mean(cost)):.2f}"
    if settings and len(ratios) > 2:
        half = t.ppf(0.975, len(ratios) - 1) * np.std(ratios, ddof=1) / np.sqrt(len(ratios))
        row["against the default"] = f"{100 * np.mean(ratios):+.1f} ± {100 * half:.1f} %"
    return row | {"folds": len(ratios)}


def table(name: str, out: Path) -> pl.DataFrame:
    stored = results(out)
    rows = [compared(name, settings, stored) for settings in [{}, *TRIED.get(name, [])]]
    return pl.DataFrame([row for row in rows if row["folds"]], infer_schema_length=None)


def show(title: str, frame: pl.DataFrame) -> None:
    with pl.Config(tbl_formatting="ASCII_MARKDOWN", tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True,
                   tbl_rows=-1, tbl_cols=-1, tbl_width_chars=250, fmt_str_lengths=60):  # fmt: skip
        print(f"\n### {title}\n\n{frame.fill_null('')}\n")


def main() -> None:
    outside = os.environ.get("TIMBREC_TEST_DATA")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(TRIED))
    parser.add_argument("--data", type=Path, default=Path(outside, "data") if outside else None)
    parser.add_argument("--out", type=Path, default=Path("defaults"))
    parser.add_argument("--worlds", nargs="+", default=["plain", "rough", "hetrec"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", type=json.loads, default=[], help="settings in JSON; all by default")
    parser.add_argument("--table", action="store_true", help="print the tables, measure nothing")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    worlds = [item for item in chosen.worlds if item != "hetrec" or chosen.data]
    if not chosen.table:
        run(chosen.names, worlds, chosen.seeds, chosen.data, chosen.out, chosen.only)
    for name in chosen.names:
        show(name, table(name, chosen.out))


if __name__ == "__main__":
    main()

"""Evidence that real listening data give, and its limits: the tables of docs/real-data.md.

The data sets are no part of this project. `--data` names the folder that holds them, under the names used below.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from harness.hetrec import hetrec_split
from scipy.stats import t

from timbrec import bench
from timbrec.data.cuts import tamm2026
from timbrec.data.events import Events
from timbrec.data.interactions import Interactions
from timbrec.data.split import SCENARIOS, Fold, Split, Task
from timbrec.datasets.hetrec import HetRec
from timbrec.datasets.lastfm_1k import LastFM1K
from timbrec.datasets.m4a_onion import M4AOnion
from timbrec.datasets.taste_profile import TasteProfile
from timbrec.errors import CannotRankError, DataError
from timbrec.metrics.hit_rate import HitRate
from timbrec.metrics.ndcg import NDCG
from timbrec.metrics.recall import Recall
from timbrec.metrics.shared.base import Outcome
from timbrec.protocols import Content, Recommender, Scorer
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import TopK, rank
from timbrec.ranking.scorers import DotScorer
from timbrec.recommenders import recommender
from timbrec.recommenders.random import RandomScorer
from timbrec.store import VectorSource
from timbrec.store.vectors import Vectors
from timbrec.study.controls import vectors_of
from timbrec.study.fitting import answer

SHOWN = ["recall@20", "hitrate@50", "ndcg@50"]
KEY = ["scenario", "encoder", "recommender"]


def hetrec(data: Path, out: Path, splits: int) -> None:
    """Plays of half of the users, by the tags of the other half, over several halves and held-out artists."""
    knn = ["knn", {"use": "knn", "scale": "centre", "label": "knn-centred"}]
    dot = [{"use": "knn", "similarity": "dot", "label": "most tagged"}]
    by_tags, by_count = [], []
    for seed in range(splits):
        dataset = HetRec(data / "hetrec_lastfm", seed=seed, dims=(8, 32, 128))
        log, split = dataset.events(), {"protocol": "item-holdout", "seed": seed}
        by_tags.append(study(out / f"hetrec-{seed}", log, dataset.vectors(), split=split, recommenders=knn))
        counts = {"taggers": taggers(dataset)}
        by_count.append(study(out / f"hetrec-{seed}-taggers", log, counts, split=split, recommenders=dot))
    tags, counts = pl.concat(by_tags), pl.concat(by_count).filter(pl.col("encoder").is_not_null())
    title = f"Means over {splits} halves and splits ± the t interval over them; the rest is of {SHOWN[-1]}"
    show(title, over_splits(tags, SHOWN))
    show("Cold artists in mixed lists", over_splits(tags, ["cold-share@20", "cold-recall@20"]))
    show("One list for everyone: the artists that most of the other half have tagged", over_splits(counts, SHOWN))
    show("tags-128 / knn: half the width of a run's own interval, 1.96 standard deviations over splits", widths(tags))


TRAINED = ["random", "popularity", "knn", "shallow", "contrastive", "hybrid", "elsa", "ease", "bert4rec"]


def hetrec_trained(data: Path, out: Path, splits: int, listeners: int = 1) -> None:
    """All recommenders on tags-128 and on its vectors dealt at random, over halves and held-out artists as above.

    The settings are the default ones. Artists with fewer `listeners` are left out before the split. One seed per split.
    Finished runs lie in `out` and are never repeated.
    """
    rows, folder = [], out / f"hetrec-trained-{listeners}"
    for seed in range(splits):
        split, content = hetrec_split(data, seed, listeners)
        for name in TRAINED:
            part = recommender(name, {})
            for control in ("real", "shuffled") if part.uses_content else ("real",):
                file = folder / f"{seed}-{name}-{control}.parquet"
                if not file.exists():
                    progress(f"{name} on {control} vectors", seed, splits)
                    dealt = vectors_of(control, content.vectors, split.test.train.items, seed)
                    folder.mkdir(parents=True, exist_ok=True)
                    judged(part, split, Content(dealt), seed).write_parquet(file)
                facts = {"recommender": name, "vectors": control if part.uses_content else "none", "split": seed}
                rows.append(
                    pl.read_parquet(file).with_columns(pl.lit(value).alias(key) for key, value in facts.items())
                )
    values = pl.concat(rows)
    paired = against(values, {"popularity": ("popularity", "none"), "knn": ("knn", "real"), "elsa": ("elsa", "none")})
    show(f"NDCG@50, means over {splits} halves and splits ± the t interval over them; differences paired", paired)
    show("The last of the splits", split.describe().select("part", "rows", "users", "items"))
    show("Epochs chosen on validation", values.group_by("recommender", "vectors").agg(pl.col("epochs").mean()))


def judged(part: Recommender, split: Split, content: Content, seed: int) -> pl.DataFrame:
    """NDCG@50 of every half that the recommender can rank, fitted as `timbrec bench` does."""
    scorer, chosen = fitted(part, split, content, seed)
    rows = []
    for scenario in SCENARIOS:
        task = split.test.task(scenario)
        with suppress(CannotRankError):
            lists = answer(scorer, task, split.test, 50, seed)
            values = outcome(lists.items, task, split.test.train)
            rows.append({"scenario": scenario, "ndcg": NDCG(50).value(values), "epochs": chosen.get("epochs")})
    return pl.DataFrame(rows, schema={"scenario": pl.String, "ndcg": pl.Float64, "epochs": pl.Int64})


def fitted(part: Recommender, split: Split, content: Content, seed: int) -> tuple[Scorer, dict[str, Any]]:
    """The scorer that serves, and the settings that validation chose."""
    chosen: dict[str, Any] = {}
    if part.validates:
        first = part.fit(split.validation.train, content, split.validation, np.random.default_rng(seed))
        chosen = first.chosen
    return replace(part, **chosen).fit(split.test.train, content, None, np.random.default_rng(seed)), chosen


def against(values: pl.DataFrame, others: dict[str, tuple[str, str]]) -> pl.DataFrame:
    """Per half, recommender and vectors: the mean over splits, and by how much it is above some others."""
    keys = ["scenario", "recommender", "vectors"]
    columns = {"NDCG@50": values}
    for title, (name, vectors) in others.items():
        other = values.filter((pl.col("recommender") == name) & (pl.col("vectors") == vectors))
        other = other.select("scenario", "split", other="ndcg")
        joined = values.join(other, on=["scenario", "split"]).with_columns(ndcg=pl.col("ndcg") - pl.col("other"))
        columns[f"above {title}"] = joined.filter(~((pl.col("recommender") == name) & (pl.col("vectors") == vectors)))
    cells = [rows.group_by(keys).agg(interval("ndcg").alias(title)) for title, rows in columns.items()]
    table = cells[0].join(values.group_by(keys).agg(best=pl.col("ndcg").mean()), on=keys)
    for more in cells[1:]:
        table = table.join(more, on=keys, how="left")
    return table.sort("scenario", "best", descending=[False, True]).drop("best")


def interval(column: str) -> pl.Expr:
    """Mean ± half the width of its 95 % t interval, as text."""
    n = pl.len()
    quantile = n.map_batches(
        lambda counts: pl.Series(t.ppf(0.975, counts.to_numpy() - 1)), pl.Float64, returns_scalar=True
    )
    error = pl.col(column).std() * quantile / n.sqrt()
    return pl.format("{} ± {}", pl.col(column).mean().round(4), error.round(4))


def taggers(dataset: HetRec) -> Vectors:
    """One number per artist: how many users of the half that is not evaluated have tagged it."""
    tags = dataset.tag_events()
    evaluated = dataset.events().users.rows(tags.users.ids) >= 0
    others = tags.table.filter(~pl.Series(evaluated).gather(tags.table["user"])).unique(["user", "item"])
    counts = others.group_by("item").len("users").sort("item")
    return Vectors(tags.items.ids.gather(counts["item"]), counts.select("users").to_numpy())


def over_splits(summary: pl.DataFrame, metrics: list[str]) -> pl.DataFrame:
    """A column per metric, mean ± t interval over the splits, and the last metric's chance, controls and lift."""
    rows = summary.filter(pl.col("metric").is_in(metrics), pl.col("value").is_not_null())
    runs = int(rows.group_by(*KEY, "metric").len()["len"].max())
    error = pl.col("value").std() * (t.ppf(0.975, runs - 1) / np.sqrt(runs))
    cell = pl.format("{} ± {}", pl.col("value").mean().round(4), error.round(4))
    cells = rows.group_by(*KEY, "metric", maintain_order=True).agg(cell=cell).pivot("metric", index=KEY, values="cell")
    last = rows.filter(pl.col("metric") == metrics[-1]).group_by(KEY)
    means = last.agg(pl.col("chance", "shuffled", "gaussian", "lift").mean(), best=pl.col("value").mean())
    table = cells.join(means, on=KEY, nulls_equal=True).sort("scenario", "best", descending=[False, True])
    return table.select(*KEY, *metrics, "chance", "shuffled", "gaussian", "lift")


def widths(summary: pl.DataFrame) -> pl.DataFrame:
    """Intervals of single runs, beside the spread of values over other halves and other held-out artists."""
    best = (pl.col("encoder") == "tags-128") & (pl.col("recommender") == "knn")
    rows = summary.filter(best, pl.col("metric").is_in(SHOWN))
    return rows.group_by("scenario", "metric", maintain_order=True).agg(
        ((pl.col("high") - pl.col("low")) / 2).mean().alias("half width"),
        (1.96 * pl.col("value").std()).alias("1.96 sd"),
    )


AUDIO = [
    "acousticness",
    "danceability",
    "duration_ms",
    "energy",
    "instrumentalness",
    "liveness",
    "loudness",
    "speechiness",
    "tempo",
    "valence",
    "mode",
]  # fmt: skip - `key` is left out: it is a circle
PRESET = ("shallow", "contrastive", "hybrid", "bert4rec")  # trained on content
PAIRS = [("tags-and-audio", "tags-32"), ("tags-and-shuffled", "tags-32"), ("tags-and-audio", "tags-and-shuffled"),
         ("audio", "shuffled-audio"), ("audio", "taggers")]  # fmt: skip


def hetrec_audio(
    data: Path, out: Path, splits: int, recommenders: tuple[str, ...] = ("knn",), budget: str = "full",
    preset: str | None = None,
) -> None:  # fmt: skip
    """Tags, audio features, and both side by side, on the artists that have both; a tenth of them is cold.

    `shuffled-audio` gives the audio vector of each artist to another artist. `taggers` is metadata without content: the
    number of users of the other half who tagged the artist. With `budget` quick, it is left out; with a `preset` for
    the trained recommenders, shuffled audio is, too, and there is one seed.
    """
    table = pl.read_csv(data / "hetrec_audio" / "artist_audio.csv")
    ids, matrix = table["artistID"].cast(pl.String), table.select(AUDIO).to_numpy()
    matrix = ((matrix - matrix.mean(0)) / matrix.std(0)).astype(np.float32)
    summaries, paired = [], []
    for seed in range(splits):
        dataset = HetRec(data / "hetrec_lastfm", seed=seed, dims=(32,))
        dealt = matrix[np.random.default_rng(seed).permutation(len(matrix))]
        sources = dataset.vectors() | {"audio": Vectors(ids, matrix), "shuffled-audio": Vectors(ids, dealt)}
        sources |= {"taggers": taggers(dataset)} if budget == "full" else {}
        fused = {
            "tags-and-audio": {"of": ["tags-32", "audio"]},
            "tags-and-shuffled": {"of": ["tags-32", "shuffled-audio"]},
        }
        if preset:
            del sources["shuffled-audio"], fused["tags-and-shuffled"]
        settings: dict[str, Any] = {
            "budget": budget,
            "split": {"protocol": "item-holdout", "seed": seed}, "representations": fused,
            "seeds": [0] if preset else [0, 1],
            "recommenders": [{"use": name, "preset": preset} if preset and name in PRESET else name
                             for name in recommenders],
        }  # fmt: skip
        folder = out / f"hetrec-audio-{'-'.join([*recommenders, *filter(None, [preset])])}-{seed}"
        summaries.append(study(folder, dataset.events(), sources, **settings))
        rows = pl.read_csv(folder / "run" / "differences.csv")
        paired += [differences(rows, recommender, seed) for recommender in recommenders]
    title = f"Means over {splits} halves and splits ± the t interval over them; the rest is of {SHOWN[-1]}"
    show(title, over_splits(pl.concat(summaries), SHOWN))
    show("Paired differences of each run, with the run's own simultaneous intervals", pl.concat(paired))
    over = pl.concat(paired).group_by("scenario", "recommender", "first", "second", maintain_order=True)
    show("The same over the splits", over.agg(interval("difference"), (pl.col("low") > 0).sum().alias("runs above 0")))


def differences(rows: pl.DataFrame, recommender: str, seed: int) -> pl.DataFrame:
    """The differences of PAIRS under a recommender, first minus second."""
    names = {f"{first} / {recommender}": first for pair in PAIRS for first in pair}
    rows = rows.filter(pl.col("first").is_in(list(names)), pl.col("second").is_in(list(names)))
    rows = rows.with_columns(pl.col("first", "second").replace_strict(names))
    values = {"difference": -pl.col("difference"), "low": -pl.col("high"), "high": -pl.col("low")}
    turned = rows.select("scenario", first="second", second="first", **values)
    order = pl.DataFrame(PAIRS, schema=["first", "second"], orient="row")
    both_ways = pl.concat([rows.select(turned.columns), turned])
    chosen = order.join(both_ways, on=["first", "second"], maintain_order="left")  # without pairs that did not run
    return chosen.select("scenario", pl.lit(recommender).alias("recommender"), "first", "second", "difference", "low",
                         "high", pl.lit(seed).alias("split"))  # fmt: skip


def hetrec_tags(data: Path, out: Path, splits: int) -> None:
    """The study's split of the dated tags: only row counts, since the vectors are made of these same tags."""
    tags = HetRec(data / "hetrec_lastfm").tag_events()
    first = tags.table.group_by("user", "item").agg(pl.col("time").min(), pl.col("plays").sum())
    rows = []
    for name, log in (("all tags", tags), ("first tags", Events(first, tags.users, tags.items))):
        for months, end in ((1, datetime(2010, 12, 1)), (6, datetime(2011, 5, 1))):
            parts = tamm2026(log, datetime(2009, 11, 1), datetime(2010, 11, 1), end).parts()
            counts = {part: len(pairs) for part, pairs in parts.items() if part != "fit"}
            rows.append({"log": name, "months of test": months} | counts)
    show("HetRec's dated tags at T = 2010-11-01 (tamm2026; hot is test_hot and validation_hot)", pl.DataFrame(rows))


def onion_chance(data: Path, out: Path, splits: int) -> None:
    """The study's real cold test: chance, popularity on the test itself, and one random list for all users."""
    log = M4AOnion(data / "m4a_onion").pairs("cold_test")
    pairs = log.table.select("user", "item", "plays", first="time")
    relevant = Interactions.of(pairs, len(log.users), len(log.items))
    task, nothing = Task("cold", relevant.items, relevant), relevant.where(np.zeros(len(relevant), bool))
    oracle = ranked(one_for_all(relevant.item_users, relevant.n_users), task, nothing)
    drawn = [RandomScorer(seed) for seed in range(20)]
    same = [one_for_all(np.random.default_rng(seed).random(relevant.n_items), relevant.n_users) for seed in range(500)]
    by_user, by_all = ([ranked(scorer, task, nothing) for scorer in scorers] for scorers in (drawn, same))
    rows = []
    for metric in (HitRate(20), Recall(20), HitRate(50), Recall(50)):
        for_all = [metric.value(lists) for lists in by_all]
        rows.append({
            "metric": metric.label,
            "analytic chance": float(np.mean(metric.chance(oracle))),
            "random list per user": float(np.mean([metric.value(lists) for lists in by_user])),
            "its sd": float(np.std([metric.value(lists) for lists in by_user])),
            "random list for all": float(np.mean(for_all)),
            "its sd ": float(np.std(for_all)),
            "popularity in the test": metric.value(oracle),
        })  # fmt: skip
    counts = f"{len(relevant):,} pairs, {len(task.users):,} users, {len(task.candidates):,} tracks"
    show(f"The cold test of m4a_onion: {counts}", pl.DataFrame(rows))
    held = np.sort(relevant.item_users)[::-1].cumsum() / len(relevant)
    print(f"10 tracks hold {held[9]:.1%} of the pairs, 50 hold {held[49]:.1%}\n")


def onion_path(data: Path, out: Path, splits: int) -> None:
    """The validation part of the study cut at its fourth week, with noise for vectors: nothing may be found."""
    log = M4AOnion(data / "m4a_onion").pairs("val")
    noise = Vectors(log.items.ids, np.random.default_rng(0).standard_normal((len(log.items), 64), dtype=np.float32))
    cuts = {"start": "2019-02-01", "validate_at": "2019-02-15", "test_at": "2019-02-22", "end": "2019-03-01"}
    summary = study(out / "onion", log, {"noise": noise}, split=cuts, recommenders=["knn"])
    rows = summary.filter(pl.col("metric").is_in(SHOWN))
    show(
        "m4a_onion by time, noise for vectors",
        rows.select(*KEY, "metric", "value", "low", "high", "chance", "shuffled"),
    )


def taste_profile(data: Path, out: Path, splits: int) -> None:
    """The author's disjoint tracks as a cold test: our Fold takes them as cold and refuses them as hot."""
    folder = data / "taste_profile_100users"
    log = TasteProfile(folder, "train_triplets_7digital_100users_50songs.txt").events()
    pairs = log.table.group_by("user", "item").agg(pl.col("plays").sum())
    everything = Interactions.of(pairs, len(log.users), len(log.items))
    held_out = log.items.rows((folder / "test_100users_50songs.txt").read_text().split())
    tested = np.isin(everything.item, held_out)
    train, cold, none = everything.where(~tested), everything.where(tested), everything.where(tested & ~tested)
    try:
        Fold(train, cold, none)
    except DataError as error:
        print(f"as hot pairs: {error}")
    fold = Fold(train, none, cold)
    task = fold.task("cold")
    values = [ranked(RandomScorer(seed), task, fold.train) for seed in range(50)]
    rows = [
        {
            "metric": metric.label,
            "analytic chance": float(np.mean(metric.chance(values[0]))),
            "random": float(np.mean([metric.value(lists) for lists in values])),
            "its standard error": float(np.std([metric.value(lists) for lists in values]) / np.sqrt(len(values))),
        }
        for metric in (HitRate(20), Recall(20), HitRate(50), Recall(50))
    ]
    sizes = f"{len(log):,} rows, {len(everything):,} pairs: {len(train):,} train, {len(cold):,} cold"
    show(f"Taste Profile, {sizes}, {len(task.candidates):,} cold tracks", pl.DataFrame(rows))


def lastfm_1k(data: Path, out: Path, splits: int) -> None:
    """The parser on the first 5,000 lines."""
    dataset = LastFM1K(data / "lastfm1k_head5000")
    log, items = dataset.events(), dataset.items()
    row = {
        "plays": len(log), "users": len(log.users), "tracks": len(log.items), "artists": items["artist_id"].n_unique(),
        "tracks without MBID": items["track_mbid"].null_count(),
        "from": str(log.table["time"].min()), "to": str(log.table["time"].max()),
    }  # fmt: skip
    show("Last.fm 1K, first 5,000 lines", pl.DataFrame([row]))


def study(folder: Path, log: Events, vectors: Mapping[str, VectorSource], **settings: Any) -> pl.DataFrame:
    """Write the log and the vectors as a user would have them, run `timbrec bench`, and return its summary."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, names = log.table, {"time": "timestamp", "plays": "plays"}
    columns = [pl.col(ours).alias(name) for ours, name in names.items() if ours in rows.columns]
    ids = {"user_id": log.users.ids.gather(rows["user"]), "track_id": log.items.ids.gather(rows["item"])}
    rows.select(*columns, **ids).write_parquet(folder / "log.parquet")
    for name, source in vectors.items():
        pl.DataFrame({"id": source.ids, "vector": source.aligned(source.ids)}).write_parquet(folder / f"{name}.parquet")
    config = {
        "name": folder.name,
        "output": folder / "run",
        "interactions": {"path": folder / "log.parquet"},
        "encoders": {name: {"vectors": folder / f"{name}.parquet"} for name in vectors},
        "k": [20, 50],
    }
    result = bench(config | settings, progress)
    show(f"{folder.name}: {result.report}", result.run.split.describe().select("part", "rows", "users", "items"))
    failed = [str(finding) for finding in result.findings if not finding.passed]
    print(f"audit: {len(result.findings)} checks, {len(failed)} failed", *failed, sep="\n")
    return result.summary


def progress(what: str, done: int, total: int) -> None:
    """One line on the terminal that writes over itself."""
    print(f"\r{done}/{total} {what:60.60}\r", end="", file=sys.stderr, flush=True)


def one_for_all(scores: np.ndarray, users: int) -> DotScorer:
    """The same scores for every user."""
    return DotScorer(np.ones((users, 1), np.float32), scores.astype(np.float32)[:, None])


def ranked(scorer: DotScorer | RandomScorer, task: Task, train: Interactions) -> Outcome:
    """The scorer's 50 best for the task, against its relevant pairs."""
    lists: TopK = rank(scorer, task.users, task.candidates, train, 50)
    return outcome(lists.items, task, train)


def show(title: str, table: pl.DataFrame) -> None:
    """A table in Markdown."""
    with pl.Config(tbl_formatting="ASCII_MARKDOWN", tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True,
                   tbl_rows=-1, tbl_cols=-1, tbl_width_chars=200, float_precision=4, fmt_str_lengths=40):  # fmt: skip
        print(f"\n{title}\n\n{table}\n")


PARTS: dict[str, Callable[[Path, Path, int], None]] = {
    "onion-chance": onion_chance,
    "onion-path": onion_path,
    "hetrec-tags": hetrec_tags,
    "taste-profile": taste_profile,
    "lastfm-1k": lastfm_1k,
    "hetrec": hetrec,
    "hetrec-audio": hetrec_audio,
    "hetrec-audio-trained": partial(hetrec_audio, recommenders=("knn", *PRESET, "elsa"), budget="quick"),
    "hetrec-audio-full": partial(
        hetrec_audio, recommenders=("knn", *PRESET, "elsa"), budget="quick", preset="corrected"
    ),
    "hetrec-known": partial(hetrec_trained, listeners=8),
    "hetrec-trained": hetrec_trained,
}


def main() -> None:
    outside = os.environ.get("TIMBREC_TEST_DATA")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all by default")
    parser.add_argument("--data", type=Path, default=Path(outside, "data") if outside else None)
    parser.add_argument("--out", type=Path, default=Path("real-data"), help="for runs and their reports")
    parser.add_argument("--splits", type=int, default=5, help="halves and held-out artists of HetRec")
    chosen = parser.parse_args()
    if chosen.data is None:
        print("skipped: no outside data; name its folder with --data or, without its /data, in TIMBREC_TEST_DATA")
        return
    for part in chosen.parts or PARTS:
        PARTS[part](chosen.data, chosen.out, chosen.splits)


if __name__ == "__main__":
    main()

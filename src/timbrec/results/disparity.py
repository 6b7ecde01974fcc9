"""Probes against recommendation: does the encoder that is best at labels recommend best?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import polars as pl

from timbrec.data.split import SCENARIOS
from timbrec.metrics import metric_of
from timbrec.probes.shared.records import PROBES, Record
from timbrec.probes.shared.records import table as probe_table
from timbrec.results.figures import Figures
from timbrec.results.lines import baselines, lines
from timbrec.results.table import defined
from timbrec.statistics.agreement import LEAST, Agreement, agreement, covariance, critical_tau, holm, partial
from timbrec.statistics.comparison import compare
from timbrec.statistics.influence import Influence
from timbrec.study.probing import read_probes, read_scores
from timbrec.study.runs import Run
from timbrec.types import Array, Float, Progress

DISPARITY = {
    "probe": pl.String, "metric": pl.String, "among": pl.String, "scenario": pl.String, "recommender": pl.String,
    "encoders": pl.Int64, "tau": pl.Float64, "low": pl.Float64, "high": pl.Float64, "like_low": pl.Float64,
    "like_high": pl.Float64, "rho": pl.Float64, "rho_low": pl.Float64, "rho_high": pl.Float64, "p": pl.Float64,
    "p_adjusted": pl.Float64, "tests": pl.Int64, "detectable": pl.Float64, "detectable_adjusted": pl.Float64,
    "partial": pl.Float64, "given": pl.String, "best_probe": pl.String, "best_recommender": pl.String,
    "reason": pl.String,
}  # fmt: skip
ENCODERS = "encoders"
OF_THE_LOG = ("popularity", "artist", "year", "taste")  # probes of properties that recommendation itself depends on
LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class Side:
    """Values of encoders and the covariance of their estimates."""

    names: tuple[str, ...]
    values: Float[Array, "n"]
    covariance: Float[Array, "n n"]

    def of(self, names: Sequence[str]) -> Side:
        """The values of these encoders, in the given order."""
        places = [self.names.index(name) for name in names]
        return Side(tuple(names), self.values[places], self.covariance[np.ix_(places, places)])


def probes_table(run: Run, figures: Figures, progress: Progress | None = None) -> pl.DataFrame | None:
    """The scores of the run's probes (see PROBES), also as probes.csv; None for a run without probes.

    A published score has the `head` "published" and no interval.
    """
    records, scores = read_probes(run.folder).records, read_scores(run.folder)
    if not records and scores is None:
        return None
    table = probe_table(records)
    if scores is not None:
        rows = [{"probe": task, "metric": "published", "encoder": encoder, "head": "published", "primary": True,
                 "value": value} for encoder, task, value in scores.iter_rows()]  # fmt: skip
        table = pl.concat([table, pl.DataFrame(rows, schema=PROBES)])
    table.write_csv(run.folder / "probes.csv")
    return table


def disparity(run: Run, figures: Figures, progress: Progress | None = None) -> pl.DataFrame | None:
    """Rank correlations of every probe with every recommender over encoders, with the columns of DISPARITY.

    One row per probe, scenario, recommender and group of encoders. `among` is "encoders" for one point per encoder (of
    several layers or pools of an encoder, the first in the config), or "variants of NAME" for those variants. `tau` is
    Kendall's tau-b with its 95 % interval for these encoders, `like_low` and `like_high` the interval for encoders like
    these, `rho` Spearman's; see `statistics.agreement`. `p` is exact; `p_adjusted` is corrected (Holm) for the `tests`
    of the same `among`. `detectable` is the smallest |tau| that would be significant for so many encoders, and
    `detectable_adjusted` the one after Bonferroni's correction; null where there is none. `partial` is Spearman's
    correlation `given` dimension and model size. `reason` says why a row has no figures. None for a run without probes.
    """
    sides = probe_sides(read_probes(run.folder).records) | published_sides(read_scores(run.folder))
    if not sides:
        return None
    metric = run.facts["config"]["primary"]
    groups, traits = groups_of(run.facts["config"]), _traits(run)
    rows = []
    for done, scenario in enumerate(SCENARIOS):
        if progress:
            progress(f"disparity: {scenario}", done, len(SCENARIOS))
        for recommender, side in recommender_sides(run, scenario, metric).items():
            for (probe, name), other in sides.items():
                for among, members in groups.items():
                    key = {"probe": probe, "metric": name, "among": among, "scenario": scenario,
                           "recommender": recommender}  # fmt: skip
                    shared = [item for item in members if item in side.names and item in other.names]
                    if among == ENCODERS or len(shared) >= LEAST:
                        rows.append(key | _row(other, side, shared, traits))
    if progress:
        progress("disparity", len(SCENARIOS), len(SCENARIOS))
    table = _adjusted(pl.DataFrame(rows, schema=DISPARITY))
    table.write_csv(run.folder / "disparity.csv")
    return table


def probe_sides(records: Sequence[Record]) -> dict[tuple[str, str], Side]:
    """The scores of each probe by (probe, metric), with their covariance over test tracks that the encoders share."""
    sides = {}
    for probe in dict.fromkeys(record.probe for record in records):
        chosen = [record for record in records if record.probe == probe]
        groups = chosen[0].test["group"].to_numpy()
        order = np.unique(groups, return_inverse=True)[1]
        influences = np.stack(
            [np.bincount(order, weights=record.test["influence"].to_numpy()) for record in chosen], axis=1
        )
        names, values = zip(*((record.encoder, record.value) for record in chosen), strict=True)
        sides[probe, chosen[0].metric] = Side(names, np.array(values), covariance(influences))
    return sides


def published_sides(scores: pl.DataFrame | None) -> dict[tuple[str, str], Side]:
    """Published scores by (task, "published"); their uncertainty is not known, and their covariance 0."""
    if scores is None:
        return {}
    return {
        (str(task), "published"): Side(
            tuple(rows["encoder"]), rows["score"].to_numpy(), np.zeros((len(rows), len(rows)))
        )
        for (task,), rows in scores.group_by("task", maintain_order=True)
    }


def recommender_sides(run: Run, scenario: Any, metric: str) -> dict[str, Side]:
    """The figures of each recommender on real vectors, with their covariance over users, tracks and seeds."""
    chosen, without = metric_of(metric), baselines(run)
    influences: dict[str, dict[str, Influence]] = {}
    for line in lines(run, scenario):
        if line.encoder is not None and line.label not in without and line.of():
            judged = line.influence(chosen)
            if not np.isnan(judged.value):
                influences.setdefault(line.label, {})[line.encoder] = judged
    sides = {}
    for label, judged_lines in influences.items():
        comparison = compare(list(judged_lines.values()), [label] * len(judged_lines))
        sides[label] = Side(tuple(judged_lines), comparison.values, comparison.spread.covariance)
    return sides


def groups_of(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """Encoders to correlate over: one variant of each, then the variants of each encoder that has at least three.

    Variants are layers and pools of the same encoder on the same audio, and its transforms. Vectors of several encoders
    side by side are encoders of their own.
    """
    origins: dict[str, str] = {}
    for name, entry in config["encoders"].items():
        origins[name] = f"{entry.get('encoder') or name} of {entry['audio']}" if entry.get("audio") else name
    for name, entry in config.get("representations", {}).items():
        origins[name] = origins[entry["of"][0]] if len(entry["of"]) == 1 else name
    families: dict[str, list[str]] = {}
    for name, origin in origins.items():
        families.setdefault(origin, []).append(name)
    groups = {ENCODERS: [members[0] for members in families.values()]}
    for members in families.values():
        if len(members) >= LEAST:
            groups[f"variants of {members[0]}"] = members
    return groups


def _row(
    probe: Side, recommender: Side, shared: list[str], traits: Mapping[str, tuple[float, float]]
) -> dict[str, Any]:
    row: dict[str, Any] = {"encoders": len(shared)}
    if len(shared) < LEAST:
        return row | {"reason": f"{len(shared)} encoders have both figures; at least {LEAST} are needed"}
    first, second = probe.of(shared), recommender.of(shared)
    result = agreement(first.values, first.covariance, second.values, second.covariance)
    if not isfinite(result.tau.value):
        return row | {"reason": "all encoders have the same figure"}
    best = {"best_probe": shared[int(first.values.argmax())], "best_recommender": shared[int(second.values.argmax())]}
    return row | best | _figures(result) | _partial(first, second, traits)


def _figures(result: Agreement) -> dict[str, Any]:
    return {
        "tau": result.tau.value, "low": result.tau.low, "high": result.tau.high, "like_low": result.like.low,
        "like_high": result.like.high, "rho": result.rho.value, "rho_low": result.rho.low,
        "rho_high": result.rho.high, "p": defined(result.p), "detectable": critical_tau(result.n, LEVEL),
    }  # fmt: skip


def _partial(first: Side, second: Side, traits: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    """The partial correlation given dimension and model size, as far as they are known for all encoders and differ."""
    known = np.array([traits.get(name, (np.nan, np.nan)) for name in first.names])
    usable = np.isfinite(known).all(0) & (known != known[0]).any(0)
    if not usable.any():
        return {}
    names = [name for name, use in zip(("dimension", "model size"), usable, strict=True) if use]
    return {"partial": partial(first.values, second.values, known[:, usable]), "given": " and ".join(names)}


def _traits(run: Run) -> dict[str, tuple[float, float]]:
    """Dimension and number of parameters of each encoder and representation; NaN where unknown."""
    traits: dict[str, tuple[float, float]] = {}
    for facts in run.facts["encoders"]:
        traits[facts["name"]] = float(facts["dim"]), float(facts.get("parameters", np.nan))
    for name, entry in run.facts["config"].get("representations", {}).items():
        parts = [traits[source] for source in entry["of"]]
        traits[name] = sum(dim for dim, _ in parts), sum(size for _, size in parts)
    return traits


def _adjusted(table: pl.DataFrame) -> pl.DataFrame:
    """The table with p values and levels corrected for all rows of the same `among`."""
    parts = []
    for rows in table.partition_by("among", maintain_order=True):
        tests = int(rows["p"].is_not_null().sum())
        levels = [
            critical_tau(n, LEVEL / tests) if p is not None else None
            for n, p in rows.select("encoders", "p").iter_rows()
        ]
        adjusted = holm(rows["p"].fill_null(float("nan")).to_numpy())
        parts.append(
            rows.with_columns(
                tests=pl.lit(tests, pl.Int64),
                p_adjusted=pl.Series(adjusted).fill_nan(None),
                detectable_adjusted=pl.Series(levels, dtype=pl.Float64),
            )
        )
    return pl.concat(parts) if parts else table


def sentences(table: pl.DataFrame, metric: str) -> Iterator[str]:
    """The findings in words: a sentence per probe and scenario, about the recommender with the largest |tau|.

    Cold start comes first, then hot and mixed; the last sentence names the probe of the log that agrees best with cold
    start.
    """
    order = pl.col("scenario").replace_strict({"cold": 0, "hot": 1, "mixed": 2})
    chosen = table.filter(among=ENCODERS).sort(order, maintain_order=True)
    for (probe, scenario), rows in chosen.group_by("probe", "scenario", maintain_order=True):
        known = rows.filter(pl.col("tau").is_not_null())
        if known.is_empty():
            yield f"{str(scenario).capitalize()}, {probe}: {rows['reason'][0]}."
            continue
        yield sentence(known.sort(pl.col("tau").abs(), descending=True).row(0, named=True), metric)
    if (last := of_the_log(table)) is not None:
        yield last


def of_the_log(table: pl.DataFrame) -> str | None:
    """The probe among OF_THE_LOG that agrees best with cold start, by its mean tau over recommenders.

    None unless at least two of them have a tau.
    """
    cold = table.filter(pl.col("probe").is_in(OF_THE_LOG), pl.col("tau").is_not_null(), among=ENCODERS, scenario="cold")
    means = cold.group_by("probe").agg(pl.mean("tau")).sort("tau", "probe", descending=[True, False])
    if len(means) < 2:
        return None
    (best, highest), *others = means.iter_rows()
    rest = ", ".join(f"{probe} {tau:+.2f}" for probe, tau in others)
    count = cold["recommender"].n_unique()
    over = f"{count} recommenders" if count > 1 else cold["recommender"][0]
    return (
        f"Of the properties that the log gives tracks, {best} agrees best with cold start: tau {highest:+.2f} "
        f"(mean over {over}), {rest}. Whether one of them agrees better than another was not tested."
    )


def sentence(row: Mapping[str, Any], metric: str) -> str:
    """The meaning of a row: whether the encoder that is best at the probe recommends best."""
    where = f"{row['scenario'].capitalize()}, {row['recommender']}"
    figure = (
        f"tau {row['tau']:+.2f} over {row['encoders']} encoders, {row['low']:+.2f} to {row['high']:+.2f} for these, "
        f"{row['like_low']:+.2f} to {row['like_high']:+.2f} for encoders like these"
    )
    best = f"{row['best_probe']} is best at {row['probe']}"
    same = row["best_probe"] == row["best_recommender"]
    best += " and recommends best" if same else f", {row['best_recommender']} recommends best by {metric}"
    if row["detectable_adjusted"] is None:
        limit = f"with {row['encoders']} encoders and {row['tests']} comparisons no tau could be told from 0"
    elif row["p_adjusted"] is not None and row["p_adjusted"] <= LEVEL:
        limit = f"encoders better at {row['probe']} recommend {'better' if row['tau'] > 0 else 'worse'}"
    else:
        limit = f"no relation was found, and a |tau| of {row['detectable_adjusted']:.2f} would have been"
    return f"{where}: {best}; {limit} ({figure})."

"""Published figures of other studies beside the figures of a run, each with its known defects."""

from __future__ import annotations

from importlib.resources import files

import polars as pl

from timbrec.errors import ConfigError, did_you_mean
from timbrec.results.figures import Figures
from timbrec.statistics.agreement import LEAST, critical_tau, kendall, p_value, spearman
from timbrec.study.controls import REAL
from timbrec.study.runs import Run

STUDIES = {
    "tamm2026": (
        "Tamm & Aljanaki: Adopting State-of-the-Art Pretrained Audio Representations for Music Recommender Systems. "
        "arXiv 2604.23077, 2026; Music4All-Onion"
    )
}
DEFECTS = {
    1: "KNN profiles index the wrong rows: figures are at chance",
    2: "cold figures printed @20 were computed @50",
    3: "MusicFM appears pooled over channels, not over time",
    4: "negative users come from the first 17,052 ids alone",
    5: "the user table is frozen and the item table trained, the other way round than meant",
    6: "Music2Vec, a 16 kHz model, was fed 24 kHz audio",
    7: "Contrastive is trained on normalised vectors and served with others",
    8: "ten encoders ranked without a paired test, intervals over about three runs",
    9: "early stopping ignores the users' history, or uses no held-out data",
    10: "MusiCNN may have encoded the first 3 s of a track only",
    11: "MULE's vectors are sums over time, so that long tracks have long vectors",
    12: "the last tracks are missing for Jukebox",
    13: '"MFCC" is a precomputed feature set, not computed from audio',
}
PUBLISHED = {
    "scenario": pl.String, "metric": pl.String, "recommender": pl.String, "encoder": pl.String, "control": pl.String,
    "published_table": pl.String, "published_encoder": pl.String, "published_metric": pl.String,
    "published": pl.Float64, "published_half_width": pl.Float64, "value": pl.Float64, "low": pl.Float64,
    "high": pl.Float64, "defects": pl.String,
}  # fmt: skip
# the study's tables and encoders by our names; several of our encoders may belong to one of the study's
_RECOMMENDERS = {
    "Cosine": "knn", "Shallow": "shallow", "Bimodal Content": "contrastive", "Hybrid": "hybrid", "BERT": "bert4rec",
    "ELSA": "elsa",
}  # fmt: skip
_ENCODERS = {
    "mfcc": ("mfcc-onion", "mfcc"), "musicnn": ("musicnn-msd", "musicnn-mtt"), "mule": ("mule",),
    "jukemir": ("jukebox-5b",), "music2vec": ("music2vec",), "mert": ("mert-95m", "mert-330m"),
    "encodecmae": ("encodecmae-base",), "musicfm": ("musicfm-msd", "musicfm-fma"), "muq_msd": ("muq",),
    "muq_mulan": ("muq-mulan",),
}  # fmt: skip
_OF_TABLE = {"Cosine": (1,), "Shallow": (4, 5), "Bimodal": (7, 9), "Hybrid": (9,), "BERT": (9,)}
_OF_ENCODER = {"musicfm": (3,), "music2vec": (6,), "musicnn": (10,), "mule": (11,), "jukemir": (12,), "mfcc": (13,)}


def published_figures(study: str = "tamm2026") -> pl.DataFrame:
    """Every figure of a study as published, one row each, with the numbers of the defects that affect it.

    Columns are those of PUBLISHED without `value`, `low` and `high`. `metric` is the metric that was computed,
    `published_metric` its printed label. `recommender` is null where this package has no such recommender, `encoder`
    the name of this package's encoder, in several rows if several correspond. Raises ConfigError for unknown studies.
    """
    if study not in STUDIES:
        raise ConfigError(
            f"there are no published figures {study!r}",
            fix=f"{did_you_mean(study, STUDIES)}Known: {', '.join(STUDIES)}.",
        )
    path = files("timbrec.results") / "data" / f"{study}.csv"
    table = pl.read_csv(path.read_bytes())
    rows = [_row(row, name) for row in table.to_dicts() for name in _ENCODERS.get(row["encoder"], (None,))]
    return pl.DataFrame(rows, schema={name: kind for name, kind in PUBLISHED.items() if name not in _OURS})


def beside_published(run: Run, figures: Figures, study: str = "tamm2026") -> pl.DataFrame:
    """The published figures of a study that the run has a counterpart for, with the columns of PUBLISHED.

    Counterparts have the same scenario, recommender, encoder, control and metric. Raises ConfigError where the run has
    none.
    """
    kinds = {item.label: item.recommender for item in run.experiments if item.kind == "ranking"}
    config = run.facts.get("config", {}).get("encoders", {})
    names = {name: (entry or {}).get("encoder") or name for name, entry in config.items()}
    own = figures.standings.filter(pl.col("value").is_not_null()).select(
        "scenario", "metric", "control", "value", "low", "high",
        pl.col("recommender").alias("label"), pl.col("recommender").replace(kinds),
        pl.col("encoder").alias("own_encoder"), pl.col("encoder").replace(names),
    )  # fmt: skip
    keys = ["scenario", "metric", "recommender", "encoder", "control"]
    joined = published_figures(study).join(own, on=keys, how="inner", nulls_equal=True, maintain_order="left")
    if joined.is_empty():
        raise ConfigError(
            f"no cell of the run has a counterpart in {study}",
            fix="The study has hitrate, recall and ndcg at k = 50, with recommenders and encoders of docs/tamm2026.md.",
        )
    named = joined.with_columns(recommender=pl.col("label"), encoder=pl.col("own_encoder"))
    return named.select(*PUBLISHED).match_to_schema(PUBLISHED)


_OURS = ("value", "low", "high")
CORRELATIONS = {
    "task": pl.String, "metric": pl.String, "table": pl.String, "encoders": pl.Int64, "tau": pl.Float64,
    "rho": pl.Float64, "p": pl.Float64, "detectable": pl.Float64, "defects": pl.String,
}  # fmt: skip


def _row(row: dict[str, str], encoder: str | None) -> dict[str, object]:
    table, shuffled = row["table"].removesuffix(" Shuffle"), row["table"].endswith(" Shuffle")
    return {
        "scenario": row["scenario"],
        "metric": f"{row['metric_as_printed'].split('@')[0].lower()}@50",
        "recommender": _RECOMMENDERS.get(table),
        "encoder": encoder,
        "control": "shuffled" if shuffled else REAL,
        "published_table": row["table"],
        "published_encoder": row["encoder"],
        "published_metric": row["metric_as_printed"],
        "published": row["mean"],
        "published_half_width": row["ci95_over_runs"],
        "defects": ", ".join(map(str, _defects(row["scenario"], table.split()[0], row["encoder"]))),
    }


def _defects(scenario: str, table: str, encoder: str) -> list[int]:
    """The numbers of the defects that affect a figure, ascending; the keys of DEFECTS."""
    numbers = {*_OF_TABLE.get(table, ()), *_OF_ENCODER.get(encoder, ())}
    if scenario == "cold":
        numbers.add(2)
    if table != "ELSA":
        numbers.add(8)
    return sorted(numbers)


def published_disparity(scores: pl.DataFrame, study: str = "tamm2026", scenario: str = "cold") -> pl.DataFrame:
    """Rank correlations of published MIR scores (encoder, task, score) with a study's published figures.

    One row per task, metric and recommender of the study, on the encoders that both tables have: tau-b, Spearman's
    rho, the exact p value, the smallest |tau| that would be significant, and the numbers of the defects that affect the
    figures. Published figures have no known covariance, so there are no intervals. Correlations are null with fewer
    than three encoders in common; `encoders` says how many there are.
    """
    figures = published_figures(study).filter(scenario=scenario, control=REAL).drop_nulls("encoder")
    rows = []
    for (task,), mine in scores.group_by("task", maintain_order=True):
        joined = figures.join(mine.select("encoder", "score"), on="encoder", how="inner")
        for (metric, label), part in joined.group_by("metric", "published_table", maintain_order=True):
            values, others = part["score"].to_numpy(), part["published"].to_numpy()
            defects = {number for text in part["defects"] for number in text.split(", ") if number}
            row = {"task": task, "metric": metric, "table": label, "encoders": len(part),
                   "detectable": critical_tau(len(part)), "defects": ", ".join(sorted(defects, key=int))}  # fmt: skip
            if len(part) >= LEAST:
                row |= {"tau": kendall(values, others), "rho": spearman(values, others), "p": p_value(values, others)}
            rows.append(row)
    return pl.DataFrame(rows, schema=CORRELATIONS)

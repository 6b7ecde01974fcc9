"""Probes and cold recommendation of the same HetRec artists: a disparity figure on plays of real people.

`--data` names the folder with `hetrec_lastfm` and `hetrec_audio`. Half of the users is evaluated; the other half's tags
describe the artists. Half of the tags become labels (the 50 most frequent), which no representation then contains, and
the other tags, with the audio features, become nine representations. The run and its page are written to `--out`.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import polars as pl
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds

from timbrec import bench
from timbrec.datasets.hetrec import HetRec

GROUPS = {
    "energy": ["energy", "loudness", "tempo", "valence", "danceability"],
    "timbre": ["acousticness", "instrumentalness", "speechiness", "liveness"],
    "form": ["duration_ms", "mode", "tempo"],
}
LABELS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TIMBREC_TEST_DATA", ".")) / "data")
    parser.add_argument("--out", type=Path, default=Path("real-disparity"))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    dataset = HetRec(arguments.data / "hetrec_lastfm", seed=arguments.seed)
    ids, audio = read_audio(arguments.data / "hetrec_audio" / "artist_audio.csv")
    labels, tags = labels_and_tags(dataset, ids, arguments.out)
    kept = tags.any(1)
    ids, audio, tags = ids.filter(pl.Series(kept)), audio[kept], tags[kept]
    encoders = {name: (ids.to_list(), matrix.astype(np.float32)) for name, matrix in
                representations(audio, tags, arguments.seed).items()}  # fmt: skip
    events = dataset.events()
    columns = {"user": events.users.ids, "item": events.items.ids}
    log = pl.DataFrame({name: names.gather(events.table[name]) for name, names in columns.items()})
    result = bench(
        interactions=log, encoders=encoders, output=str(arguments.out / "run"), name="HetRec artists",
        split={"protocol": "item-holdout", "seed": arguments.seed}, recommenders=["knn"], seeds=[0, 1],
        probes=[{"labels": str(labels.resolve())}],
    )  # fmt: skip
    shown = ["scenario", "encoders", "tau", "low", "high", "like_low", "like_high", "rho", "p", "detectable"]
    folder, rows = result.run.folder, result.summary.filter(metric="ndcg@50", recommender="knn")
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=200):
        probes = pl.read_csv(folder / "probes.csv").filter(primary=True)
        print(probes.select("encoder", "value", "low", "high", "test"))
        print(rows.select("encoder", "scenario", "value", "low", "high"))
        print(pl.read_csv(folder / "disparity.csv").select(shown))


def read_audio(path: Path) -> tuple[pl.Series, np.ndarray]:
    """Standardised audio features of each artist, with the id of HetRec."""
    table = pl.read_csv(path).unique("artistID", keep="first", maintain_order=True)
    names = sorted({name for group in GROUPS.values() for name in group})
    matrix = table.select(names).to_numpy().astype(float)
    return table["artistID"].cast(pl.String), (matrix - matrix.mean(0)) / matrix.std(0)


def labels_and_tags(dataset: HetRec, ids: pl.Series, out: Path) -> tuple[Path, np.ndarray]:
    """The 50 most frequent tags of these artists as a table of labels; the counts of all other tags, log-scaled."""
    events = dataset.tag_events()
    evaluated = dataset.events().users.rows(events.users.ids) >= 0
    rows = pl.read_csv(
        dataset.file("user_taggedartists.dat"), separator="\t", columns=["userID", "artistID", "tagID"],
        schema_overrides={"userID": pl.String, "artistID": pl.String, "tagID": pl.String},
    )  # fmt: skip
    others = events.users.ids.filter(pl.Series(~evaluated))
    rows = rows.filter(pl.col("userID").is_in(others.implode()), pl.col("artistID").is_in(ids.implode()))
    counts = rows.unique(["artistID", "tagID"]).group_by("tagID").len().sort("len", "tagID", descending=[True, False])
    frequent = counts["tagID"].head(LABELS)
    labels = rows.filter(pl.col("tagID").is_in(frequent.implode())).select(id="artistID", tag="tagID").unique()
    path = out / "tags-50.csv"
    labels.sort("id", "tag").write_csv(path)
    rest = rows.filter(~pl.col("tagID").is_in(frequent.implode())).group_by("artistID", "tagID").len()
    artist, tag = (pl.Series(values) for values in (ids, rest["tagID"].unique().sort()))
    place = {name: number for number, name in enumerate(artist)}
    column = {name: number for number, name in enumerate(tag)}
    rows_of, columns_of = (
        [known[name] for name in rest[key]] for key, known in (("artistID", place), ("tagID", column))
    )
    sizes_of = 1 + np.log(rest["len"].to_numpy())
    matrix = csr_array((sizes_of, (rows_of, columns_of)), shape=(len(artist), len(tag)))
    weights = 1 + np.log((1 + len(artist)) / (1 + np.bincount(matrix.tocoo().col, minlength=len(tag))))
    left, sizes, _ = svds(matrix * weights, k=64, v0=np.ones(min(matrix.shape)))
    return path, (left * sizes)[:, ::-1]


def representations(audio: np.ndarray, tags: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Groups of audio features, their principal components, tags of three sizes, both fused, and shuffled ones."""
    names = sorted({name for group in GROUPS.values() for name in group})
    left, sizes, _ = np.linalg.svd(audio, full_matrices=False)
    components = left * sizes
    length = np.linalg.norm(tags, axis=1, keepdims=True)
    fused = np.hstack([audio / np.linalg.norm(audio, axis=1, keepdims=True), tags[:, :32] / np.maximum(length, 1e-9)])
    groups = {name: audio[:, [names.index(feature) for feature in group]] for name, group in GROUPS.items()}
    groups |= {"audio": audio, "audio-pca-2": components[:, :2], "audio-pca-5": components[:, :5]}
    groups |= {f"tags-{size}": tags[:, :size] for size in (4, 16, 64)}
    return groups | {"fused": fused, "shuffled": audio[np.random.default_rng(seed).permutation(len(audio))]}


if __name__ == "__main__":
    main()

"""Tables of published scores: encoder, task, score; a user's own, or one that comes with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import polars as pl

from timbrec.data.tables import open_table
from timbrec.errors import DataError

SCORES = {"encoder": pl.String, "task": pl.String, "score": pl.Float64}
OURS = {"mteb": "mteb_music.csv"}  # by name; the first lines of each file say where it comes from


def read_scores_table(path: Path) -> pl.DataFrame:
    """The scores of a table with the columns encoder, task and score, or of the package's table of that name.

    Encoders of the package's tables have this package's names if it offers them. Raises DataError for scores that are
    not numbers and for two scores of an encoder and task.
    """
    if str(path) in OURS and not path.exists():
        text = (files("timbrec.probes.shared") / OURS[str(path)]).read_bytes()
        return pl.read_csv(text, comment_prefix="#", schema=SCORES)
    table = open_table(path).read(list(SCORES))
    score = table["score"].cast(pl.Float64, strict=False)
    if len(wrong := table.filter(score.is_null())):
        raise DataError(f"{path}: some scores are no numbers", count=len(wrong), example=wrong.row(0))
    table = table.select(pl.col("encoder", "task").cast(pl.String), score=score)
    if len(repeated := table.filter(table.select("encoder", "task").is_duplicated())):
        raise DataError(f"{path}: some encoders have two scores of a task", count=len(repeated),
                        example=repeated.row(0), fix="Keep one.")  # fmt: skip
    return table

"""Tags of CAL500 and moods of emotions, probed from the features in the same files.

    python measurements/mulan.py FOLDER_OF_ARFF_FILES

The features are Marsyas' of CAL500 and rhythm and timbre of emotions: a baseline for encoders of the same songs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from timbrec.api import probe_vectors
from timbrec.probes.mulan import Mulan
from timbrec.probes.shared.base import Context


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    for collection in ("CAL500", "emotions"):
        features = Mulan(path=folder, collection=collection).read(Context())[2]  # type: ignore[arg-type]
        with tempfile.TemporaryDirectory() as temporary:
            table = pl.DataFrame(
                features.astype(np.float32), schema=[str(column) for column in range(features.shape[1])]
            )
            ids = pl.Series("id", [str(row) for row in range(len(features))])
            path = Path(temporary) / "features.parquet"
            table.insert_column(0, ids).write_parquet(path)
            entry = {"use": "mulan", "path": str(folder), "collection": collection}
            probed = probe_vectors({"features": path}, [entry])
        for record in probed.records:
            print(
                f"{collection}: {record.values} [{record.low:.3f}, {record.high:.3f}], shuffled {record.shuffled:.3f}"
            )
            print(f"  train {record.train}, validation {record.validation}, test {len(record.test)}; {record.remarks}")
        print(*probed.failures, sep="\n")


if __name__ == "__main__":
    main()

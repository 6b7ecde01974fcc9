"""Results of probes: one record per probe and encoder, as JSON and a table of test tracks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from timbrec.files import checksum, replacing

PROBES = {
    "probe": pl.String, "kind": pl.String, "encoder": pl.String, "head": pl.String, "metric": pl.String,
    "primary": pl.Boolean, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "shuffled": pl.Float64,
    "expected": pl.Float64, "at_chance": pl.Boolean, "majority": pl.Float64, "train": pl.Int64,
    "validation": pl.Int64, "test": pl.Int64, "labels": pl.Int64, "dim": pl.Int64, "chosen": pl.String,
    "validation_value": pl.Float64, "seconds": pl.Float64, "remarks": pl.String,
}  # fmt: skip
TEST = {"id": pl.String, "group": pl.Int64, "influence": pl.Float64}


@dataclass(frozen=True, eq=False)
class Record:
    """The result of a probe on one encoder.

    `values` are the metrics by name, the primary one first; `low` and `high` are the 95 % interval of the primary one,
    None where it is undefined. `leak` names training data that hold the probe's data. See `Score` for the rest. `test`
    has a row per test track with the columns of TEST.
    """

    probe: str
    use: str
    kind: str
    encoder: str
    head: str
    values: dict[str, float]
    low: float | None
    high: float | None
    shuffled: float
    expected: float
    at_chance: bool
    majority: float
    train: int
    validation: int
    labels: int
    dim: int
    chosen: dict[str, Any]
    validation_value: float
    seconds: float
    remarks: tuple[str, ...] = ()
    leak: str = ""
    test: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=TEST))

    @property
    def metric(self) -> str:
        """The primary metric."""
        return next(iter(self.values))

    @property
    def value(self) -> float:
        """The value of the primary metric."""
        return self.values[self.metric]

    @property
    def sentences(self) -> list[str]:
        """The remarks, the leak and a control above chance, in sentences."""
        sentences = [*self.remarks]
        if self.leak:
            sentences.append(self.leak)
        if not self.at_chance:
            sentences.append(
                f"{self.encoder}: shuffled labels reach {self.shuffled:.3f}, above the {self.expected:.3f} of chance: "
                "do not trust this probe"
            )
        return sentences


def write_record(record: Record, folder: Path) -> None:
    """Write a record to a new folder in one step."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as partial:
        partial.mkdir()
        record.test.write_parquet(partial / "test.parquet")
        facts = asdict(record)
        del facts["test"]
        stored = {"test": checksum(partial / "test.parquet"), "record": facts}
        (partial / "record.json").write_text(json.dumps(stored, indent=1))


def read_record(folder: Path) -> Record | None:
    """The record of a folder; None if there is none or it was changed."""
    try:
        stored = json.loads((folder / "record.json").read_text())
        if checksum(folder / "test.parquet") != stored["test"]:
            return None
        facts = stored["record"] | {"remarks": tuple(stored["record"]["remarks"])}
        return Record(**facts, test=pl.read_parquet(folder / "test.parquet", glob=False))
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
        return None  # probing again is always right


def table(records: Iterable[Record]) -> pl.DataFrame:
    """A row per record and metric, with the columns of PROBES; limits and controls in the rows of primary metrics."""
    return pl.DataFrame([row for record in records for row in _rows(record)], schema=PROBES)


def _rows(record: Record) -> Sequence[dict[str, Any]]:
    names = ("probe", "kind", "encoder", "head", "train", "validation", "labels", "dim")
    common = {name: getattr(record, name) for name in names} | {"test": len(record.test)}
    rows = [common | {"metric": metric, "primary": False, "value": value} for metric, value in record.values.items()]
    rows[0] |= {"primary": True, "chosen": json.dumps(record.chosen), "remarks": "; ".join(record.sentences)}
    rows[0] |= {name: getattr(record, name) for name in (
        "low", "high", "shuffled", "expected", "at_chance", "majority", "validation_value", "seconds"
    )}  # fmt: skip
    return rows

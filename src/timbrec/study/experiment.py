"""Experiments: all settings that decide the numbers of one cell of the grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from timbrec.data.split import Candidates, Split
from timbrec.errors import DataError
from timbrec.study.controls import REAL
from timbrec.study.identity import FOR_READERS, added, digest_of
from timbrec.study.representation import Representation

FORMAT = 2  # raise it when the split, the ranking or a control changes numbers: every cell then runs again


@dataclass(frozen=True)
class Experiment:
    """One cell of the grid.

    `split` and `artists` are digests. `representation` is None for a recommender without content. `control` is "real"
    or the name of a control (controls.py), and `control_version` its version. `settings` are all hyperparameters,
    defaults included; `version` is the version of the recommender. `depth` is the length of the stored lists: one more
    than the largest k. `kind` is the kind of cell in the catalogue. `label` is the recommender's name in tables.
    `plays` are the levels of a thinning cell.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    split: str
    representation: Representation | None
    control: str
    artists: str | None
    recommender: str
    settings: dict[str, Any]
    version: int
    label: str = field(metadata=FOR_READERS)
    seed: int
    depth: int
    cold_candidates: Candidates
    kind: str = added(neutral="ranking")
    mixed_candidates: Candidates = added(neutral="tested")  # noqa: RUF009 - makes a field
    plays: tuple[int, ...] = added(neutral=())
    control_version: int = added(neutral=1)

    @cached_property
    def hash(self) -> str:
        """The name of the cell's folder."""
        return digest_of(FORMAT, self)

    def split_of(self, split: Split) -> Split:
        """The split with the candidates of this experiment."""
        return split.with_candidates(self.cold_candidates, self.mixed_candidates)

    @property
    def encoder(self) -> str | None:
        """The name of the representation; None without content."""
        return None if self.representation is None else self.representation.name

    @property
    def is_real(self) -> bool:
        """Whether the vectors are the representation's own, not a control's."""
        return self.control == REAL

    @property
    def title(self) -> str:
        """The cell's name for readers, e.g. "mert shuffled knn (seed 0)"."""
        parts = [self.encoder, None if self.is_real else self.control, self.label]
        return " ".join(part for part in parts if part) + f" (seed {self.seed})"


_PLAN = TypeAdapter(list[Experiment])


def read_experiments(records: Sequence[dict[str, Any]], where: str) -> list[Experiment]:
    """Experiments from their JSON values. Raises DataError for an unknown or missing field."""
    try:
        return _PLAN.validate_python(records)
    except ValidationError as error:
        detail = error.errors()[0]
        place = ".".join(str(part) for part in detail["loc"][1:])
        raise DataError(
            f"{where} has an experiment that this version cannot read: {place}: {detail['msg']}",
            fix="Use the version of timbrec that made the run, or run the benchmark again with another `output`.",
        ) from error

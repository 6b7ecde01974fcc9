"""The keys of a config, with their types and defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from timbrec import catalog
from timbrec.data.items import ItemsConfig
from timbrec.data.log import LogConfig
from timbrec.data.settings import Name, Part, resolved
from timbrec.data.split import Candidates
from timbrec.data.splitting import SplitConfig
from timbrec.datasets.shared.base import Dataset
from timbrec.histories.importing import ImportConfig
from timbrec.places import AnyPath
from timbrec.study.entries import (
    DatasetConfig,
    Distinct,
    EncoderConfig,
    PartConfig,
    ProbeConfig,
    RecommenderConfig,
    RepresentationConfig,
)
from timbrec.study.short_forms import expanded


def _kind_of_log(value: Any) -> str:
    imports = "import" in value or "importer" in value if isinstance(value, dict) else isinstance(value, ImportConfig)
    return "import" if imports else "log"


def _kind_of_dataset(value: Any) -> str:
    return "set" if isinstance(value, dict | DatasetConfig) else "name"


_Log = Annotated[Annotated[LogConfig, Tag("log")] | Annotated[ImportConfig, Tag("import")], Discriminator(_kind_of_log)]
_Dataset = Annotated[
    Annotated[DatasetConfig, Tag("set")] | Annotated[str, Tag("name")], Discriminator(_kind_of_dataset)
]
BASELINES = ("random", "popularity", "new-first")  # in every run: a figure means nothing without them


class Config(Part):
    """The settings of a run. Paths are relative to the config file.

    With `budget: quick`, trained recommenders start from their preset `quick`, and run with the first seed and the
    shuffled control only.

    With `leaks: remove`, cold tracks with an album or a near copy in train leave the test. `dataset` names the public
    data set of the tracks, which encoders may have been trained on. As `{use: NAME, path: FOLDER}`, the data set is
    read from its official files and replaces `interactions` and, unless given, `items`.

    `truth` is a table of the taste of synthetic listeners: `id` and a column per factor. The page then compares the
    run's results with it.

    With more than `max_failures` audio files without a vector, `timbrec bench` ends with exit code 1.
    """

    name: str = Field(min_length=1)
    output: AnyPath
    interactions: _Log | None = None
    items: ItemsConfig | None = None
    encoders: dict[Name, EncoderConfig] = Field(min_length=1)
    representations: dict[Name, RepresentationConfig] = {}
    split: SplitConfig
    recommenders: list[RecommenderConfig] = [RecommenderConfig(use="knn")]
    budget: Literal["full", "quick"] = "full"
    seeds: Distinct[Annotated[int, Field(ge=0)]] = [0, 1, 2]
    k: Distinct[Annotated[int, Field(ge=1)]] = [10, 20, 50]
    metrics: Distinct[str] = ["hitrate", "recall", "precision", "ndcg", "mrr", "map", "coverage", "popularity"]
    primary: str = "ndcg@50"
    reference: Name | None = None
    cold_candidates: Candidates = "tested"
    mixed_candidates: Candidates = "catalogue"
    strata: list[Literal["artist", "discovery", "age", "popularity", "activity", "genre"]] = []
    leaks: Literal["report", "remove"] = "report"
    dataset: _Dataset | None = None
    cells: list[PartConfig] = [PartConfig(use="ranking")]
    probes: list[ProbeConfig] = []
    mir_scores: AnyPath | None = None
    max_failures: int = Field(0, ge=0)
    truth: AnyPath | None = None
    device: str = "auto"
    note: str | None = None
    base: AnyPath = Path()

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        return expanded(data) if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _one_log(self) -> Config:
        if (self.interactions is None) == (not isinstance(self.dataset, DatasetConfig)):
            raise ValueError("give either `interactions`, or `dataset` with `use` and `path`")
        return self

    @property
    def data(self) -> Dataset | None:
        """The data set that the run reads; None for a log of the user."""
        return self.dataset.opened(self.base) if isinstance(self.dataset, DatasetConfig) else None

    @property
    def knows_tracks(self) -> bool:
        """Whether there is a table of tracks: the user's, or that of a data set with artists."""
        data = self.data
        return self.items is not None or (data is not None and data.has_artists())

    @property
    def knows_artists(self) -> bool:
        """Whether the table of tracks names their artists."""
        return self.knows_tracks and (self.items is None or self.items.has_artists)

    @property
    def log_name(self) -> str:
        """The name of the run's data: the data set, or the run and its log."""
        if isinstance(self.dataset, DatasetConfig):
            return self.dataset.kind.name
        paths = () if self.interactions is None else self.interactions.path
        return self.dataset or f"{self.name} {' '.join(path.stem for path in paths)}"

    @property
    def facts(self) -> dict[str, Any]:
        """The config as JSON values, with an absolute base folder."""
        return self.model_dump(mode="json", exclude_none=True) | {"base": str(self.base.resolve())}

    @property
    def own_parts(self) -> bool:
        """Whether recommenders or kinds of cells are of other packages, which the digest of the code leaves out."""
        names = [("recommenders", entry.use) for entry in self.recommenders] + [
            ("cells", cell.use) for cell in self.cells
        ]
        return any(name not in catalog.CATALOG[kind] for kind, name in names)

    def at(self, path: Path) -> Path:
        """A path of the config as seen from the working folder."""
        return resolved(self.base, path)

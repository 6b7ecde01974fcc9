"""The configuration of a run: a YAML file, checked as a whole before any data is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag, ValidationError, model_validator

from timbrec import catalog
from timbrec.data.items import ItemsConfig
from timbrec.data.log import LogConfig
from timbrec.data.settings import Name, Part, resolved
from timbrec.data.split import Candidates
from timbrec.data.splitting import SplitConfig
from timbrec.data.yaml_text import read_yaml
from timbrec.datasets.shared.base import Dataset
from timbrec.devices import device_of
from timbrec.errors import ConfigError, SeveralErrors, TimbrecError, did_you_mean, listing
from timbrec.histories.importing import ImportConfig
from timbrec.metrics.shared.base import GainMetric
from timbrec.places import AnyPath, location
from timbrec.probes import probe
from timbrec.recommenders import recommender
from timbrec.settings import checked
from timbrec.study.entries import (
    DatasetConfig,
    Distinct,
    EncoderConfig,
    PartConfig,
    ProbeConfig,
    RecommenderConfig,
    RepresentationConfig,
)


def _kind_of_log(value: Any) -> str:
    imports = "import" in value or "importer" in value if isinstance(value, dict) else isinstance(value, ImportConfig)
    return "import" if imports else "log"


def _kind_of_dataset(value: Any) -> str:
    return "set" if isinstance(value, dict | DatasetConfig) else "name"


_Log = Annotated[Annotated[LogConfig, Tag("log")] | Annotated[ImportConfig, Tag("import")], Discriminator(_kind_of_log)]
_Dataset = Annotated[
    Annotated[DatasetConfig, Tag("set")] | Annotated[str, Tag("name")], Discriminator(_kind_of_dataset)
]
_TAGS = {"interactions": ("log", "import"), "dataset": ("set", "name")}  # pydantic puts them into places of errors
BASELINES = ("random", "popularity")  # in every run: a figure means nothing without them


class Config(Part):
    """The settings of a run. Paths are relative to the config file.

    With `budget: quick`, trained recommenders start from their preset `quick`, and run with the first seed and the
    shuffled control only.

    With `leaks: remove`, cold tracks with an album or a near copy in train leave the test. `dataset` names the public
    data set of the tracks, which encoders may have been trained on; as `{use: NAME, path: FOLDER}`, it is read from its
    official files and takes the place of `interactions` and, unless given, `items`.

    `truth` is a table of what listeners of a made world like, `id` and a column per factor: the page then compares
    what the run found with it.

    With more than `max_failures` audio files that have no vector, `timbrec bench` ends with exit code 1.
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
        """`- knn` stands for `- {use: knn}`, `of: mert` for `of: [mert]`, and `metadata:` for all its columns."""
        if not isinstance(data, dict):
            return data
        lists: dict[str, Any] = {
            key: _parts(data[key]) for key in ("recommenders", "cells") if isinstance(data.get(key), list)
        }
        if isinstance(data.get("probes"), list):
            lists["probes"] = [_probe(entry) for entry in data["probes"]]
        if "thinning" in data:
            data = dict(data)
            settings = data.pop("thinning")
            if settings not in (None, False):
                cell = {"use": "thinning"} | (settings if isinstance(settings, dict) else {})
                lists["cells"] = [*lists.get("cells", [{"use": "ranking"}]), cell]
        if isinstance(data.get("encoders"), dict) and data["encoders"].get("metadata", "absent") in (None, {}):
            lists["encoders"] = data["encoders"] | {"metadata": {"metadata": []}}
        if isinstance(data.get("representations"), dict):
            lists["representations"] = {name: _representation(value) for name, value in data["representations"].items()}
        return data | lists

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
        """Whether the artists of tracks are known, from an items table or from the data set."""
        data = self.data
        return self.items is not None or (data is not None and data.has_artists())

    @property
    def log_name(self) -> str:
        """A name of the data that the run is on: the data set, or the run and its log."""
        if isinstance(self.dataset, DatasetConfig):
            return self.dataset.kind.name
        paths = () if self.interactions is None else self.interactions.path
        return self.dataset or f"{self.name} {' '.join(path.stem for path in paths)}"

    def at(self, path: Path) -> Path:
        """A path of the config as seen from the working folder."""
        return resolved(self.base, path)


def _parts(entries: list[Any]) -> list[Any]:
    return [{"use": entry} if isinstance(entry, str) else entry for entry in entries]


def _probe(entry: Any) -> Any:
    """`- gtzan` stands for `- {use: gtzan}`, `- {labels: genres.csv}` for `- {use: labels, path: genres.csv}`."""
    if isinstance(entry, str):
        return {"use": entry}
    if not isinstance(entry, dict):
        return entry
    if "use" not in entry and "labels" in entry:
        path = entry["labels"]
        entry = {"use": "labels", "path": path, "label": Path(str(path)).stem} | {
            key: value for key, value in entry.items() if key != "labels"
        }
    if isinstance(entry.get("vectors"), dict):
        named = {name: {"vectors": value} if isinstance(value, str | Path) else value
                 for name, value in entry["vectors"].items()}  # fmt: skip
        entry = entry | {"vectors": named}
    return entry


def _representation(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    names = value.get("of")
    transforms = value.get("transforms", [])
    return value | {
        "of": names if isinstance(names, list) else [names],
        "transforms": _parts(transforms) if isinstance(transforms, list) else transforms,
    }


def read_config(path: Path) -> Config:
    """Read and check a YAML config. Raises ConfigError, or SeveralErrors when more than one thing is wrong."""
    path = location(path)
    if not path.is_file():
        raise ConfigError(f"there is no config {path}", fix="The README has one to start from.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text", fix="Save it as UTF-8.") from error
    data = read_yaml(text, str(path))
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds no settings", fix="See the README for an example.")
    return make_config(data | {"base": path.parent}, str(path))


def make_config(data: dict[str, Any], where: str = "the config") -> Config:
    """Check settings given as a dictionary, as `read_config` checks a file."""
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise _one_or_several([_explained(detail, where) for detail in error.errors()]) from error
    checks = (
        _unknown_parts, _cell_settings, _probe_problems, _impossible_settings, _primary_problems, _repeated_labels,
        _unknown_sources, _no_reference,
    )  # fmt: skip
    if wrong := [ConfigError(f"{where}: {problem}") for check in checks for problem in check(config)]:
        raise _one_or_several(wrong)
    return config


def _unknown_parts(config: Config) -> Iterator[object]:
    parts = [("metrics", name) for name in [*config.metrics, config.primary.split("@")[0]]]
    parts += [("cells", entry.use) for entry in config.cells]
    parts += [("transforms", step.use) for entry in config.representations.values() for step in entry.transforms]
    parts += [("encoders", entry.encoder or name) for name, entry in config.encoders.items() if entry.audio is not None]
    if isinstance(config.dataset, DatasetConfig):
        parts.append(("datasets", config.dataset.use))
    for kind, name in dict.fromkeys(parts):
        if name not in catalog.names(kind) and not (kind == "encoders" and ":" in name):
            yield _refusal(catalog.load, kind, name)


def _cell_settings(config: Config) -> Iterator[object]:
    """Settings that a kind of cell does not take."""
    for entry in config.cells:
        if entry.use in catalog.names("cells"):
            kind = catalog.load("cells", entry.use)
            if entry.settings and not is_dataclass(kind):
                yield f"cells of kind {entry.use!r} have no settings"
            elif entry.settings and (refused := _refusal(checked, kind, entry.settings)):
                yield refused


def _probe_problems(config: Config) -> Iterator[object]:
    """Unknown probes, settings that a probe does not take, two probes of one name, vectors of unknown encoders."""
    for entry in config.probes:
        if refused := _refusal(probe, entry.use, entry.settings):
            yield refused
        for name in entry.vectors:
            if name not in config.encoders:
                yield f"probe {entry.name!r} has vectors of {name!r}, which is no encoder of the config."
    names = [entry.name for entry in config.probes]
    if repeated := [name for name in names if names.count(name) > 1]:
        yield f"two probes are called {repeated[0]!r}. Give each its own `label`."


def _impossible_settings(config: Config) -> Iterator[object]:
    """Settings a recommender does not take, a missing items table, and a device this machine lacks."""
    for entry in config.recommenders:
        if refused := _refusal(recommender, entry.use, entry.settings, config.budget):
            yield refused
        elif not config.knows_tracks and catalog.load("recommenders", entry.use).uses_artists:
            yield f"recommender {entry.use!r} needs the artist of each track. Name a table of tracks under `items`."
    if not config.knows_tracks and (
        names := [name for name, entry in config.encoders.items() if entry.metadata is not None]
    ):
        yield f"encoder {names[0]!r} needs the metadata of each track. Name a table of tracks under `items`."
    if config.split.by_artist and "catalogue" in (config.cold_candidates, config.mixed_candidates):
        yield (
            "`split.by_artist` leaves out new tracks by known artists, which would be candidates. Set "
            "`cold_candidates` and `mixed_candidates` to tested."
        )
    if config.leaks == "remove" and "catalogue" in (config.cold_candidates, config.mixed_candidates):
        yield (
            "`leaks: remove` leaves out new tracks that train knows, which would be candidates. Set `cold_candidates` "
            "and `mixed_candidates` to tested."
        )
    if not config.knows_tracks:
        for key in [name for name in ("artist", "discovery", "genre") if name in config.strata]:
            yield f"`strata` by {key} need a table of tracks. Name it under `items`."
        if config.split.by_artist:
            yield "`split.by_artist` needs the artist of each track. Name a table of tracks under `items`."
    if config.device not in ("auto", "cpu") and (refused := _refusal(device_of, config.device)):
        yield refused


def _primary_problems(config: Config) -> Iterator[object]:
    """The primary metric must be among metrics and k, and hits must add up to it (for intervals over items)."""
    name = config.primary.split("@")[0]
    if config.primary not in {f"{metric}@{k}" for metric in config.metrics for k in config.k}:
        yield (
            f"`primary` is {config.primary!r}, which `metrics` and `k` do not contain. "
            "Add its metric and its k, or choose another primary metric."
        )
    elif name in catalog.names("metrics") and not issubclass(catalog.load("metrics", name), GainMetric):
        yield f"`primary` is {config.primary!r}, to which hits do not add up. Choose one such as 'ndcg@50'."


def _repeated_labels(config: Config) -> Iterator[object]:
    labels = [entry.label or entry.use for entry in config.recommenders]
    labels += set(BASELINES) - {entry.use for entry in config.recommenders}
    if repeated := sorted({label for label in labels if labels.count(label) > 1}):
        yield f"two recommenders are called {repeated[0]!r}. Give each its own `label`."


def _unknown_sources(config: Config) -> Iterator[object]:
    """Representations must use encoders of the config, and names that no encoder has."""
    for name, entry in config.representations.items():
        if name in config.encoders:
            yield f"`representations` and `encoders` both have {name!r}. Give the representation another name."
        for encoder in entry.of:
            if encoder not in config.encoders:
                known = ", ".join(config.encoders)
                yield f"representation {name!r} is made of {encoder!r}, which `encoders` lacks. It has: {known}."


def _no_reference(config: Config) -> Iterator[object]:
    """The reference must be an encoder or a representation, and not the only one."""
    names = [*config.encoders, *config.representations]
    if config.reference is None:
        return
    if config.reference not in names:
        hint = did_you_mean(config.reference, names)
        yield f"`reference` is {config.reference!r}, which is no encoder. {hint}The config has: {listing(names)}."
    elif len(names) < 2:
        yield f"`reference` is {config.reference!r}, the only encoder. Add an encoder, or leave `reference` out."


def _refusal(make: Callable[..., object], *arguments: object) -> TimbrecError | None:
    """The error that a call raises; None if it raises none."""
    try:
        make(*arguments)
    except TimbrecError as error:
        return error
    return None


def _one_or_several(errors: Sequence[TimbrecError]) -> TimbrecError:
    return errors[0] if len(errors) == 1 else SeveralErrors(list(errors))


def _explained(detail: Any, where: str) -> ConfigError:
    """A validation error as one sentence: the key, the problem, and the nearest key that exists."""
    place = detail["loc"]
    tag = place[1] if len(place) > 1 and place[1] in _TAGS.get(place[0], ()) else ""
    key = ".".join(str(part) for part in (place if not tag else (place[0], *place[2:])))
    if detail["type"] == "extra_forbidden":
        known = _keys(place[:-1])
        hint = did_you_mean(str(detail["loc"][-1]), known)
        return ConfigError(f"{where}: there is no key {key!r}", fix=f"{hint}Known: {', '.join(known)}.")
    if detail["type"] == "missing":
        return ConfigError(f"{where}: key {key!r} is missing", fix="Add it.")
    example = None if isinstance(detail["input"], dict | list) else detail["input"]
    message = detail["msg"].removeprefix("Value error, ")
    return ConfigError(f"{where}: {key or 'config'}: {message}", example=example)


def _keys(place: tuple[int | str, ...]) -> list[str]:
    """The keys that a place of the config accepts."""
    parts: dict[str, type[BaseModel]] = {
        "interactions": ImportConfig if place[1:2] == ("import",) else LogConfig,
        "items": ItemsConfig, "encoders": EncoderConfig, "split": SplitConfig,
    }  # fmt: skip
    model = parts.get(str(place[0]), Config) if place else Config
    names = [field.alias or name for name, field in model.model_fields.items() if name != "base"]
    return [*names, "import"] if model is LogConfig else names

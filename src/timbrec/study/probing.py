"""The probes of a run: their labels and vectors, and their records in the run's folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from timbrec.data.compression import plain_name
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import ConfigError, DataError, TimbrecError, listing
from timbrec.files import checksum, write_atomically
from timbrec.machine.versions import code_digest
from timbrec.probes import probe
from timbrec.probes.shared.base import Context, Probe
from timbrec.probes.shared.published import OURS, SCORES, read_scores_table
from timbrec.probes.shared.records import Record, read_record
from timbrec.probes.shared.running import Loadable, Prepared, prepared, run
from timbrec.store.vectors import read_vectors
from timbrec.study.config import Config
from timbrec.study.entries import ProbeConfig
from timbrec.study.identity import digest_of
from timbrec.study.inputs import Inputs
from timbrec.study.probe_vectors import FOLDER, datasets_of, same, vectors_of_data_set, vectors_of_run
from timbrec.types import Progress

if TYPE_CHECKING:
    from timbrec.probes.shared.labels import Labels

_PLAN, _SCORES = "probes.json", "mir_scores.csv"


@dataclass(frozen=True, eq=False)
class Probed:
    """The records of probes, in the order of config and encoders, and why others failed: (probe, encoder, reason).

    The encoder is empty where the probe failed on all of them.
    """

    records: tuple[Record, ...] = ()
    failures: tuple[tuple[str, str, str], ...] = ()


def run_probes(
    config: Config, inputs: Inputs, folder: Path, progress: Progress | None = None, engine: str = "local"
) -> Probed:
    """Run the probes of a config and keep their records in the run's `folder`; finished ones are not run again.

    Probes of own tracks run on every representation of the run. Probes of data sets run on encoders whose vectors the
    probe names, and on encoders that can encode its audio. A probe that fails does not stop the others. `engine` runs
    probes and encodes audio; it must be connected.
    """
    failures: list[tuple[str, str, str]] = []
    asked = list(_asked(config, inputs, folder, failures, progress, engine))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _keep_scores(config, folder)
    except TimbrecError as error:
        failures.append(("mir_scores", "", str(error)))
    state = digest_of(code_digest(), [item.identity for item in asked])
    if not failures and (kept := _kept(folder, state)) is not None:
        return kept
    probes = list(_prepared(asked, failures))
    places = {(item.label, name): digest_of(*item.identity(name)) for item in probes for name in item.sources}

    def place(item: Prepared, encoder: str) -> Path:
        return folder / FOLDER / places[item.label, encoder]

    records = list(run(probes, place, _collector(failures), progress, engine))
    order = [entry.name for entry in config.probes]
    records.sort(key=lambda record: order.index(record.probe))  # stable: encoders stay in order
    plan = {
        "records": [[record.probe, record.encoder, places[record.probe, record.encoder]] for record in records],
        "failures": failures,
        "depends on": state,
    }
    write_atomically(folder / _PLAN, json.dumps(plan, indent=1))
    return Probed(tuple(records), tuple(failures))


def run_on_files(
    vectors: Mapping[str, Path | str], entries: Sequence[Mapping[str, Any]], ids: Path | str | None = None,
    columns: str | Mapping[str, str] | None = None, progress: Progress | None = None, engine: str = "local",
) -> Probed:  # fmt: skip
    """Run probes, given as in a config, on files of vectors by encoder name, without a run; nothing is kept.

    A probe that fails does not stop the others; unreadable vectors do.
    """
    sources, roles = {}, {"vector": columns} if isinstance(columns, str) else dict(columns or {})
    for name, path in vectors.items():
        source = read_vectors(path, ids if plain_name(Path(path)).endswith(".npy") else None, roles)
        sources[name] = Loadable(source.ids, source.digest, partial(same, source), datasets_of(name), str(path))
    probes: list[Prepared] = []
    failures: list[tuple[str, str, str]] = []
    chosen = [ProbeConfig(**entry) for entry in entries]
    names = [entry.name for entry in chosen]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"two probes are called {repeated[0]!r}", fix="Give each its own name.")
    for entry in chosen:
        try:
            part = probe(entry.use, entry.settings)
            probes.append(prepared(entry.name, entry.use, part, part.labels(Context()), sources))
        except TimbrecError as error:
            failures.append((entry.name, "", str(error)))
    records = list(run(probes, _nowhere, _collector(failures), progress, engine))
    records.sort(key=lambda record: names.index(record.probe))
    return Probed(tuple(records), tuple(failures))


def _nowhere(item: Prepared, encoder: str) -> None:
    """The place of records that are not kept."""


def _collector(failures: list[tuple[str, str, str]]) -> Callable[[Prepared, str, str], None]:
    return lambda item, encoder, reason: failures.append((item.label, encoder, reason))


def read_probes(folder: Path) -> Probed:
    """The records that `run_probes` kept last; empty without any. Records that were changed since are left out."""
    path = folder / _PLAN
    if not path.is_file():
        return Probed()
    plan = json.loads(path.read_text())
    kept = _records(folder)
    records = [(label, encoder, read_record(kept / name)) for label, encoder, name in plan["records"]]
    lost = [(label, encoder, "its record was damaged") for label, encoder, record in records if record is None]
    named = [_named(record, label, encoder) for label, encoder, record in records if record is not None]
    return Probed(tuple(named), (*map(tuple, plan["failures"]), *lost))


def _keep_scores(config: Config, folder: Path) -> None:
    """Copy the table `mir_scores` of the config into the run's folder; delete an earlier one where there is none."""
    path = folder / _SCORES
    path.unlink(missing_ok=True)
    if config.mir_scores is None:
        return
    named = str(config.mir_scores) in OURS and not config.at(config.mir_scores).exists()
    source = config.mir_scores if named else config.at(config.mir_scores)
    table = read_scores_table(source)
    if not table["encoder"].is_in([*config.encoders, *config.representations]).any():
        names = listing([*config.encoders, *config.representations])
        raise DataError(f"{source} has scores of no encoder of the config", example=table["encoder"].first(),
                        fix=f"Call them as the config does: {names}.")  # fmt: skip
    ours = table["encoder"].is_in([*config.encoders, *config.representations])
    write_atomically(path, table.filter(ours).write_csv())


def read_scores(folder: Path) -> pl.DataFrame | None:
    """The published scores (encoder, task, score) kept in a run's folder; None without any."""
    path = folder / _SCORES
    return pl.read_csv(path, schema=SCORES, glob=False) if path.is_file() else None


def probes_digest(folder: Path) -> str:
    """A hash of the stored probes of a run's folder; empty without any."""
    path = folder / _PLAN
    if not path.is_file():
        return ""
    names = [name for _, _, name in json.loads(path.read_text())["records"]]
    files = [_records(folder) / name / "record.json" for name in names]
    scores = folder / _SCORES
    return digest_of(
        checksum(path),
        checksum(scores) if scores.is_file() else "",
        [checksum(file) if file.is_file() else "" for file in files],
    )


def _records(folder: Path) -> Path:
    """The folder of the records; that of an earlier run lies two folders above it."""
    own = folder / FOLDER
    return own if own.is_dir() else folder.parent.parent / FOLDER


def _named(record: Record, label: str, encoder: str) -> Record:
    return replace(record, probe=label, encoder=encoder)


@dataclass(frozen=True, eq=False)
class _Asked:
    """A probe with its labels and vectors, before anything is checked or split."""

    entry: ProbeConfig
    part: Probe
    labels: Labels
    sources: Mapping[str, Loadable]

    @property
    def identity(self) -> list[object]:
        """Everything that decides the records of the probe."""
        ids = {id(source.ids): Vocabulary(source.ids).digest for source in self.sources.values()}
        sources = [(name, source.digest, ids[id(source.ids)]) for name, source in self.sources.items()]
        return [self.entry.model_dump(mode="json"), self.part.version, self.labels.digest, sources]


def _asked(
    config: Config,
    inputs: Inputs,
    folder: Path,
    failures: list[tuple[str, str, str]],
    progress: Progress | None,
    engine: str,
) -> Iterator[_Asked]:
    items = None if config.items is None else config.items.at(config.base)
    context = Context(config.base, inputs.split, inputs.tracks, items)
    own: Mapping[str, Loadable] | None = None
    encoded: dict[str, Mapping[str, Loadable]] = {}
    for entry in config.probes:
        try:
            part = probe(entry.use, entry.settings)
            labels = part.labels(context)
            if part.own_tracks and not entry.vectors:
                own = own or vectors_of_run(config, inputs, progress, engine)
                sources = own
            else:
                sources = vectors_of_data_set(entry, labels, config, folder, encoded, progress, engine)
            yield _Asked(entry, part, labels, sources)
        except TimbrecError as error:
            failures.append((entry.name, "", str(error)))


def _prepared(probes: Iterable[_Asked], failures: list[tuple[str, str, str]]) -> Iterator[Prepared]:
    """The probes that can run, checked and split."""
    for item in probes:
        try:
            yield prepared(item.entry.name, item.entry.use, item.part, item.labels, item.sources)
        except TimbrecError as error:
            failures.append((item.entry.name, "", str(error)))


def _kept(folder: Path, state: str) -> Probed | None:
    """The records that were kept last, if nothing failed and nothing they depend on has changed; else None."""
    path = folder / _PLAN
    if not path.is_file() or json.loads(path.read_text()).get("depends on") != state:
        return None
    probed = read_probes(folder)
    return None if probed.failures else probed

"""The calls of a user: run a benchmark, audit it, write its report, fit the winner."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from timbrec import catalog
from timbrec.audit.finding import Finding
from timbrec.audit.stored import read_audit, write_audit
from timbrec.data.split import SCENARIOS, Scenario
from timbrec.errors import ConfigError, DataError, TimbrecError, listing
from timbrec.machine.cluster import kind_of, session
from timbrec.machine.devices import cores
from timbrec.models import Model
from timbrec.models.from_run import On, chosen_experiment, fit_experiment, inputs_of
from timbrec.places import location
from timbrec.probes.shared.published import read_scores_table
from timbrec.result import Result, page_of, run_of, tables_of
from timbrec.results.choice import Choice, expected, leader
from timbrec.results.leaks import write_leaks
from timbrec.results.published import beside_published
from timbrec.results.published import published_disparity as correlate
from timbrec.results.record import record_of
from timbrec.results.reference import compare_with, encoders, write_reference
from timbrec.results.truth import write_truth
from timbrec.study.config import Config, make_config, read_config
from timbrec.study.description import describe_run
from timbrec.study.grid import run_study
from timbrec.study.inputs import Inputs, load_inputs
from timbrec.study.memory import stored_inputs
from timbrec.study.mirror import working_folder
from timbrec.study.probing import Probed, run_on_files, run_probes
from timbrec.study.runs import TRACKS, Run
from timbrec.types import Progress

_LOG = logging.getLogger(__name__)


def bench(
    config: Config | Mapping[str, Any] | Path | str | None = None,
    progress: Progress | None = None,
    *,
    interactions: Any = None,
    items: Any = None,
    encoders: Mapping[str, Any] | None = None,
    jobs: int | None = 1,
    only: Sequence[str] = (),
    engine: str = "local",
    processes: int = 1,
    **settings: Any,
) -> Result:
    """Run a benchmark, or resume an interrupted one; finished cells are not run again.

    `config` is a YAML file or its content. `interactions` and `items` may be polars or pandas frames, and `encoders` a
    mapping of names to (ids, array), frames, or encoder objects with audio (see `timbrec.study.memory`); `settings` are
    further keys of a config. Without `output`, a run from memory goes to a new temporary folder.

    `jobs` is the number of trained cells to run at once, by default as many as cores and memory allow. `only` names
    encoders, representations or recommenders; other cells wait for a later call. `engine` is `local`, `ray` (a Ray
    cluster started for this run) or `ray://HOST:PORT`. With several `processes`, the run happens in the cluster, and
    each training divides among them (docs/engines.md). `progress(step, done, total)` is called during each long step.
    Raises TimbrecError for wrong input, with all problems in one error if possible.
    """
    in_memory = {"interactions": interactions, "items": items, "encoders": encoders}
    if settings or any(value is not None for value in in_memory.values()):
        if isinstance(config, Config | Path | str):
            raise ConfigError("a config file and further settings were both given", fix="Give one of them.")
        config = _config_from_memory(dict(config or {}) | settings, progress, **in_memory)
    if not isinstance(config, Config):
        if config is None:
            raise ConfigError("there is nothing to run", fix="Give a config, or `interactions` and `encoders`.")
        config = make_config(dict(config)) if isinstance(config, Mapping) else read_config(Path(config))
    if processes > 1:
        return _bench_together(config, progress, only, engine, processes)
    with _session(engine):
        return _bench(config, progress, jobs, only, engine)


def _session(engine: str) -> AbstractContextManager[None]:
    """The session of an engine. Raises ConfigError for an unknown engine."""
    catalog.load("engines", kind_of(engine))
    return session(engine)


def _bench(config: Config, progress: Progress | None, jobs: int | None, only: Sequence[str], engine: str) -> Result:
    inputs = load_inputs(config, progress, engine=engine)
    run = Run.create(config.at(config.output), describe_run(config, inputs), inputs.split)
    if run.kept:
        _LOG.warning("%s", run.kept)
    inputs.files.write_csv(run.folder / "files.csv")
    inputs.tracks.write_parquet(run.folder / TRACKS)
    write_leaks(run, config, inputs, progress)
    write_truth(run, inputs)
    run_study(config, inputs, run, progress, jobs=jobs, only=only, device=config.device, engine=engine)
    stale = read_audit(run).due  # neither probes nor figures change what an audit depends on
    with _code_checked_beside(progress) if stale and jobs != 1 and cores() > 1 else nullcontext():
        if config.probes or config.mir_scores:
            _log_failures(run_probes(config, inputs, run.folder, progress, engine))
            run.publish()
        tables = tables_of(run, progress)
        findings = _audit_run(run, inputs, progress) if stale else []
    if stale:
        _audit_code(run, findings, progress)
    return page_of(run, tables, progress)


def _bench_together(
    config: Config, progress: Progress | None, only: Sequence[str], engine: str, processes: int
) -> Result:
    """Run a benchmark in a Ray cluster, by processes that train together; its folder must be seen here and there."""
    from timbrec.training.launching import run_together  # loads torch

    if kind_of(engine) != "ray":
        raise ConfigError("several processes are started by Ray",
                          fix="Add `--engine ray`, or start the command by torchrun (docs/engines.md).")  # fmt: skip
    whole, output = config.model_copy(update={"base": config.base.absolute()}), config.at(config.output)

    def watch() -> None:
        with suppress(DataError):  # there is no run yet
            run = Run(output)
            if progress is not None and run.experiments:
                progress("cells", len(run.finished), len(run.experiments))

    with _session(engine):
        run_together(engine, processes, config.device, _bench, whole, None, 1, list(only), "local", watch=watch)
    try:
        return report(Run(output), progress)
    except DataError as error:
        raise ConfigError(f"the run is finished, and {output} is not seen from here",
                          fix="Set `output` to a bucket, or to a disk that every node mounts.") from error  # fmt: skip


def _code_checked_beside(progress: Progress | None) -> AbstractContextManager[None]:
    from timbrec.audit.beside import code_checked_beside  # loads the checks, which a finished run does not need

    return code_checked_beside(progress)


def probe(config: Config | Path | str, progress: Progress | None = None, engine: str = "local") -> Probed:
    """Run the probes of a config alone and keep their records in its `output`, where `report` finds them.

    Finished probes are not run again. `engine` is that of `bench`. Raises ConfigError for a config without probes.
    """
    settings = config if isinstance(config, Config) else read_config(Path(config))
    if not settings.probes:
        raise ConfigError("the config has no `probes`", fix="Add some, such as `probes: [{labels: genres.csv}]`.")
    with _session(engine):
        inputs = load_inputs(settings, progress, engine=engine)
        with working_folder(settings.at(settings.output)) as folder:
            return run_probes(settings, inputs, folder, progress, engine)


def probe_vectors(
    vectors: Mapping[str, Path | str],
    probes: Sequence[Mapping[str, Any]],
    *,
    ids: Path | str | None = None,
    columns: str | None = None,
    progress: Progress | None = None,
    engine: str = "local",
) -> Probed:
    """Run probes, given as in a config, on files of vectors by encoder name; nothing is kept.

    `ids` is the file of ids for .npy vectors, `columns` a pattern for the columns of vectors in tables. Relative
    paths start at the working folder. `engine` is that of `bench`.
    """
    with _session(engine):
        return run_on_files(vectors, probes, ids, columns, progress, engine)


def published_disparity(scores: Path | str, study: str = "tamm2026") -> pl.DataFrame:
    """Rank correlations of published MIR scores with a study's published cold figures, over encoders in both.

    `scores` is a table with the columns encoder, task and score, or "mteb" for the one in the package. Returns the
    table that `timbrec.results.published.published_disparity` describes.
    """
    return correlate(read_scores_table(Path(scores)), study)


def _log_failures(probed: Probed) -> None:
    for label, encoder, reason in probed.failures:
        _LOG.warning("probe %s%s failed: %s", label, f" on {encoder}" if encoder else "", reason)


def _config_from_memory(settings: dict[str, Any], progress: Progress | None, **tables: Any) -> dict[str, Any]:
    output = settings.get("output") or tempfile.mkdtemp(prefix="timbrec-")
    stored = stored_inputs(location(output), progress=progress, **tables)
    return {"name": "run"} | settings | {"output": output} | stored


def audit(run: Run, inputs: Inputs | TimbrecError, progress: Progress | None = None) -> list[Finding]:
    """Audit a run against its inputs and the code that made it; keep the findings in its folder."""
    return _audit_code(run, _audit_run(run, inputs, progress), progress)


def _audit_run(run: Run, inputs: Inputs | TimbrecError, progress: Progress | None) -> list[Finding]:
    from timbrec.audit import audit_run  # loads every recommender

    return audit_run(run, inputs, progress)


def _audit_code(run: Run, findings: list[Finding], progress: Progress | None) -> list[Finding]:
    """Audit the code that made a run, and keep the findings after those about the run itself."""
    from timbrec.audit import audit_code, run_parts

    findings = findings + audit_code(progress, run_parts(run))
    write_audit(run, findings)
    run.publish()
    return findings


def report(run: Run, progress: Progress | None = None) -> Result:
    """Write report.html and the figures of the finished cells as CSV; unchanged figures are not computed again."""
    return page_of(run, tables_of(run, progress), progress)


def compare(
    run: Run | Result | Path | str, reference: str | None = None, progress: Progress | None = None
) -> pl.DataFrame:
    """Compare every encoder of a run with a reference, by default the config's; also writes reference.csv.

    Returns the table that `timbrec.results.reference.compare_with` describes, on the primary metric. Raises ConfigError
    without a reference, for one that the run lacks, and for a run with a single encoder.
    """
    run = run_of(run)
    reference = reference or run.facts["config"].get("reference")
    if reference is None:
        raise ConfigError(
            "there is no reference to compare with", fix=f"Name one with --reference: {listing(encoders(run))}."
        )
    table = compare_with(run, reference, make_config(run.facts["config"]).primary, progress)
    write_reference(run, table)
    run.publish()
    return table


def compare_published(
    run: Run | Result | Path | str, study: str = "tamm2026", progress: Progress | None = None
) -> pl.DataFrame:
    """The figures of a run beside the published figures of a study, with the numbers of known defects.

    Returns the table that `timbrec.results.published.beside_published` describes.
    """
    run = run_of(run)
    return beside_published(run, tables_of(run, progress), study)


def log_run(
    run: Run | Result | Path | str, tracker: str, project: str | None = None, progress: Progress | None = None
) -> str:
    """Log a run to an experiment tracker, `mlflow` or `wandb`; returns its address there.

    `project` names the project, in MLflow the experiment. Raises ConfigError for an unknown tracker, for one whose
    client is not installed (an extra of timbrec), and for a service that does not accept the run.
    """
    kind = catalog.load("trackers", tracker)
    run = run_of(run)
    where: str = kind(project).log(record_of(run, tables_of(run, progress)))
    return where


def fit_run(
    run: Run | Result | Path | str,
    best: Scenario | None = None,
    *,
    encoder: str | None = None,
    recommender: str | None = None,
    on: On = "all",
    progress: Progress | None = None,
) -> Model:
    """Fit a combination of a run on all its plays; returns the model.

    `best` names the scenario whose leader is fitted; otherwise `encoder` and `recommender` (its label) name the
    combination. `on="train"` fits on the train part alone. The run's figures are in the model's card under "expected".
    Raises ConfigError for a combination that the run lacks, DataError if the inputs of the run have changed.
    """
    run = run_of(run)
    config = make_config(run.facts["config"])
    inputs = inputs_of(run, config, progress)
    tables = tables_of(run, progress)
    if best is not None:
        if best not in SCENARIOS or encoder or recommender:
            raise ConfigError("give a scenario, or an encoder and a recommender", example=best,
                              fix=f"Scenarios: {', '.join(SCENARIOS)}.")  # fmt: skip
        choice = leader(tables, best)
    else:
        named = chosen_experiment(run, encoder, recommender)
        choice = Choice(named.encoder, named.label, "it was asked for")
    experiment = chosen_experiment(run, choice.encoder, choice.label)
    model = fit_experiment(run, experiment, config, inputs, on, progress)
    why = {"why": choice.why, "remarks": list(choice.remarks), "best": best}
    figures = expected(tables, experiment.encoder, experiment.label, config.primary)
    return replace(model, card=model.card | why | {"expected": figures})


def audit_all(folder: Path | None, progress: Progress | None = None) -> list[Finding]:
    """Audit the running code on planted worlds and, if a folder is named, the run in it; returns the findings.

    Inputs that can no longer be read are a refused finding, not an error.
    """
    from timbrec.audit import audit_code

    if folder is None:
        return audit_code(progress)
    run = Run(folder)
    inputs: Inputs | TimbrecError
    try:
        inputs = load_inputs(make_config(run.facts["config"]), progress)
    except TimbrecError as error:
        inputs = error
    return audit(run, inputs, progress)

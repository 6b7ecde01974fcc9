"""The calls of a user: run a benchmark, audit it, write its report, fit what won."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from timbrec import catalog
from timbrec.audit.finding import Finding
from timbrec.audit.stored import StoredAudit, read_audit, write_audit
from timbrec.cluster import session
from timbrec.data.split import SCENARIOS, Scenario
from timbrec.errors import ConfigError, DataError, listing
from timbrec.models import Model
from timbrec.models.from_run import On, chosen_experiment, fit_experiment, inputs_of
from timbrec.probes.shared.published import read_scores_table
from timbrec.report import ReportData, draw_figures, write_report
from timbrec.results.choice import Choice, expected, leader
from timbrec.results.figures import Figures, compute_figures
from timbrec.results.leaks import write_leaks
from timbrec.results.lines import baselines
from timbrec.results.published import beside_published
from timbrec.results.published import published_disparity as correlate
from timbrec.results.reference import compare_with, encoders, read_reference, write_reference
from timbrec.results.stored import read_figures, write_figures
from timbrec.results.summary import summarise
from timbrec.results.tables import further_tables
from timbrec.results.truth import write_truth
from timbrec.results.verdict import Verdict
from timbrec.study.config import Config, make_config, read_config
from timbrec.study.description import describe_run
from timbrec.study.grid import run_study
from timbrec.study.inputs import FILES, Inputs, load_inputs
from timbrec.study.memory import stored_inputs
from timbrec.study.probing import Probed, run_on_files, run_probes
from timbrec.study.runs import TRACKS, Run
from timbrec.types import Progress

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A finished or interrupted run: its folder, figures, verdicts and audit, and the page that shows them.

    `figures` has one row per (encoder, recommender, control, scenario, metric, seed); `standings` one row per line and
    control, with intervals; `gains` the gain of real vectors over each control; `summary` is the wide view of these.
    """

    run: Run
    tables: Figures
    audit: StoredAudit
    report: Path

    @property
    def verdict(self) -> tuple[Verdict, ...]:
        """The verdict on every scenario that has lines with audio."""
        return self.tables.verdicts

    @property
    def figures(self) -> pl.DataFrame:
        """The value of every metric on every cell."""
        return self.tables.figures

    @property
    def standings(self) -> pl.DataFrame:
        """Means over seeds with 95 % intervals and the chance level."""
        return self.tables.standings

    @property
    def gains(self) -> pl.DataFrame:
        """Real vectors against each control, paired."""
        return self.tables.gains

    @property
    def differences(self) -> pl.DataFrame:
        """All pairs of lines on the primary metric, paired, with simultaneous intervals."""
        return self.tables.differences

    @property
    def reference(self) -> pl.DataFrame | None:
        """Every encoder minus the config's `reference`, as `timbrec.compare` returns it; None without a reference."""
        return read_reference(self.run)

    @property
    def summary(self) -> pl.DataFrame:
        """One wide row per (encoder, recommender, scenario, metric)."""
        return summarise(self.tables)

    @property
    def findings(self) -> list[Finding]:
        """The findings of the audit; empty if the run has no valid audit."""
        return list(self.audit.findings)

    @property
    def primary(self) -> str:
        """The label of the primary metric."""
        return str(self.run.facts["config"]["primary"])

    def plot(self) -> Any:
        """The plot of hot against cold figures, as SVG that notebooks show; None when no line has both."""
        return draw_figures(self._data)

    @property
    def _data(self) -> ReportData:
        return _report_data(self.run, self.tables, self.audit, {})

    def __repr__(self) -> str:
        leads = " ".join(verdict.sentence for verdict in self.verdict) or "no verdict"
        missing = len(self.run.missing)
        state = f", {missing} cells missing" if missing else ""
        return f"<timbrec.Result {self.run.folder} ({leads}{state}; audit {self._audit_state})>"

    def _repr_html_(self) -> str:
        rows = self.summary.filter(metric=self.primary).sort("scenario", "value", descending=[False, True])
        columns = ["encoder", "recommender", "scenario", "value", "low", "high", "chance", "shuffled"]
        table: str = rows.select(columns)._repr_html_()
        return f"<p><b>{self.primary}</b>, audit {self._audit_state}</p>{table}"

    @property
    def _audit_state(self) -> str:
        if self.audit.missing:
            return f"does not count ({self.audit.missing})"
        return "passed" if self.audit.passed else "REFUSED"


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
    **settings: Any,
) -> Result:
    """Run a benchmark, or resume an interrupted one; finished cells are not run again.

    `config` is a YAML file or its content. `interactions` and `items` may be polars or pandas frames, and `encoders` a
    mapping of names to (ids, array), frames, or encoder objects with audio (see `timbrec.study.memory`); `settings` are
    further keys of a config. Without `output`, a run from memory goes to a new temporary folder. `jobs` trained cells
    run at once, None as many as cores and memory allow; `only` names encoders, representations or recommenders: other
    cells wait for a later call. `engine` is `local`, `ray` (a Ray cluster started for this run) or `ray://HOST:PORT`.
    `progress(step, done, total)` is called during each long step. Raises TimbrecError for wrong input, with all
    problems in one error where possible.
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
    with _session(engine):
        return _bench(config, progress, jobs, only, engine)


def _session(engine: str) -> AbstractContextManager[None]:
    """The session of an engine. Raises ConfigError for an unknown engine."""
    catalog.load("engines", engine.split("://")[0])
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
    if config.probes or config.mir_scores:
        _log_failures(run_probes(config, inputs, run.folder, progress, engine))
    tables = _tables(run, progress)
    if read_audit(run).missing:
        audit(run, inputs, progress)
    return _page(run, tables, progress)


def probe(config: Config | Path | str, progress: Progress | None = None, engine: str = "local") -> Probed:
    """Run the probes of a config alone and keep their records in its `output`, where `report` finds them.

    Finished probes are not run again. `engine` is that of `bench`. Raises ConfigError for a config without probes.
    """
    settings = config if isinstance(config, Config) else read_config(Path(config))
    if not settings.probes:
        raise ConfigError("the config has no `probes`", fix="Add some, such as `probes: [{labels: genres.csv}]`.")
    with _session(engine):
        inputs = load_inputs(settings, progress, engine=engine)
        return run_probes(settings, inputs, settings.at(settings.output), progress, engine)


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
    stored = stored_inputs(Path(output), progress=progress, **tables)
    return {"name": "run"} | settings | {"output": output} | stored


def audit(run: Run, inputs: Inputs, progress: Progress | None = None) -> list[Finding]:
    """Audit a run against its inputs and the code that made it; keep the findings in its folder."""
    from timbrec.audit import audit_code, audit_run, run_parts  # loads every recommender

    findings = audit_run(run, inputs, progress) + audit_code(progress, run_parts(run))
    write_audit(run, findings)
    return findings


def report(run: Run, progress: Progress | None = None) -> Result:
    """Write report.html and the figures of the finished cells as CSV; unchanged figures are not computed again."""
    return _page(run, _tables(run, progress), progress)


def compare(
    run: Run | Result | Path | str, reference: str | None = None, progress: Progress | None = None
) -> pl.DataFrame:
    """Compare every encoder of a run with a reference, by default the config's; also writes reference.csv.

    Returns the table that `timbrec.results.reference.compare_with` describes, on the primary metric. Raises ConfigError
    without a reference, for one that the run lacks, and for a run with a single encoder.
    """
    run = _run_of(run)
    reference = reference or run.facts["config"].get("reference")
    if reference is None:
        raise ConfigError(
            "there is no reference to compare with", fix=f"Name one with --reference: {listing(encoders(run))}."
        )
    table = compare_with(run, reference, make_config(run.facts["config"]).primary, progress)
    write_reference(run, table)
    return table


def compare_published(
    run: Run | Result | Path | str, study: str = "tamm2026", progress: Progress | None = None
) -> pl.DataFrame:
    """The figures of a run beside those that a study published, with the numbers of the defects that affect these.

    Returns the table that `timbrec.results.published.beside_published` describes.
    """
    run = _run_of(run)
    return beside_published(run, _tables(run, progress), study)


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
    run = _run_of(run)
    config = make_config(run.facts["config"])
    inputs = inputs_of(run, config, progress)
    tables = _tables(run, progress)
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


def _run_of(run: Run | Result | Path | str) -> Run:
    return run if isinstance(run, Run) else run.run if isinstance(run, Result) else Run(Path(run))


def _tables(run: Run, progress: Progress | None) -> Figures:
    """The figures of the finished cells; also writes them to the run's folder."""
    if not run.finished:
        raise DataError(f"{run.folder} has no finished cell yet", fix="Run the benchmark again.")
    if (tables := read_figures(run)) is None:
        config = make_config(run.facts["config"])
        tables = compute_figures(run, config.metrics, config.k, config.primary, progress)
        write_figures(run, tables)
    return tables


def _page(run: Run, tables: Figures, progress: Progress | None = None) -> Result:
    stored = read_audit(run)
    further = further_tables(run, tables, progress)
    if (table := further.get("reference")) is not None:
        write_reference(run, table)
    page = write_report(_report_data(run, tables, stored, further), run.folder / "report.html")
    return Result(run, tables, stored, page)


def _report_data(run: Run, tables: Figures, stored: StoredAudit, further: Mapping[str, pl.DataFrame]) -> ReportData:
    facts = run.facts
    config = make_config(facts["config"])
    return ReportData(
        name=config.name,
        created=facts["created"],
        version=facts["version"],
        protocol=config.split.protocol,
        primary=config.primary,
        synthetic=config.note,
        data_card=[tuple(row) for row in facts["data_card"]],
        split=run.split.describe(),
        summary=summarise(tables),
        differences=tables.differences,
        tables=further,
        facts=facts,
        settings={experiment.label: experiment.settings for experiment in run.experiments},
        findings=stored.findings,
        not_audited=stored.missing,
        missing=[(experiment.title, run.failure(experiment) or "not run yet") for experiment in run.missing],
        verdicts=tables.verdicts,
        encoders=facts["encoders"],
        baselines=baselines(run),
        commands=[
            "timbrec bench CONFIG.yaml",
            f"timbrec audit {config.output}",
            *(
                f"timbrec fit {config.output} --best {verdict.scenario}  # {verdict.leader}"
                for verdict in tables.verdicts
            ),
        ],
    )


def audit_all(folder: Path | None, progress: Progress | None = None) -> list[Finding]:
    """Audit the running code on planted worlds and, if a folder is named, the run in it; returns the findings."""
    from timbrec.audit import audit_code

    if folder is None:
        return audit_code(progress)
    run = Run(folder)
    return audit(run, load_inputs(make_config(run.facts["config"]), progress), progress)


def read_files(run: Run) -> pl.DataFrame:
    """The audio files (encoder, id, path, outcome, reason, fix) of the last benchmark that failed or have a remark."""
    path = run.folder / "files.csv"
    return pl.read_csv(path, infer_schema=False) if path.is_file() else pl.DataFrame(schema=FILES)

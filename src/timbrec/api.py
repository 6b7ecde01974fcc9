"""The main job in one call: read, split, fit, rank, audit, report."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from timbrec import __version__, catalog
from timbrec.audit import Finding, audit_code, audit_run
from timbrec.errors import DataError
from timbrec.files import write_atomically
from timbrec.report import ReportData, write_report
from timbrec.results.figures import baselines, summarise, verdicts
from timbrec.study.cell import run_study
from timbrec.study.config import Config, make_config, read_config
from timbrec.study.inputs import FILES, Inputs, data_card, load_inputs
from timbrec.study.runs import Run
from timbrec.types import Progress


@dataclass(frozen=True, eq=False)
class Result:
    """What a benchmark leaves: the run's folder, its figures, what the audit found, and the page that shows them."""

    run: Run
    summary: pl.DataFrame
    findings: list[Finding]
    report: Path


def bench(config: Config | dict[str, Any] | Path | str, progress: Progress | None = None) -> Result:
    """Run a benchmark, or go on with one that was interrupted; finished cells are not run again.

    `config` is a YAML file or its content. `progress(what, done, total)` hears how far each long step is. The summary
    has one row per (encoder, recommender, scenario, metric). Raises TimbrecError for everything wrong with the input.
    """
    if not isinstance(config, Config):
        config = make_config(config) if isinstance(config, dict) else read_config(Path(config))
    inputs = load_inputs(config, progress)
    run = Run.create(config.at(config.output), _facts(config, inputs), inputs.split)
    inputs.files.write_csv(run.folder / "files.csv")
    run_study(config, inputs, run, progress)
    audit(run, inputs, progress)
    return report(run, progress)


def audit(run: Run, inputs: Inputs, progress: Progress | None = None) -> list[Finding]:
    """Audit a run against its inputs, and keep the findings in its folder."""
    findings = audit_run(run, inputs, progress)
    write_atomically(run.folder / "audit.json", json.dumps([dataclasses.asdict(one) for one in findings], indent=1))
    return findings


def report(run: Run, progress: Progress | None = None) -> Result:
    """Compute the figures of the cells that are finished and write report.html and results.csv."""
    facts = run.facts
    config = make_config(facts["config"])
    if not any(run.has(one) for one in run.experiments):
        raise DataError(f"{run.folder} has no finished cell yet", fix="Run the benchmark again.")
    summary = summarise(run, config.metrics, config.k, progress)
    name, k = config.primary.split("@")
    findings = read_findings(run)
    data = ReportData(
        name=config.name,
        created=facts["created"],
        version=facts["version"],
        protocol=config.split.protocol,
        primary=config.primary,
        synthetic=config.note,
        data_card=[tuple(row) for row in facts["data_card"]],
        split=run.split.describe(),
        summary=summary,
        findings=findings,
        verdicts=verdicts(run, summary, catalog.load("metrics", name)(int(k))),
        encoders=facts["encoders"],
        baselines=baselines(run),
        commands=["timbrec bench CONFIG.yaml", f"timbrec audit {config.output}"],
    )
    return Result(run, summary, findings, write_report(data, run.folder / "report.html"))


def audit_all(folder: Path | None, progress: Progress | None = None) -> list[Finding]:
    """The whole audit: the running code on worlds whose answer is known and, if one is named, a run's figures."""
    findings = audit_code(progress)
    if folder is None:
        return findings
    run = Run(folder)
    return findings + audit(run, load_inputs(make_config(run.facts["config"]), progress), progress)


def read_findings(run: Run) -> list[Finding]:
    """What the last audit of the run found; empty when it was not audited yet."""
    path = run.folder / "audit.json"
    return [Finding(**one) for one in json.loads(path.read_text())] if path.is_file() else []


def read_files(run: Run) -> pl.DataFrame:
    """The audio files (encoder, id, path, reason) that have no vector or are odd, as the last benchmark found them."""
    path = run.folder / "files.csv"
    return pl.read_csv(path, infer_schema=False) if path.is_file() else pl.DataFrame(schema=FILES)


def _facts(config: Config, inputs: Inputs) -> dict[str, Any]:
    """What describes a run: its config, with paths that hold wherever it is read again, and its data card."""
    stored = config.model_dump(mode="json", exclude_none=True) | {"base": str(config.base.resolve())}
    return {
        "version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": stored,
        "data_card": data_card(inputs),
        "encoders": [_encoder_facts(name, config, inputs) for name in inputs.sources],
    }


def _encoder_facts(name: str, config: Config, inputs: Inputs) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": name, "dim": inputs.sources[name].dim}
    if config.encoders[name].audio is None:
        return facts
    card = catalog.load("encoders", config.encoders[name].encoder or name).card
    return facts | {field: getattr(card, field) for field in ("revision", "licence_weights", "parameters", "citation")}

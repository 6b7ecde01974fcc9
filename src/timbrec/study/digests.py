"""Digests of everything that the figures and the audit of a run depend on."""

from __future__ import annotations

from timbrec.machine.versions import code_digest
from timbrec.study.identity import digest_of
from timbrec.study.runs import Run


def digests(run: Run) -> dict[str, str]:
    """Digests of config, split, plan, finished cells and code, by names for readers."""
    plan = run.experiments
    return {
        "the config": digest_of(run.facts["config"]),
        "the split": run.split.digest,
        "the artists and genres": digest_of(run.tracks.to_dict(as_series=False)),
        "the plan": digest_of([experiment.hash for experiment in plan]),
        "the finished cells and their lists": digest_of([run.checksums(experiment) for experiment in plan]),
        "the code of timbrec": code_digest(),
    }

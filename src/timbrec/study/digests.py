"""Digests of a run: everything its figures and its audit depend on."""

from __future__ import annotations

from timbrec.study.identity import digest_of
from timbrec.study.runs import Run
from timbrec.study.versions import code_digest


def digests(run: Run) -> dict[str, str]:
    """Digests of config, split, plan, finished cells and code, under the words a reader knows them by."""
    plan = run.experiments
    return {
        "the config": digest_of(run.facts["config"]),
        "the split": run.split.digest,
        "the plan": digest_of([experiment.hash for experiment in plan]),
        "the finished cells and their lists": digest_of([run.checksums(experiment) for experiment in plan]),
        "the code of timbrec": code_digest(),
    }

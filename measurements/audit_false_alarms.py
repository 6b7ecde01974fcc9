"""How often the audit refuses a run that has nothing wrong with it: at most 2 % of clean planted worlds may be refused.

    python measurements/audit_false_alarms.py [WORLDS] [FIRST SEED]

Each world is a fresh log and a fresh encoder, run and audited as `timbrec bench` does it, at a fifth of the size of the
audit's own worlds. Prints each alarm, and at the end the share of worlds with any.

Measured for the seeds 0 to 199: 2 worlds refused (1.0 %), both by controls-hot. A level of 0.005 instead of 0.002 for
each of the two checks of controls would refuse 4.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from timbrec.audit import audit_run
from timbrec.store.vectors import Vectors
from timbrec.study.config import make_config
from timbrec.study.grid import run_study
from timbrec.study.inputs import Inputs
from timbrec.study.runs import Run
from timbrec.worlds.planted import PlantedWorld

SIZE = 300
QUALITY = 0.7


def main(worlds: int, first: int) -> None:
    started, alarms, refused = time.perf_counter(), Counter[str](), 0
    for seed in range(first, first + worlds):
        with tempfile.TemporaryDirectory() as folder:
            findings = [finding for finding in audit_run(*clean_run(Path(folder), seed)) if not finding.passed]
        alarms.update(finding.name for finding in findings)
        refused += bool(findings)
        for finding in findings:
            print(f"world {seed}: {finding.name}: {finding.figure}; {finding.detail}", flush=True)
    seconds = time.perf_counter() - started
    print(f"{refused} of {worlds} clean worlds refused ({refused / worlds:.1%}) {dict(alarms)}, {seconds:.0f} s")


def clean_run(folder: Path, seed: int) -> tuple[Run, Inputs]:
    """A finished run on a world of its own."""
    world = PlantedWorld(SIZE, SIZE, seed=seed)
    source = Vectors(world.split.items.ids, world.vectors(QUALITY))
    inputs = Inputs(world.events, world.events, world.split, {"encoder": source})
    config = make_config(
        {
            "name": "clean",
            "output": str(folder),
            "interactions": {"path": "none"},
            "encoders": {"encoder": {"vectors": "none"}},
            "split": {"test_at": "2019-02-01"},
            "recommenders": ["knn", {"use": "knn", "scale": "centre", "label": "centred"}],
            "seeds": [0, 1],
            "k": [10, 20],
            "metrics": ["hitrate", "recall", "ndcg"],
            "primary": "ndcg@20",
        }
    )
    run = Run.create(folder, {"config": config.model_dump(mode="json", exclude_none=True)}, inputs.split)
    run_study(config, inputs, run)
    return run, inputs


if __name__ == "__main__":
    main(*(int(number) for number in [*sys.argv[1:], 200, 0][:2]))

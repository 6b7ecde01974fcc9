"""Training by two processes that torchrun starts: the losses of one process at the same global batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from timbrec.errors import ConfigError
from timbrec.training.together import Group, leading

SCRIPT = """
import json, sys
from trained_world import world
import numpy as np
from timbrec.recommenders import recommender
from timbrec.training.steps import Steps
from timbrec.training.together import group, leading

steps = []
update = Steps._update

def noted(self, loss, value, step):
    steps.append(value)
    return update(self, loss, value, step)

Steps._update = noted
small = {
    "hybrid": {"epochs": 2, "width": 16, "batch": 50},
    "bert4rec": {"epochs": 2, "width": 16, "feed_forward": 16, "length": 24, "batch": 25, "dropout": 0.0},
    "shallow": {"epochs": 2, "width": 16, "batch": 500},
}
with leading("cpu") as leads:
    if leads:
        made, found = world(n_users=120, n_items=160), {}
        for name, settings in small.items():
            steps.clear()
            part = recommender(name, settings)
            scorer = part.fit(made.fold.train, made.content, made.fold, np.random.default_rng(3))
            found[name] = {"steps": list(steps), "facts": scorer.facts, "chosen": scorer.chosen,
                           "processes": 1 if group() is None else group().size}
        print("FOUND" + json.dumps(found), flush=True)
"""


def losses(folder: Path, command: list[str]) -> dict[str, Any]:
    script = folder / "script.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *command, str(script)], env=environment, capture_output=True, text=True,
                          timeout=240, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.split("FOUND")[1].splitlines()[0])
    return found


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    """Batches do not divide by two, and the last one is smaller; the masks of BERT4Rec are drawn at random."""
    pytest.importorskip("lightning_fabric", reason="the extra `fabric` is not installed")
    alone = losses(tmp_path, [])
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    together = losses(tmp_path, launcher)
    for name in ("hybrid", "bert4rec"):
        assert (alone[name]["processes"], together[name]["processes"]) == (1, 2)
        assert len(alone[name]["steps"]) == len(together[name]["steps"]) >= 6
        assert together[name]["steps"] == pytest.approx(alone[name]["steps"], abs=1e-5)
        assert together[name]["chosen"] == alone[name]["chosen"]
    assert len(alone["shallow"]["steps"]) >= 6
    assert together["shallow"] == alone["shallow"] | {"processes": 2}, "the leader trains it alone, to the bit"


def test_a_process_alone_leads_without_fabric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with leading() as leads:
        assert leads
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ConfigError, match=r'needs Lightning Fabric. Install it: pip install "timbrec\[fabric\]"'):
        leading().__enter__()


@pytest.mark.parametrize(("count", "size"), [(7, 2), (8, 3), (2, 2), (100, 7)])
def test_the_shares_of_a_batch_are_its_rows(count: int, size: int) -> None:
    rows = []
    for rank in range(size):
        own = object.__new__(Group)
        own.size, own.rank = size, rank
        rows += list(range(count))[own.rows(count)]
    assert rows == list(range(count))

"""The study: every encoder with every recommender, control and seed, hot, cold and mixed."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from timbrec.data.split import SCENARIOS, Fold, Scenario, Split, Task
from timbrec.errors import CannotRankError
from timbrec.protocols import Content, Recommender, Scorer, Workspace
from timbrec.ranking.rank import TopK, rank
from timbrec.recommenders import recommender
from timbrec.study.config import BASELINES, Config
from timbrec.study.controls import CONTROLS, Control, vectors_of
from timbrec.study.inputs import Inputs
from timbrec.study.runs import Cell, Experiment, Run
from timbrec.training import drop_checkpoints
from timbrec.types import Array, Float32, Progress


def plan(config: Config, inputs: Inputs) -> list[Experiment]:
    """The experiments of a run, controls included, in the order in which they run.

    A recommender without content runs once, not once per encoder; one that no seed changes runs with the first seed
    alone, and with all seeds on the controls, whose vectors they draw.
    """
    wanted = [(one.use, one.settings, one.label or one.use) for one in config.recommenders]
    wanted += [(name, {}, name) for name in BASELINES if name not in [use for use, _, _ in wanted]]
    experiments = []
    for name, settings, label in wanted:
        made = recommender(name, settings)
        controls: tuple[Control, ...] = ("real", *CONTROLS) if made.uses_content else ("real",)
        for encoder in inputs.sources if made.uses_content else [None]:
            for control in controls:
                seeds = config.seeds[:1] if made.deterministic and control == "real" else config.seeds
                experiments += [
                    Experiment(
                        split=inputs.split.digest,
                        encoder=encoder,
                        vectors=None if encoder is None else inputs.sources[encoder].digest,
                        control=control,
                        artists=inputs.artists_digest,
                        recommender=name,
                        settings=asdict(made),
                        version=made.version,
                        label=label,
                        seed=seed,
                        depth=max(config.k),
                        cold_candidates=config.cold_candidates,
                    )
                    for seed in seeds
                ]
    return experiments


def run_study(config: Config, inputs: Inputs, run: Run, progress: Callable[[str, int, int], None] | None = None) -> int:
    """Run every experiment of the plan that is not finished; returns how many that were.

    Vectors are read once per encoder. `progress` hears the name of a cell, how many are done and how many there are.
    """
    experiments = plan(config, inputs)
    run.plan(experiments)
    for leftover in (run.folder / "training" / "shared").glob(".*"):  # of a run that was stopped while it wrote
        shutil.rmtree(leftover, ignore_errors=True)
    missing = list({one.hash: one for one in experiments if not run.has(one)}.values())
    missing.sort(key=lambda one: list(inputs.sources).index(one.encoder) if one.encoder else -1)
    held: tuple[str | None, Float32[Array, "items dim"]] = (None, np.zeros((len(inputs.catalogue), 1), np.float32))
    for done, experiment in enumerate(missing):
        if progress:
            progress(f"cells: {describe(experiment)}", done + len(experiments) - len(missing), len(experiments))
        if experiment.encoder is not None and experiment.encoder != held[0]:
            held = (experiment.encoder, inputs.vectors(experiment.encoder))
        workspace = workspace_of(run, experiment, progress)
        cell = run_cell(experiment, inputs.split, Content(held[1], inputs.artist_rows), workspace)
        run.write(cell)
        drop_checkpoints(workspace)
    if progress:
        progress("cells", len(experiments), len(experiments))
    return len(missing)


def workspace_of(run: Run, experiment: Experiment, progress: Progress | None = None) -> Workspace:
    """The workspace of an experiment's fits: a folder with a readable name below `training/` in the run's folder.

    Fitted models that several cells have in common are kept in `training/shared`. `progress` is called at every step.
    """
    readable = re.sub(r"[^\w.]+", "-", describe(experiment)).strip("-.")[:80]

    def report(what: str, done: int, total: int) -> None:
        if progress:
            progress(f"training: {what}", done, total)

    folder = run.folder / "training"
    return Workspace(folder / f"{readable}-{experiment.hash}", folder / "shared", report)


def describe(experiment: Experiment) -> str:
    """What a cell is called while it runs."""
    parts = [experiment.encoder, None if experiment.control == "real" else experiment.control, experiment.label]
    return " ".join(part for part in parts if part) + f" (seed {experiment.seed})"


def run_cell(experiment: Experiment, split: Split, content: Content, workspace: Workspace = Workspace()) -> Cell:
    """Fit and rank one experiment: pure, so that any engine may run it anywhere."""
    started = time.perf_counter()
    vectors = vectors_of(experiment.control, content.vectors, split.test.train.items, experiment.seed)
    made = recommender(experiment.recommender, experiment.settings)
    scorer, chosen = _fit(made, split, replace(content, vectors=vectors), experiment.seed, workspace)
    lists: dict[Scenario, TopK] = {}
    refused: dict[Scenario, str] = {}
    for scenario in SCENARIOS:
        task = split.test.task(scenario, experiment.cold_candidates)
        try:
            lists[scenario] = answer(scorer, task, split.test, experiment.depth, experiment.seed)
        except CannotRankError as error:
            refused[scenario] = str(error)
    seconds = time.perf_counter() - started
    return Cell(experiment, lists, refused, scorer.facts, chosen, seconds)


def fit(made: Recommender, split: Split, content: Content, seed: int) -> Scorer:
    """Fit as the protocol says: choose on the validation fold, then fit on all of train with what was chosen.

    Where both folds share their train part (tamm2026) the scorer that validation stopped is the one that serves.
    """
    return _fit(made, split, content, seed, Workspace())[0]


def _fit(
    made: Recommender, split: Split, content: Content, seed: int, workspace: Workspace
) -> tuple[Scorer, dict[str, Any]]:
    """The scorer that serves, and what validation chose for it."""
    if not made.validates:
        return made.fit(split.test.train, content, None, np.random.default_rng(seed), workspace), {}
    inside, rng = workspace.inside("validation"), np.random.default_rng(seed)
    scorer = made.fit(split.validation.train, content, split.validation, rng, inside)
    if split.validation.train.digest == split.test.train.digest:
        return scorer, scorer.chosen
    inside, rng = workspace.inside("refit"), np.random.default_rng(seed)
    return replace(made, **scorer.chosen).fit(split.test.train, content, None, rng, inside), scorer.chosen


def answer(scorer: Scorer, task: Task, fold: Fold, depth: int, seed: int) -> TopK:
    """The scorer's lists for a task. In mixed lists, what cannot rank cold items ranks the others alone."""
    if not len(task.relevant):
        raise CannotRankError(f"nobody to ask: the {task.scenario} scenario is empty")
    candidates = task.candidates
    if task.scenario == "mixed" and not scorer.can_rank_cold:
        candidates = candidates[fold.train.item_users[candidates] > 0]
    return rank(scorer, task.users, candidates, fold.train, depth, seed=seed)

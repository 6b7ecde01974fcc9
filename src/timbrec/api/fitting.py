"""Fitting a combination of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from timbrec.data.split import SCENARIOS, Scenario
from timbrec.errors import ConfigError
from timbrec.models import Model
from timbrec.models.from_run import On, chosen_experiment, fit_experiment, inputs_of
from timbrec.result import Result, run_of, tables_of
from timbrec.results.choice import Choice, expected, leader
from timbrec.study.config import make_config
from timbrec.study.runs import Run
from timbrec.types import Progress


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

"""The experiments of a recommender in a config."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from timbrec.recommenders import recommender
from timbrec.study.controls import VERSIONS
from timbrec.study.experiment import Experiment

if TYPE_CHECKING:
    from timbrec.protocols import Recommender
    from timbrec.study.config import Config
    from timbrec.study.inputs import Inputs


def planned(
    config: Config,
    inputs: Inputs,
    use: str,
    settings: Mapping[str, Any],
    label: str,
    runs: Callable[[Recommender], Iterable[tuple[str, int]]],
    **kind: Any,
) -> Iterator[Experiment]:
    """An experiment per representation and run of a recommender, with the settings of the config's budget.

    `runs` gives the (control, seed) pairs of a recommender. A recommender without content has no representation, and
    runs once. `kind` are further fields of the experiments.
    """
    parts = recommender(use, settings, config.budget)
    for representation in inputs.representations if parts.uses_content else [None]:
        for control, seed in runs(parts):
            yield Experiment(
                split=inputs.split.digest, representation=representation, control=control,
                artists=inputs.artists_digest, recommender=use, settings=asdict(parts), version=parts.version,
                label=label, seed=seed, depth=max(config.k) + 1, cold_candidates=config.cold_candidates,
                mixed_candidates=config.mixed_candidates, control_version=VERSIONS.get(control, 1), **kind,
            )  # fmt: skip

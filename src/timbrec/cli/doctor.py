"""`timbrec doctor`: the machine, missing parts, and the cost of a config on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timbrec.cli.options import count
from timbrec.errors import TimbrecError

if TYPE_CHECKING:
    from timbrec.study.machine import Fact

_Config = Annotated[Path | None, typer.Argument(metavar="[CONFIG.yaml]", help="A config to estimate.")]
_Json = Annotated[bool, typer.Option("--json", help="Print a list of facts as JSON.")]
_Ray = Annotated[str | None, typer.Option(metavar="ADDRESS", help="A Ray cluster to try, e.g. ray://host:10001.")]
_MARKS = {"ok": "   ", "optional": " - ", "missing": "!! "}


def doctor(config: _Config = None, as_json: _Json = False, ray: _Ray = None) -> None:
    """Show cores, memory, GPU, libraries, decoders, weights and engine, and the cost of a config on this machine.

    Exit code 2: a required part is missing; its line begins with "!!" and ends with the fix.
    """
    from timbrec.study.machine import facts

    found = [*facts(ray), *(_facts_of(config) if config else ())]
    if as_json:
        typer.echo(json.dumps([asdict(fact) for fact in found], indent=1))
    else:
        for fact in found:
            typer.echo(f"{_MARKS[fact.state]}{fact.name}: {fact.value}{f'. {fact.fix}' if fact.fix else ''}")
        missing = sum(fact.state == "missing" for fact in found)
        typer.echo(f"{missing} missing (exit code 2)" if missing else "nothing is missing (exit code 0)")
    if any(fact.state == "missing" for fact in found):
        raise typer.Exit(2)


def _facts_of(path: Path) -> Iterator[Fact]:
    """Whether the inputs of a config can be read, and the cells, time and memory it needs."""
    from timbrec.api.forecast import forecast
    from timbrec.cli.bench import memory_of
    from timbrec.study.config import read_config
    from timbrec.study.inputs import load_inputs
    from timbrec.study.machine import Fact
    from timbrec.study.plan import plan

    try:
        config = read_config(path)
        inputs = load_inputs(config, encode=False)
        experiments = plan(config, inputs)
    except TimbrecError as error:
        yield Fact("config", str(error), "missing")
        return
    size = f"{len(inputs.split.users):,} users, {len(inputs.catalogue):,} tracks"
    yield Fact("config", f"{path}: {size}, {count(len(inputs.sources), 'source')} of vectors, all readable")
    yield Fact("cells", f"{len(experiments):,}")
    expected = forecast(config, inputs, experiments)
    labels = len({experiment.label for experiment in experiments})
    untried = f" ({expected.trials.tried} of {labels} recommenders tried)" if expected.trials.tried < labels else ""
    yield Fact("time", f"{expected}{untried}")
    yield Fact("cell memory", memory_of(experiments, inputs))

"""`timbrec fit`: a model from a run, or from a folder of music."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from timbrec.errors import ConfigError

if TYPE_CHECKING:
    from timbrec.models import Model

_Run = Annotated[Path | None, typer.Argument(metavar="[RUN_DIR]", help="The `output` of a config.")]
_Best = Annotated[
    Literal["hot", "cold", "mixed"] | None, typer.Option(help="Fit the leader of this scenario of the run.")
]
_Encoder = Annotated[str | None, typer.Option("--encoder", "-e", metavar="NAME", help="Fit with this encoder.")]
_Recommender = Annotated[str | None, typer.Option("--recommender", "-r", metavar="LABEL", help="Its recommender.")]
_On = Annotated[Literal["all", "train"], typer.Option(help="All plays, or the run's train part alone.")]
_Out = Annotated[Path | None, typer.Option("--out", "-o", metavar="MODEL", help="The model's folder [RUN_DIR/model].")]


def fit(
    run_dir: _Run = None,
    best: _Best = None,
    encoder: _Encoder = None,
    recommender: _Recommender = None,
    on: _On = "all",
    out: _Out = None,
) -> None:
    """Fit the combination of a run that you chose on all its plays, and write the model to a folder."""
    from timbrec.api import fit_run
    from timbrec.cli.show import progress_bars

    if run_dir is None:
        raise ConfigError("there is nothing to fit", fix="Name the folder of a run.")
    if best is None and recommender is None and encoder is None:
        raise ConfigError("say what to fit", fix="--best hot, cold or mixed; or --encoder NAME --recommender LABEL.")
    with progress_bars() as progress:
        model = fit_run(run_dir, best, encoder=encoder, recommender=recommender, on=on, progress=progress)
    show_model(model, model.save(out or run_dir / "model"))


def show_model(model: Model, folder: Path) -> None:
    """Print what was fitted and why, the figures to expect, and how to go on."""
    card = model.card
    name = " / ".join(part for part in (card.get("encoder"), card["label"]) if part)
    typer.echo(f"{name}, because {card['why']}.")
    for remark in card.get("remarks", ()):
        typer.echo(f"  {remark}")
    new = int(model.new.sum())
    typer.echo(
        f"fitted on {card.get('plays', 0):,} plays of {len(model.users):,} users; "
        f"{len(model.items):,} tracks, {new:,} of which nobody played yet"
    )
    for line in _expected(card):
        typer.echo(line)
    typer.echo(f"model: {folder}")
    if len(model.users):
        typer.echo(f"try: timbrec recommend {folder} --user {model.users.ids[0]}")
    else:
        typer.echo(f"try: timbrec similar {folder} {model.items.ids[0]!r}")


def _expected(card: dict[str, Any]) -> list[str]:
    """A line per figure of the run, with its interval and chance."""
    rows = card.get("expected") or []
    if not rows:
        return []
    source = "ranked by the run" if card.get("fitted on") == "train" else "the run's, fitted on its train part alone"
    lines = [f"expected ({source}):"]
    for row in rows:
        around = "" if row["low"] is None else f" ({row['low']:.3f} to {row['high']:.3f})"
        chance = "" if row["chance"] is None else f", chance {row['chance']:.3f}"
        lines.append(f"  {row['scenario']:<5} {row['metric']:<15} {row['value']:.3f}{around}{chance}")
    return lines

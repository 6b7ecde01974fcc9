"""`timbrec fit`: a model from a run, or from a folder of music."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from timbrec.cli.options import count, on_this_machine
from timbrec.cli.tables import write_table
from timbrec.errors import ConfigError

if TYPE_CHECKING:
    from timbrec.models import Model

_COMPLETE = "Free some space. The model is complete; this list alone is missing."
_Run = Annotated[Path | None, typer.Argument(metavar="[RUN_DIR]", help="The `output` of a config.")]
_Best = Annotated[
    Literal["hot", "cold", "mixed"] | None, typer.Option(help="Fit the leader of this scenario of the run.")
]
_Encoder = Annotated[str | None, typer.Option("--encoder", "-e", metavar="NAME", help="Fit with this encoder.")]
_Recommender = Annotated[str | None, typer.Option("--recommender", "-r", metavar="LABEL", help="Its recommender.")]
_On = Annotated[Literal["all", "train"], typer.Option(help="All plays, or the run's train part alone.")]
_Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", callback=on_this_machine, metavar="MODEL", help="The model's folder [RUN_DIR/model]."),
]


def fit(
    run_dir: _Run = None,
    best: _Best = None,
    encoder: _Encoder = None,
    recommender: _Recommender = None,
    on: _On = "all",
    music: Annotated[
        Path | None, typer.Option(callback=on_this_machine, metavar="DIR", help="A folder of music, instead of a run.")
    ] = None,
    weights: Annotated[str | None, typer.Option(metavar="FILE", help="Weights of --encoder, with --music.")] = None,
    history: Annotated[
        list[Path], typer.Option(callback=on_this_machine, metavar="FILE", help="Plays of this music; repeatable.")
    ] = [],  # noqa: B006
    time_zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Zone of times in --history without one.")
    ] = None,
    ids: Annotated[str | None, typer.Option(metavar="stem|path|tag", help="Ids of the music's files.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    out: _Out = None,
) -> None:
    """Fit a combination of a run on all its plays, or a folder of music; write the model to a folder."""
    if music is not None:
        if run_dir is not None or best is not None or recommender is not None:
            raise ConfigError("a run and --music were both given", fix="Give one of them.")
        return fit_folder(
            music, out or Path("model"), encoder=encoder, weights=weights, history=history, time_zone=time_zone,
            ids=ids, device=device,
        )  # fmt: skip
    if run_dir is None:
        raise ConfigError("there is nothing to fit", fix="Name the folder of a run, or --music DIR.")
    if history or time_zone is not None:
        raise ConfigError("--history and --time-zone go with --music", fix="A run has its own plays.")
    if weights is not None:
        raise ConfigError("--weights goes with --music", fix="A run names the weights of its encoders.")
    if best is None and recommender is None and encoder is None:
        raise ConfigError(
            "nothing says which combination to fit",
            fix="--best hot, cold or mixed; or --encoder NAME --recommender LABEL.",
        )
    from timbrec.api import fit_run
    from timbrec.places import is_remote, location

    if out is None and is_remote(location(run_dir)):
        raise ConfigError("a model is written to a folder of this machine", fix="Name it with --out.")
    from timbrec.cli.show import progress_bars
    from timbrec.models.folder import check_place

    folder = out or run_dir / "model"
    check_place(folder)  # a fit may take hours
    with progress_bars() as progress:
        model = fit_run(run_dir, best, encoder=encoder, recommender=recommender, on=on, progress=progress)
    return show_model(model, model.save(folder))


def fit_folder(music: Path, out: Path, **options: Any) -> None:
    """Make a model of a folder of music, and print the outcome for its files and plays."""
    from timbrec.cli.show import progress_bars
    from timbrec.models.from_music import fit_music

    with progress_bars() as progress:
        result = fit_music(music, out, progress=progress, **options)
    if len(result.failures):
        write_table(result.failures, out / "failures.csv", fix=_COMPLETE)
        typer.echo(f"{count(len(result.failures), 'file')} could not be encoded: {out / 'failures.csv'}, e.g.")
        for row in result.failures.head(3).iter_rows(named=True):
            typer.echo(f"  {row['path']}: {row['reason']}")
    if len(result.duplicates):
        typer.echo(f"files with the same audio as another, which share its vector: {len(result.duplicates):,}")
    if result.matched is not None:
        typer.echo("plays matched by:")
        groups = result.matched.how.group_by("method", maintain_order=True)
        for (method,), rows in groups:
            plays = count(int(rows["plays"].sum()), "play")
            typer.echo(f"  {method:<22} {count(len(rows), 'recording'):>18} {plays:>16}")
        write_table(result.matched.how.drop("candidates", strict=False), out / "matched.csv", fix=_COMPLETE)
        typer.echo(f"  each recording: {out / 'matched.csv'}")
    show_model(result.model, out)


def show_model(model: Model, folder: Path) -> None:
    """Print the fitted combination, the reason for it, the expected figures, and the next steps."""
    from timbrec.study.naming import line_name

    card = model.card
    typer.echo(f"{line_name(card.get('encoder'), card['label'])}, because {card['why']}.")
    for remark in card.get("remarks", ()):
        typer.echo(f"  {remark}")
    new = int(model.new.sum())
    if len(model.users):
        typer.echo(f"fitted on {card.get('plays', 0):,} plays of {count(len(model.users), 'user')}")
        typer.echo(f"{count(len(model.items), 'track')}, {new:,} of which nobody played yet")
    else:
        typer.echo(f"{count(len(model.items), 'track')}, without plays")
    for line in _expected(card):
        typer.echo(line)
    typer.echo(f"model: {folder}")
    if len(model.users):
        typer.echo(f"try: timbrec recommend {quote(str(folder))} --user={quote(model.users.ids[0])}")
    else:
        track = model.items.ids[0]
        typer.echo(f"try: timbrec similar {quote(str(folder))} {'-- ' if track[:1] == '-' else ''}{quote(track)}")


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

"""`timbrec probe`: labels predicted from frozen vectors, for a config or for files of vectors and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from timbrec.cli.options import Engine, on_this_machine
from timbrec.errors import ConfigError

_Config = Annotated[
    Path | None, typer.Argument(metavar="[CONFIG.yaml]", help="Run its `probes` and keep them in the run.")
]
_Vectors = Annotated[
    list[str], typer.Option(metavar="[NAME=]FILE", help="Vectors of an encoder, instead of a config; repeatable.")
]
_Labels = Annotated[
    list[str], typer.Option(metavar="[NAME=]TABLE", help="Tracks and their labels, for --vectors; repeatable.")
]
_Probes = Annotated[
    list[str], typer.Option("--probe", metavar="NAME", help="A data set of `timbrec list`, for --vectors; repeatable.")
]
_Columns = Annotated[
    list[str],
    typer.Option(
        metavar="PATTERN|id=NAME", help="Columns of the vector in tables ('f*', '*'), and of the id; repeatable."
    ),
]
_Settings = Annotated[
    list[str], typer.Option("--set", metavar="[PROBE.]SETTING=VALUE", help="A setting of all or one of the probes.")
]


def probe(
    config: _Config = None,
    vectors: _Vectors = [],  # noqa: B006 - typer reads it
    labels: _Labels = [],  # noqa: B006 - typer reads it
    probes: _Probes = [],  # noqa: B006 - typer reads it
    ids: Annotated[Path | None, typer.Option(metavar="FILE", help="Ids of the rows of .npy vectors.")] = None,
    columns: _Columns = [],  # noqa: B006 - typer reads it
    settings: _Settings = [],  # noqa: B006 - typer reads it
    published: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="Correlate published scores (or `mteb`) with tamm2026's figures instead."),
    ] = None,
    engine: Engine = "local",
    out: Annotated[
        Path | None, typer.Option(callback=on_this_machine, metavar="FILE.csv", help="Write all figures to a table.")
    ] = None,
) -> None:
    """Predict labels (genre, tags, moods, keys, your own) from frozen vectors with a small model.

    Exit code 1: a probe failed.
    """
    from timbrec import api
    from timbrec.cli.probe_show import show_probes
    from timbrec.cli.show import progress_bars

    if published is not None:
        from timbrec.cli.probe_show import show_published

        return show_published(api.published_disparity(published))
    if (config is None) == (not vectors):
        raise ConfigError("give either a config or --vectors",
                          fix="For example: timbrec probe --vectors mine.parquet --labels genres.csv.")  # fmt: skip
    if config is not None:
        if labels or probes or ids or settings or columns:
            raise ConfigError("--labels, --probe, --ids, --columns and --set belong to --vectors",
                              fix="Name the probes under `probes` of the config.")  # fmt: skip
        with progress_bars() as progress:
            probed = api.probe(config, progress=progress, engine=engine)
    else:
        with progress_bars() as progress:
            probed = api.probe_vectors(
                _named(vectors, "files of vectors", "--vectors"),
                _entries(_named(labels, "tables of labels", "--labels"), probes, settings),
                ids=ids,
                columns=_roles(columns),
                progress=progress,
                engine=engine,
            )
    show_probes(probed)
    if out is not None:
        from timbrec.cli.tables import write_table
        from timbrec.probes.shared.records import table

        write_table(table(probed.records), out)
        typer.echo(f"all figures: {out}")
    raise typer.Exit(int(bool(probed.failures)))


def _named(files: Sequence[str], what: str, option: str) -> dict[str, Path]:
    """Files by name: the part before "=", or the name of the file. Raises ConfigError for two of one name."""
    named: dict[str, Path] = {}
    for text in files:
        name, equals, path = text.partition("=")
        if not equals or Path(text).exists():
            name, path = Path(text).name.split(".")[0], text
        if name in named:
            raise ConfigError(f"two {what} are called {name!r}", fix=f"Name them: {option} mine=FILE.")
        named[name] = Path(path)
    return named


def _roles(columns: Sequence[str]) -> dict[str, str]:
    """Columns by role, as in a config: `id=NAME` names the ids, a pattern without a role the vector."""
    pairs = [text.partition("=") for text in columns]
    roles = [role if equals and role in {"id", "vector"} else "vector" for role, equals, _ in pairs]
    if repeated := [role for role in roles if roles.count(role) > 1]:
        raise ConfigError(
            f"--columns names the {repeated[0]} twice", fix="For example: --columns id=track --columns 'f*'."
        )
    return {role: pair[2] if pair[0] == role else text for role, pair, text in zip(roles, pairs, columns, strict=True)}


def _entries(labels: Mapping[str, Path], probes: Sequence[str], settings: Sequence[str]) -> list[dict[str, object]]:
    """Probes in the form of a config. A setting without a probe's name applies to all of them."""
    from timbrec.cli.options import options_of

    entries: list[dict[str, object]] = [{"use": "labels", "path": path, "label": name} for name, path in labels.items()]
    entries += [{"use": name, "label": name} for name in probes]
    if not entries:
        raise ConfigError("there is nothing to predict", fix="Give --labels TABLE or --probe NAME; see `timbrec list`.")
    known = [str(entry["label"]) for entry in entries]
    for key, value in options_of(settings).items():
        name, _, setting = key.rpartition(".")
        if name and name not in known and name.split(".")[0] in known:
            name, setting = name.split(".")[0], key.partition(".")[2]
        if name and name not in known:
            if name != "columns":
                raise ConfigError(f"{name!r} is not a probe of this command", fix=f"Known: {', '.join(known)}.")
            name, setting = "", key
        for entry in entries:
            if not name or entry["label"] == name:
                _set(entry, setting, value)
    return entries


def _set(entry: dict[str, object], setting: str, value: object) -> None:
    """Set a setting; `columns.label` is the key `label` of the setting `columns`."""
    outer, _, inner = setting.partition(".")
    if inner:
        existing = entry.get(outer, {})
        entry[outer] = (existing if isinstance(existing, dict) else {}) | {inner: value}
    else:
        entry[outer] = Path(str(value)) if outer == "path" else value

"""A model on disk: the scorer as safetensors and JSON, ids and interactions as parquet, all else as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import TypeAdapter, ValidationError

from timbrec.data.interactions import Interactions
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError
from timbrec.files import checksum, replacing
from timbrec.protocols import Scorer
from timbrec.recommenders.shared.saving import load_scorer, save_scorer
from timbrec.study.representation import Representation

FORMAT = 1
_MODEL, _TABLES = "model.json", ("users", "items", "played")


def write_model(
    folder: Path,
    scorer: Scorer,
    users: Vocabulary,
    items: Vocabulary,
    played: Interactions,
    representation: Representation | None,
    card: dict[str, Any],
) -> Path:
    """Write the fields of a model into a folder that appears in one step; returns the folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as partial:
        save_scorer(scorer, partial)
        tables = (users.ids.to_frame(), items.ids.to_frame(), played.frame())
        for name, table in zip(_TABLES, tables, strict=True):
            table.write_parquet(partial / f"{name}.parquet")
        facts = {
            "format": FORMAT,
            "representation": None if representation is None else asdict(representation),
            "card": card,
            "files": {path.name: checksum(path) for path in sorted(partial.iterdir())},
        }
        (partial / _MODEL).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return folder


def read_model(folder: Path) -> dict[str, Any]:
    """The fields of a model. Raises DataError for a folder without one, of another format, or with changed files."""
    path = folder / _MODEL
    if not path.is_file():
        raise DataError(f"{folder} holds no model", fix="Name a folder that `Model.save` wrote.")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise ValueError(f"format {facts['format']}, this version reads {FORMAT}")
        changed = [name for name, expected in facts["files"].items() if checksum(folder / name) != expected]
        if changed:
            raise ValueError(f"{changed[0]} was changed after it was written")
        users, items, played = (pl.read_parquet(folder / f"{name}.parquet") for name in _TABLES)
        representation = TypeAdapter(Representation | None).validate_python(facts["representation"])
    except (OSError, ValueError, KeyError, ValidationError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{folder} holds no readable model: {error}", fix="Fit and save it again.") from error
    known = Vocabulary(users["id"]), Vocabulary(items["id"])
    return {
        "scorer": load_scorer(folder),
        "users": known[0],
        "items": known[1],
        "played": Interactions.of(played, len(known[0]), len(known[1])),
        "representation": representation,
        "card": facts["card"],
    }

"""A model on disk: vectors and the scorer as safetensors and JSON, tables as parquet, all else in model.json.

`model.json` names every file with its size and checksum. A file is checked when it is read: the index and the tables on
loading, the scorer on its first use. Additions are files of their own, so that adding a track does not write the rest
again; `model.json` is replaced last.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import polars as pl

from timbrec.data.interactions import Interactions
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError
from timbrec.files import checksum, reason_of, replacing
from timbrec.models.index import Index
from timbrec.models.stores import read_stores, write_stores
from timbrec.ranking.scorers import DotScorer
from timbrec.types import Array, Float32, Int

if TYPE_CHECKING:
    from timbrec.protocols import Scorer
    from timbrec.store import VectorSource

Vectors = Float32[Array, "n _"]
FORMAT = 4
MODEL, VECTORS, LOCK = "model.json", "vectors", ".lock"
_INDEX, _STEPS, _STEP_ARRAYS = "index.safetensors", "steps.json", "steps.safetensors"
_SCORER = ("scorer.json", "scorer.safetensors", _STEPS, _STEP_ARRAYS)
_TABLES = ("users.parquet", "items.parquet", "played.parquet")
_AGAIN = "Fit and save it again."


def write_model(
    folder: Path,
    scorer: Scorer,
    steps: tuple[Any, ...],
    *,
    users: Vocabulary,
    catalogue: pl.DataFrame,
    played: Interactions,
    card: dict[str, Any],
    index: Index | None,
    recording: Int[Array, "tracks"],
    stores: Mapping[str, VectorSource],
) -> Path:
    """Write the fields of a model into a folder that appears in one step; returns the folder.

    Stores of vectors that the folder already holds are kept, and linked rather than copied; a user's files beside an
    earlier model are copied. Raises ConfigError for a folder of other files, DataError where nothing can be written.
    """
    from safetensors.numpy import save_file

    from timbrec.recommenders.shared.saving import packed, save_scorer

    check_place(folder)
    with _writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing(folder) as partial:
            served = {} if index is None else _served(index, scorer)
            save_scorer(scorer, partial, tuple(served))
            arrays: dict[str, np.ndarray] = {}
            (partial / _STEPS).write_text(json.dumps(packed(steps, arrays)), encoding="utf-8")
            save_file(arrays, partial / _STEP_ARRAYS)
            if index is not None:
                stored = {name: np.ascontiguousarray(array) for name, array in index.arrays().items()}
                save_file(stored, partial / _INDEX)
            users.ids.to_frame().write_parquet(partial / "users.parquet")
            catalogue.with_columns(recording=pl.Series(recording)).write_parquet(partial / "items.parquet")
            played.frame().write_parquet(partial / "played.parquet")
            files = {path.name: _described(path) for path in sorted(partial.iterdir())}
            _keep_others(folder, partial)
            write_stores(partial / VECTORS, folder / VECTORS, stores, catalogue["track"])
            write_facts(partial, {"format": FORMAT, "card": card, "files": files, "served": served})
    return folder


def check_place(folder: Path) -> None:
    """Raise ConfigError for a file, and for a folder of other files, which a model would replace.

    A folder with nothing but vectors is one where a fit was interrupted.
    """
    from timbrec.places.ownership import check_own_folder

    check_own_folder(folder, "a model", [MODEL], [VECTORS], fix="Name a new folder for the model.")


def _keep_others(folder: Path, partial: Path) -> None:
    """Copy the files that a user put beside an earlier model."""
    own = {MODEL, VECTORS, LOCK, _INDEX, *_TABLES, *_SCORER}
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in own and not path.name.startswith("added-"):
            if path.is_dir():
                shutil.copytree(path, partial / path.name, symlinks=True)
            else:
                shutil.copy2(path, partial / path.name, follow_symlinks=False)


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write model.json in one step, with its own checksum."""
    with replacing(folder / MODEL) as partial:
        partial.write_text(json.dumps(facts | {"sha256": _digest(facts)}, indent=1), encoding="utf-8")


def read_facts(folder: Path) -> dict[str, Any]:
    """The content of model.json. Raises DataError for a folder without one and for another format."""
    path = folder / MODEL
    if not path.is_file():
        raise DataError(f"{folder} holds no model", fix="Name a folder that `timbrec fit` or `Model.save` wrote.")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(facts, dict) or "format" not in facts:
            raise ValueError(f"{MODEL} says nothing of a model")
        if facts["format"] != FORMAT:
            raise ValueError(f"format {facts['format']!r}, this version reads {FORMAT}")
        if not all(isinstance(facts.get(key), dict) for key in ("card", "files")):
            raise ValueError(f"{MODEL} was changed after it was written")
        if missing := {*_TABLES, *_SCORER} - facts["files"].keys():
            raise ValueError(f"{MODEL} does not name {min(missing)}")
        if facts.get("sha256", "") not in ("", _digest(facts)):  # earlier versions wrote none
            raise ValueError(f"{MODEL} was changed after it was written")
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{folder} holds no readable model: {MODEL} is cut or damaged", fix=_AGAIN) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} holds no readable model: {error}", fix=_AGAIN) from error
    return facts


def read_model(folder: Path, parts_of: Callable[..., Any]) -> dict[str, Any]:
    """The fields of a model. Raises DataError for a folder without one, of another format, or with changed files."""
    facts = read_facts(folder)
    try:
        _check(folder, facts, [name for name in facts["files"] if name not in _SCORER])
        users, items, played = (pl.read_parquet(folder / name, glob=False) for name in _TABLES)
        if more := facts.get("added"):
            items = pl.concat([items, pl.read_parquet(folder / more["items"], glob=False)])
        index = _index(folder, facts)
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{folder} holds no readable model: {error}", fix=_AGAIN) from error
    vocabulary = Vocabulary(users["id"])
    return {
        "users": vocabulary,
        "catalogue": items.drop("recording"),
        "played": _interactions(played, len(vocabulary), len(items)),
        "card": facts["card"],
        "index": index,
        "parts": _Later(folder, facts, parts_of, index),
        "recording": items["recording"].to_numpy(),
        "stores": lambda: read_stores(folder / VECTORS),
    }


def add_to_folder(folder: Path, content: Vectors, items: Vectors, rows: pl.DataFrame) -> None:
    """Append tracks to the model in a folder: their content, their vectors in the index, and their catalogue rows.

    `rows` has the columns of the catalogue and `recording`. All earlier additions are written again with them, under
    new names; replacing model.json makes the change valid as a whole. Raises DataError where nothing can be written.
    """
    from safetensors.numpy import save_file

    facts = read_facts(folder)
    before = facts.get("added")
    names = {"vectors": f"added-{uuid4().hex[:12]}.safetensors", "items": f"added-{uuid4().hex[:12]}.parquet"}
    if before:
        earlier = added_vectors(folder, before)
        content, items = np.concatenate([earlier["content"], content]), np.concatenate([earlier["items"], items])
        rows = pl.concat([pl.read_parquet(folder / before["items"], glob=False), rows])
    files = {name: entry for name, entry in facts["files"].items() if name not in (before or {}).values()}
    with _writing(folder, *(folder / name for name in names.values())):
        with replacing(folder / names["vectors"]) as vectors, replacing(folder / names["items"]) as table:
            save_file({"content": content, "items": items}, vectors)
            rows.write_parquet(table)
        files |= {name: _described(folder / name) for name in names.values()}
        write_facts(folder, facts | {"files": files, "added": names | {"count": len(rows)}})
    for name in (before["vectors"], before["items"]) if before else ():
        (folder / name).unlink(missing_ok=True)


def added_vectors(folder: Path, entry: dict[str, Any]) -> dict[str, np.ndarray]:
    """The `content` and the `items` (vectors of the index) of added tracks."""
    from timbrec.recommenders.shared.saving import mapped_arrays

    return mapped_arrays(folder / entry["vectors"])


class _Later:
    """The scorer and transforms of a folder, read at the first call."""

    def __init__(self, folder: Path, facts: dict[str, Any], parts_of: Callable[..., Any], index: Index | None) -> None:
        self._folder, self._facts, self._of, self._index, self._parts = folder, facts, parts_of, index, None

    def __call__(self) -> Any:
        if self._parts is None:
            self._parts = self._read()
        return self._parts

    def _read(self) -> Any:
        from timbrec.recommenders.shared.saving import load_scorer, mapped_arrays, unpacked

        folder = self._folder
        try:
            _check(folder, self._facts, _SCORER)
            structure = json.loads((folder / _STEPS).read_text(encoding="utf-8"))
            steps = unpacked(structure, mapped_arrays(folder / _STEP_ARRAYS))
            served = {field: getattr(self._index, name) for field, name in self._facts["served"].items()}
            scorer = load_scorer(folder, mapped=True, apart=served)
            more = self._facts.get("added")
            added = added_vectors(folder, more)["content"] if more else None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder} holds no readable model: {error}", fix=_AGAIN) from error
        return self._of(scorer, steps, added)


def _index(folder: Path, facts: dict[str, Any]) -> Index | None:
    from timbrec.recommenders.shared.saving import mapped_arrays

    if _INDEX not in facts["files"]:
        return None
    index = Index.from_arrays(mapped_arrays(folder / _INDEX))
    return index.plus(added_vectors(folder, more)["items"]) if (more := facts.get("added")) else index


def _served(index: Index, scorer: Scorer) -> dict[str, str]:
    """The name of an array of the index by the field of a scorer that equals it: no array is written twice."""
    if not isinstance(scorer, DotScorer):
        return {}
    names = [field.name for field in fields(scorer) if isinstance(getattr(scorer, field.name), np.ndarray)]
    arrays = {"users": index.users, "items": _items(index)}
    return {field: name for field in names for name, array in arrays.items()
            if (mine := getattr(scorer, field)) is array or np.array_equal(mine, array)}  # fmt: skip


def _items(index: Index) -> Vectors:
    return np.concatenate([index.items, index.added]) if len(index.added) else index.items


def _interactions(table: pl.DataFrame, n_users: int, n_items: int) -> Interactions:
    """The pairs of a table that was written in their order."""
    first = table["first"].cast(pl.Int64).to_numpy() if "first" in table.columns else None
    user, item, plays = (table[name].to_numpy() for name in ("user", "item", "plays"))
    return Interactions(user, item, plays, first, n_users, n_items)


@contextmanager
def _writing(folder: Path, *new: Path) -> Iterator[None]:
    """Turn an error of writing into a DataError, and remove the files `new`."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError, pl.exceptions.PolarsError) as error:
        for path in new:
            path.unlink(missing_ok=True)
        raise DataError(
            f"cannot write into {folder}: {reason_of(error)}",
            fix="Check the space and the permissions; nothing was changed.",
        ) from error


def _digest(facts: dict[str, Any]) -> str:
    """The SHA-256 of the content of model.json, without that itself."""
    others = {name: value for name, value in facts.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()


def _described(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": checksum(path)}


def _check(folder: Path, facts: dict[str, Any], names: Any) -> None:
    """Raise ValueError for a file that is missing or was changed after it was written."""
    for name in names:
        path, entry = folder / name, facts["files"][name]
        if not path.is_file():
            raise ValueError(f"{name} is missing")
        if path.stat().st_size != entry["bytes"] or checksum(path) != entry["sha256"]:
            raise ValueError(f"{name} was changed after it was written")

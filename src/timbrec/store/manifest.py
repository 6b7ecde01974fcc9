"""Manifests: the numbered files that say what a store holds. The one with the highest number counts."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from timbrec.errors import StoreError
from timbrec.store.files import File, write_once

FORMATS = (1, 2)  # ids name the rows of shards; tables of tracks say which row is whose
DTYPES = ("float16", "float32")
_NAME = re.compile(r"manifest-(\d+)\.json")


@dataclass(frozen=True)
class StoreInfo:
    """What the vectors of a store are, enough to make them again.

    `layer` None is the encoder's own output; `pool` and `over` name a reduction and its axis ("mean", "time");
    `windows` says which parts of a track were encoded. `created` (ISO 8601, UTC) is filled in by `create` and is no
    part of what makes two infos equal. Raises StoreError for another dtype and for a dim below 1.
    """

    encoder: str
    revision: str
    layer: int | None
    pool: str
    over: str
    windows: str
    dim: int
    dtype: str = "float32"
    created: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise StoreError(f"a store cannot hold {self.dtype!r}", fix=f"Use {' or '.join(DTYPES)}.")
        if self.dim < 1:
            raise StoreError("a store's vectors need at least one dimension", example=self.dim)

    def differences(self, asked: StoreInfo) -> list[str]:
        """One phrase per fact in which this store is not what is asked for."""
        facts = [
            (fact.name, getattr(self, fact.name), getattr(asked, fact.name)) for fact in fields(self) if fact.compare
        ]
        return [f"its {name} is {mine!r}, asked for is {other!r}" for name, mine, other in facts if mine != other]


@dataclass(frozen=True)
class Shard:
    """The vectors of one commit, and how many of them are zero."""

    rows: int
    zeros: int
    vectors: File
    ids: File


@dataclass(frozen=True)
class Manifest:
    """A state of a store: its info, and the shards of all commits up to `version`, in their order.

    `tracks` are tables of changes to which track has which row; a store whose ids are the rows' names has none.
    `track_ids` says where the ids of tracks come from: `stem`, `path` or `tag:NAME` of files in a folder, or empty.
    """

    info: StoreInfo
    shards: tuple[Shard, ...] = ()
    version: int = 0
    tracks: tuple[File, ...] = ()
    track_ids: str = ""

    @property
    def files(self) -> list[File]:
        """Every file of this state."""
        return [*(file for shard in self.shards for file in (shard.vectors, shard.ids)), *self.tracks]

    @property
    def format(self) -> int:
        """The oldest format that can hold this state."""
        return FORMATS[bool(self.tracks)]

    @cached_property
    def digest(self) -> str:
        """sha256 of the info without its creation time and of the files' checksums, whatever order shards came in."""
        shards = sorted(json.dumps(asdict(shard)) for shard in self.shards)
        facts = [self.format, asdict(replace(self.info, created="")), shards]
        facts += [[file.sha256 for file in self.tracks]] if self.tracks else []
        facts += [self.track_ids] if self.track_ids else []
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def plus(self, *shards: Shard, tracks: tuple[File, ...] = (), ids: str = "") -> Manifest:
        """The state after one more commit, with other ids of tracks where these are named."""
        return replace(
            self,
            shards=(*self.shards, *shards),
            version=self.version + 1,
            tracks=(*self.tracks, *tracks),
            track_ids=ids or self.track_ids,
        )


def publish(folder: Path, manifest: Manifest) -> bool:
    """Commit a state as the next manifest; False if another writer made that version first."""
    shards = [asdict(shard) for shard in manifest.shards]
    facts = {"format": manifest.format, "digest": manifest.digest, "info": asdict(manifest.info), "shards": shards}
    facts |= {"tracks": [asdict(file) for file in manifest.tracks]} if manifest.tracks else {}
    facts |= {"track_ids": manifest.track_ids} if manifest.track_ids else {}
    return write_once(folder, f"manifest-{manifest.version:06d}.json", json.dumps(facts, indent=1).encode())


def newest(folder: Path) -> Manifest:
    """The state that counts. Raises StoreError if there is none, or if its manifest is damaged."""
    names = [match for path in folder.glob("manifest-*.json") if (match := _NAME.fullmatch(path.name))]
    if not names:
        raise StoreError(f"there is no vector store at {folder}", fix="Check the path, or create the store first.")
    name = max(names, key=lambda match: int(match[1]))
    try:
        facts = json.loads((folder / name[0]).read_bytes())
        manifest = _manifest(facts, int(name[1])) if facts["format"] in FORMATS else None
    except (OSError, ValueError, KeyError, TypeError, StoreError) as error:
        raise StoreError(
            f"{folder / name[0]} is damaged", fix="Copy it again, or delete it to return to the commit before it."
        ) from error
    if manifest is None:
        raise StoreError(
            f"{folder} is of format {facts['format']!r}, not {FORMATS[-1]} or older", fix="Update timbrec."
        )
    return manifest


def _manifest(facts: dict[str, Any], version: int) -> Manifest:
    tracks = tuple(File(**file) for file in facts.get("tracks", ()))
    shards, ids = tuple(map(_shard, facts["shards"])), facts.get("track_ids", "")
    manifest = Manifest(StoreInfo(**facts["info"]), shards, version, tracks, ids)
    if manifest.digest != facts["digest"] or manifest.format != facts["format"]:
        raise ValueError("the digest is of another state")
    return manifest


def _shard(facts: dict[str, Any]) -> Shard:
    return Shard(**facts | {"vectors": File(**facts["vectors"]), "ids": File(**facts["ids"])})

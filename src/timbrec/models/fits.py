"""Steps that all ways of fitting a model share: the pairs of a log, and the facts on the model's card."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import polars as pl

from timbrec.data.events import Events
from timbrec.data.interactions import Interactions
from timbrec.data.pairs import pairs_of
from timbrec.data.vocabulary import Vocabulary
from timbrec.machine.versions import versions
from timbrec.protocols import Recommender
from timbrec.study.representation import Representation


def all_plays(events: Events) -> tuple[Vocabulary, Interactions]:
    """The users with plays, and the pairs of all plays."""
    present = events.table["user"].unique().sort()
    users = Vocabulary(events.users.ids.gather(present))
    table = events.table.with_columns(user=present.search_sorted(events.table["user"]).cast(pl.UInt32))
    return users, pairs_of(replace(events, table=table, users=users))


def facts_of(name: str, fitted: Recommender, seed: int, representation: Representation | None) -> dict[str, Any]:
    """The recommender's name, settings and version, the seed, the representation, and the versions of the software."""
    settings: Any = fitted  # a dataclass, as every recommender is
    return {
        "recommender": name,
        "settings": asdict(settings),
        "version": fitted.version,
        "seed": seed,
        "representation": None if representation is None else asdict(representation),
        "versions": versions(),
    }

"""Changes of the log, the items table and the vectors since a run read them."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from timbrec.data.interactions import Interactions
from timbrec.data.split import Split
from timbrec.data.vocabulary import Vocabulary
from timbrec.study.inputs import Inputs
from timbrec.study.runs import Run


def changed_inputs(run: Run, inputs: Inputs) -> list[str]:
    """List the changes since the run stored its lists, a sentence each; empty if the inputs are the same.

    Compares the split, the artists, and digests of the log, the items table and the vectors. Counts the pairs that
    differ in every part, and names the encoders with other vectors.
    """
    return [*_file_changes(run, inputs), *_split_changes(run.split, inputs.split), *_content_changes(run, inputs)]


def _file_changes(run: Run, inputs: Inputs) -> Iterator[str]:
    """The log and the items table; vectors are compared encoder by encoder."""
    stored, now = run.facts.get("inputs", {}), inputs.digests
    for name in ("interactions", "items"):
        if stored and stored.get(name) != now.get(name):
            yield f"{name}: {stored.get(name)} then, {now.get(name)} now"


def _split_changes(stored: Split, now: Split) -> Iterator[str]:
    if stored.digest == now.digest:
        return
    if stored.protocol != now.protocol:
        yield f"the protocol was {stored.protocol}, now {now.protocol}"
    yield from _id_changes("users", stored.users, now.users)
    yield from _id_changes("tracks", stored.items, now.items)
    for (name, before), after in zip(stored.parts().items(), now.parts().values(), strict=True):
        pairs, pairs_now = _pairs(before, stored), _pairs(after, now)
        gone, new = (_missing(*sides) for sides in ((pairs, pairs_now), (pairs_now, pairs)))
        if gone or new:
            yield f"{name}: {gone:,} of {len(pairs):,} pairs gone, {new:,} new"
        elif not pairs.equals(pairs_now):
            yield f"{name}: the same pairs with other plays or times"


def _id_changes(kind: str, stored: Vocabulary, now: Vocabulary) -> Iterator[str]:
    gone = stored.ids.filter(now.rows(stored.ids) < 0)
    new = now.ids.filter(stored.rows(now.ids) < 0)
    if len(gone) or len(new):
        examples = ", ".join(repr(ids[0]) for ids in (gone, new) if len(ids))
        yield f"{kind}: {len(gone):,} of {len(stored):,} ids gone, {len(new):,} new (e.g. {examples})"
    elif stored != now:
        yield f"{kind}: the same ids in another order"


def _pairs(part: Interactions, split: Split) -> pl.DataFrame:
    """The pairs of a part by id, in ascending order."""
    columns = {"user": split.users.take(part.user), "item": split.items.take(part.item)}
    rest = part.frame().drop("user", "item")
    return pl.DataFrame(columns).hstack(rest).sort("user", "item")


def _missing(pairs: pl.DataFrame, others: pl.DataFrame) -> int:
    return len(pairs.join(others, on=["user", "item"], how="anti"))


def _content_changes(run: Run, inputs: Inputs) -> Iterator[str]:
    experiments = run.experiments
    sources = {source for cell in experiments if cell.representation for source in cell.representation.sources}
    for source in sorted(sources, key=lambda source: source.encoder):
        now = inputs.sources.get(source.encoder)
        if now is None:
            yield f"encoder {source.encoder}: its vectors are gone"
        elif now.digest != source.digest:
            yield f"encoder {source.encoder}: other vectors or ids"
    if {cell.artists for cell in experiments if cell.kind == "ranking"} - {inputs.artists_digest}:
        yield "the artists of tracks"

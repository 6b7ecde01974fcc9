"""`timbrec list`: parts that a config or a command can name, listed without loading weights or torch."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from timbrec import catalog
from timbrec.cli.show import add_names, narrow_table
from timbrec.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from timbrec.protocols import EncoderCard

KINDS = ("encoders", "recommenders", "metrics", "probes", "datasets", "importers")

_FACTS = {"datasets": ("licence", "citation", "url"), "importers": ("name", "export")}

_out = Console(highlight=False)


def list_parts(kind: str | None = None, commercial_only: bool = False, as_json: bool = False) -> None:
    """Print the parts of a kind, or of all KINDS, with figures of encoders; with `as_json`, one JSON object by kind.

    A single kind is printed with further facts: the source and licence of a data set, how to get an export.
    `commercial_only` leaves out encoders with a licence that forbids commercial use. Encoders without audio are not
    listed: their vectors are named as files. Raises ConfigError for an unknown kind.
    """
    if kind is not None and kind not in KINDS:
        fix = f"{did_you_mean(kind, KINDS)}Known: {', '.join(KINDS)}."
        raise ConfigError(f"there is no kind of parts called {kind!r}", fix=fix)
    kinds = KINDS if kind is None else (kind,)
    cards = _cards(commercial_only) if "encoders" in kinds else []
    names = {kind: [card.name for card in cards] if kind == "encoders" else catalog.names(kind) for kind in kinds}
    if as_json:
        _out.out(json.dumps(_records(names, cards), indent=1))
        return
    for shown in kinds:
        _show_parts(shown, names[shown])
    if cards:
        _show_cards(cards)
    if kind in _FACTS:
        _show_facts(kind, names[kind])


def _cards(commercial_only: bool) -> list[EncoderCard]:
    cards = [card for card in map(_card, catalog.names("encoders")) if not card.precomputed]
    return [card for card in cards if card.commercial or not commercial_only]


def _card(name: str) -> EncoderCard:
    card: EncoderCard = catalog.load("encoders", name).card
    return card


def _records(names: dict[str, list[str]], cards: Sequence[EncoderCard]) -> dict[str, list[dict[str, Any]]]:
    """The parts by kind, each with name and summary; an encoder also with the fields of its card."""
    records: dict[str, list[dict[str, Any]]] = {
        kind: [{"name": name, "summary": catalog.summary(kind, name)} for name in names[kind]] for kind in names
    }
    if cards:
        records["encoders"] = [row | asdict(card) for row, card in zip(records["encoders"], cards, strict=True)]
    for kind in names.keys() & _FACTS.keys():
        for row in records[kind]:
            row |= dict(_facts(kind, row["name"]))
    return records


def _show_parts(kind: str, names: Sequence[str]) -> None:
    width = max(map(len, names), default=0)
    _out.out(kind, *(f" {name:<{width}}  {catalog.summary(kind, name)}" for name in names), "", sep="\n")


def _facts(kind: str, name: str) -> list[tuple[str, str]]:
    part = catalog.load(kind, name)
    return [(fact, getattr(part, fact)) for fact in _FACTS[kind]]


def _show_facts(kind: str, names: Sequence[str]) -> None:
    """Print a paragraph per part."""
    for name in names:
        _out.out(name, *(f"  {fact}: {text}" for fact, text in _facts(kind, name)), "", sep="\n")


def _show_cards(cards: Sequence[EncoderCard]) -> None:
    """Print the input, size, cost and licence of each encoder."""
    table = narrow_table("figures of the encoders")
    add_names(table, "", [card.name for card in cards])
    for column in ("kHz", "window", "dim", "layers", "params", "GFLOP"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("weights' licence", overflow="fold")
    for card in cards:
        figures = (
            _figure(card.rate / 1000, "{:g}"),
            _figure(card.window, "{:g} s"),
            f"{card.dim:,}",
            _figure(card.layers, "{:,}"),
            _figure(card.parameters / 1e6, "{:,.3g} M" if card.parameters < 1e8 else "{:,.0f} M"),
            _figure(card.gflop, "{:,.0f}" if card.gflop >= 10 else "{:,g}"),
        )
        table.add_row(escape(card.name), *figures, escape(card.licence_weights))
    _out.print(table)


def _figure(value: float, form: str) -> str:
    return form.format(value) if value else "–"

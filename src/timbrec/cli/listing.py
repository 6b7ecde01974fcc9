"""`timbrec list`: what there is, without loading any of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from timbrec import catalog
from timbrec.cli.show import show_catalog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from timbrec.protocols import EncoderCard


def list_parts(commercial_only: bool = False) -> None:
    """All parts of the catalogue; of the encoders, if so wanted, those that may be used commercially."""
    cards = [_card(name) for name in catalog.names("encoders")]
    _show_cards([card for card in cards if card.commercial or not commercial_only])
    show_catalog([kind for kind in catalog.CATALOG if kind != "encoders"])


def _card(name: str) -> EncoderCard:
    card: EncoderCard = catalog.load("encoders", name).card
    return card


def _show_cards(cards: Sequence[EncoderCard]) -> None:
    table = Table("encoder", title="encoders", title_justify="left", box=None)
    for column in ("kHz", "window", "dim", "layers", "parameters", "GFLOP"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("licence of the weights")
    for card in cards:
        figures = (
            _figure(card.rate / 1000, "{:g}"),
            _figure(card.window, "{:g} s"),
            f"{card.dim:,}",
            _figure(card.layers, "{:,}"),
            _figure(card.parameters / 1e6, "{:,.1f} M"),
            _figure(card.gflop, "{:,g}"),
        )
        table.add_row(escape(card.name), *figures, escape(card.licence_weights))
    Console(highlight=False).print(table)


def _figure(value: float, form: str) -> str:
    return form.format(value) if value else "–"

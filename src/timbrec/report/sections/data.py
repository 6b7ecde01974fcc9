"""The data, the split and the encoders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from timbrec.report.data import ReportData
from timbrec.report.shared import numbers

_LABELS = {
    "dim": "dimension",
    "parameters": "parameters",
    "trained_on": "trained on",
    "licence_code": "licence of the code",
    "licence_weights": "licence of the weights",
    "commercial": "commercial use",
    "revision": "revision",
    "gflop": "GFLOP per window",
    "citation": "source",
}


class Data:
    """The data, the split and the encoders."""

    title: ClassVar[str] = "Data and encoders"
    link: ClassVar[str] = "Data"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template."""
        return {"encoders": [_card(facts) for facts in data.encoders]}


def _card(facts: Mapping[str, object]) -> dict[str, Any]:
    """The name, the labelled facts and the BibTeX entry of an encoder."""
    names = [*_LABELS, *(name for name in facts if name not in _LABELS and name not in ("name", "bibtex"))]
    rows = [(_LABELS.get(name, name.replace("_", " ")), numbers.count(facts[name])) for name in names if name in facts]
    return {"name": str(facts.get("name", "")), "rows": rows, "bibtex": bibtex(facts)}


def bibtex(facts: Mapping[str, object]) -> str:
    """The BibTeX entry of an encoder's card, else one with its citation as a note; empty without a citation."""
    if str(facts.get("bibtex") or "none") != "none":
        return str(facts["bibtex"]).strip()
    citation = str(facts.get("citation") or "")
    if citation in ("", "none", numbers.NONE):
        return ""
    key = re.sub(r"[^A-Za-z0-9:-]+", "-", str(facts.get("name", "encoder"))).strip("-") or "encoder"
    years = re.findall(r"\b(?:19|20)\d\d\b(?!\.)", citation)
    note = re.sub(r"([&%$#_{}])", r"\\\1", citation)
    fields = [f"  note = {{{note}}}"]
    fields += [f"  year = {{{years[-1]}}}"] if years else []
    return f"@misc{{{key},\n" + ",\n".join(fields) + "\n}"

"""Names of lines: a representation with a recommender."""

from __future__ import annotations


def line_name(representation: str | None, recommender: str | None) -> str:
    """The name of a line for readers, such as "mert / knn"; the recommender alone where it uses no content."""
    return " / ".join(part for part in (representation, recommender) if part)

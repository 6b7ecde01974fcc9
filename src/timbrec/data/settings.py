"""Base classes for the parts of a config."""

from __future__ import annotations

from glob import escape
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from timbrec.data.tables import Source
from timbrec.data.text import TextForm
from timbrec.places import AnyPath, is_remote, location


def _as_name(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("true and false are no names; put them in quotes if they are")
    return str(value) if isinstance(value, int | float) else value


Name = Annotated[str, BeforeValidator(_as_name), WithJsonSchema({"type": ["string", "number"]})]
TableT = TypeVar("TableT", bound="TablePart")
Paths = Annotated[
    tuple[AnyPath, ...],
    BeforeValidator(lambda value: value if isinstance(value, list | tuple) else [value]),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]


class Part(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TextPart(Part):
    """Format of a text table, as far as it cannot be detected; see TextForm."""

    separator: str | None = Field(None, min_length=1)
    header: bool = True
    quotes: bool | None = None

    @property
    def form(self) -> TextForm:
        """The settings for the reader."""
        return TextForm(self.separator, self.header, self.quotes)


class TablePart(TextPart):
    """Location of a table: one or several files or folders; with `glob`, patterns such as `plays-*.csv`."""

    path: Annotated[Paths, Field(min_length=1)]
    glob: bool = False

    def at(self: TableT, base: Path) -> TableT:
        """A copy in which relative paths start at the folder `base`, of which nothing is a pattern."""
        start = location(escape(str(base))) if self.glob else base
        return self.model_copy(update={"path": tuple(resolved(start, path) for path in self.path)})

    @property
    def source(self) -> Source:
        """The table for the reader."""
        return Source(self.path, self.form, self.glob)


def resolved(base: Path, path: Path) -> Path:
    """The path, relative to the folder `base` unless absolute; `~` is the user's home."""
    path = location(path).expanduser()
    return path if is_remote(path) or path.is_absolute() else location(base) / path

"""The base of every part of a config: unknown keys are refused, values do not change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from timbrec.data.tables import Source
from timbrec.data.text import TextForm

Name = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value)]
TableT = TypeVar("TableT", bound="TablePart")
Paths = Annotated[
    tuple[Path, ...], BeforeValidator(lambda value: value if isinstance(value, list | tuple) else [value])
]


class Part(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TextPart(Part):
    """How a text table is written, where that cannot be found in the file; see TextForm."""

    separator: str | None = Field(None, min_length=1)
    header: bool = True
    quotes: bool | None = None

    @property
    def form(self) -> TextForm:
        """The settings for the reader."""
        return TextForm(self.separator, self.header, self.quotes)


class TablePart(TextPart):
    """Where a table is: a file, a folder or several of them; with `glob`, patterns such as `plays-*.csv`."""

    path: Annotated[Paths, Field(min_length=1)]
    glob: bool = False

    def at(self: TableT, base: Path) -> TableT:
        """The same settings with relative paths taken from the folder `base`."""
        return self.model_copy(update={"path": tuple(resolved(base, path) for path in self.path)})

    @property
    def source(self) -> Source:
        """The table for the reader."""
        return Source(self.path, self.form, self.glob)


def resolved(base: Path, path: Path) -> Path:
    """A path as seen from the folder `base`; `~` is the user's home."""
    return base / path.expanduser()

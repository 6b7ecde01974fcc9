"""Tables that commands write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timbrec.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl


def write_table(table: pl.DataFrame, path: Path, *, fix: str = "Choose another place.") -> None:
    """Write a table in one step; its suffix gives the format: .parquet, .tsv, or else CSV.

    Raises StoreError, with the advice `fix`, where nothing can be written.
    """
    from polars.exceptions import PolarsError

    from timbrec.files import reason_of, replacing

    try:
        with replacing(path) as partial:
            if path.suffix == ".parquet":
                table.write_parquet(partial)
            else:
                table.write_csv(partial, separator="\t" if path.suffix == ".tsv" else ",")
    except (OSError, PolarsError) as error:
        raise StoreError(f"cannot write {path}: {reason_of(error)}", fix=fix) from error

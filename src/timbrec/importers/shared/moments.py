"""Times that servers write as text."""

from __future__ import annotations

import polars as pl


def moment(text: pl.Expr) -> pl.Expr:
    """Times such as "2024-05-01 10:20:30.123+02:00" in UTC; without an offset they are in UTC. The year 1 is none.

    A "T" may stand between date and time, and Go's name of a zone ("+0200 CEST") at the end. Other text is null.
    """
    plain = (
        text.str.replace(r"^(\d{4}-\d\d-\d\d)T", "$1 ")
        .str.replace(r" ([+-]\d{4})( [A-Z]+)?$", "$1")
        .str.replace(r"Z$", "+00:00")
    )
    zoned = plain.str.replace(r"([^+-]{6,})$", "${1}+00:00")
    time = zoned.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%z", time_unit="us", time_zone="UTC", strict=False)
    return pl.when(time.dt.year() > 1).then(time.dt.replace_time_zone(None))

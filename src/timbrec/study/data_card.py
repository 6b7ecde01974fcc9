"""The data card: what a run read, as rows of a label and a value."""

from __future__ import annotations

from timbrec.study.inputs import Inputs
from timbrec.study.metadata import unheard


def data_card(inputs: Inputs) -> list[tuple[str, str]]:
    """A description of the data as rows (label, value); warnings come last."""
    log, events = inputs.log, inputs.events
    rows = [
        ("rows in the log", f"{len(log):,}"),
        *log.facts,
        ("rows that equal another row (counted as plays)", f"{log.repeated:,}"),
        *_time_rows(inputs),
        ("users", f"{len(log.users):,}"),
        ("tracks in the log", f"{len(log.items):,}"),
        ("catalogue: tracks with vectors from every encoder", f"{len(inputs.catalogue):,}"),
        ("rows of the log about these tracks", f"{len(events):,} ({len(events) / len(log):.1%})"),
    ]
    for name, source in inputs.sources.items():
        share = source.has(log.items.ids).mean()
        lost = sum(not known for known in inputs.catalogue.rows(source.ids) >= 0)
        rows.append((f"{name}: vectors", f"{len(source.ids):,} x {source.dim}; {share:.1%} of the log's tracks"))
        rows += [(f"{name}: {what}", how) for what, how in source.facts]
        rows.append((f"{name}: tracks another encoder lacks, left out", f"{lost:,}"))
        if name in inputs.metadata:
            count, cold = unheard(source, inputs.split)
            rows.append((f"{name}: cold test tracks that share no value with a train track", f"{count:,} of {cold:,}"))
        if name in inputs.unopened:
            rows.append((f"{name}: audio files not opened", f"{inputs.unopened[name]:,}"))
    return [*rows, *inputs.notes, *(("warning", warning) for warning in inputs.warnings)]


def _time_rows(inputs: Inputs) -> list[tuple[str, str]]:
    """Rows for the time span of the log and the number of plays outside the split's window."""
    if not inputs.log.timed:
        return []
    times = inputs.log.table["time"]
    first, last = (str(moment)[:16] for moment in (times.min(), times.max()))
    rows = [("time span (UTC)", f"{first} to {last}")]
    if inputs.window is not None:
        before, after = int((times < inputs.window.start).sum()), int((times >= inputs.window.end).sum())
        start, end = (f"{moment:%Y-%m-%d}" for moment in (inputs.window.start, inputs.window.end))
        rows.append((f"rows outside the split, {start} to {end}", f"{before:,} before, {after:,} after"))
    return rows

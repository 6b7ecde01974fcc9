"""A worker: reads and encodes the tracks of a chunk like the local engine, and returns the entries for the stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from timbrec.audio import Clip, Cut
from timbrec.embed.engines.shared.remote import Chunk, Known, Plan, Recipe, Sheet
from timbrec.embed.ledger import Ledger
from timbrec.embed.outputs import Output
from timbrec.embed.passes import Job, Pass
from timbrec.embed.reading import Reading
from timbrec.embed.schedule import process
from timbrec.embed.target import Target
from timbrec.errors import AudioError, ConfigError, TimbrecError
from timbrec.machine.devices import use_threads
from timbrec.protocols import Encoder
from timbrec.store import Entry
from timbrec.store.notes import Record

_NOTHING = Path("nowhere")


class Worker:
    """Loads the encoders of a plan once. Calling it encodes a chunk of tracks.

    An error that the user can fix becomes part of the result. This includes errors of loading, since a process that
    cannot start would be started again and again.
    """

    def __init__(self, plan: Plan, known: Sequence[Known]) -> None:
        self._plan, self._known = plan, known
        self._error: TimbrecError | None = None
        try:
            use_threads(plan.threads)
            self._outputs = _outputs(plan)
        except TimbrecError as error:
            self._error = error

    def __call__(self, chunk: Chunk) -> Sheet:
        """Encode the tracks of a chunk."""
        if self._error is not None:
            return Sheet(error=self._error)
        sheet = Sheet()
        gathered = [_Gathered(*given, place, sheet) for place, given in enumerate(zip(self._outputs, self._known))]  # noqa: B905
        try:
            process(_Chunk(chunk, gathered, sheet), gathered, self._plan.batch, None, self._plan.threads)
        except TimbrecError as error:
            sheet.error = error
        return sheet


def _outputs(plan: Plan) -> list[Output]:
    """The outputs of a plan, with loaded encoders. Raises ConfigError for an encoder with another card than planned."""
    loaded: list[Encoder] = []
    for given, card in zip(plan.encoders, plan.cards, strict=True):
        encoder = given.load() if isinstance(given, Recipe) else given
        if encoder.card != card:
            raise ConfigError(
                f"{card.name} differs between workers: {encoder.card.revision!r} here, {card.revision!r} elsewhere",
                fix="Give every node the same weights.",
            )
        loaded.append(encoder)
    return [
        Output(loaded[request.encoder], _NOTHING, request.windows, request.layer, request.pool)
        for request in plan.requests
    ]


class _Gathered(Target):
    """A target without a store: its additions become part of the sheet."""

    def __init__(self, output: Output, known: Known, place: int, sheet: Sheet) -> None:
        self.output, self.place, self._sheet = output, place, sheet
        self._audio = frozenset(known.audio_of.values())
        self.__dict__["audio_of"] = known.audio_of
        self.__dict__["failed_files"] = dict.fromkeys(known.failed, Record("", 0, 0, "", "", ()))

    def has(self, audio: str) -> bool:
        return audio in self._audio or (self.place, audio) in self._sheet.vectors

    def add(self, entry: Entry) -> None:
        if entry.vector is not None and entry.audio is not None:
            self._sheet.vectors[self.place, entry.audio] = entry.vector

    def flush(self) -> None:
        """Do nothing: a worker writes no store."""

    def timed(self, device: str, tracks: int, seconds: float) -> None:
        self._sheet.times[self.place] = (device, tracks, seconds)


class _Chunk(Ledger):
    """The ledger of a chunk: it keeps readings, without windows, and errors of encoders."""

    def __init__(self, chunk: Chunk, targets: Sequence[_Gathered], sheet: Sheet) -> None:
        self.lacking = {track: [targets[place] for place in places] for track, places in chunk.tracks}
        self._place = {id(target): target.place for target in targets}
        self._sheet = sheet

    def take(self, reading: Reading, passes: Sequence[Pass]) -> None:
        self._sheet.readings.append(self._without_windows(reading))
        decoded = self._decoded_for(reading)
        for encoding in passes:
            clip = reading.clips.get(encoding.cut)
            if isinstance(clip, Clip) and (targets := [target for target in decoded if target in encoding.targets]):
                encoding.take(reading, clip, targets)

    def keep(self, job: Job, encoding: Pass) -> None:
        if job.error is not None:
            self._sheet.errors |= {(self._place[id(target)], job.clip.audio): job.error for target in job.targets}

    def _without_windows(self, reading: Reading) -> Reading:
        empty = np.empty((0, 1), np.float32)
        clips: dict[Cut, Clip | AudioError] = {
            cut: clip if isinstance(clip, AudioError) else replace(clip, windows=empty)
            for cut, clip in reading.clips.items()
        }
        known = [(self._place[id(target)], audio) for target, audio in reading.known]
        failed = [(self._place[id(target)], record) for target, record in reading.failed]
        return replace(reading, clips=clips, known=known, failed=failed)  # type: ignore[arg-type] # places, not targets

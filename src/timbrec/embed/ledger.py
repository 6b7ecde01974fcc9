"""The tracks of a run: the targets that each track still lacks, and its outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from timbrec.audio import Clip
from timbrec.embed.passes import Job, Pass
from timbrec.embed.reading import Reading
from timbrec.embed.report import EmbedReport, Row, duplicates, tables
from timbrec.embed.target import Target, entry, states
from timbrec.embed.tracks import Listing, Track, printable
from timbrec.errors import AudioError
from timbrec.store.notes import Note
from timbrec.types import Progress


class Ledger:
    """Record of the tracks of a run.

    `lacking` maps every track to be read to the targets that lack its vector. A file that failed before is read again
    only after it has changed.
    """

    def __init__(self, listing: Listing, targets: Sequence[Target], progress: Progress | None) -> None:
        self._listing, self._tracks, self._targets, self._progress = listing, listing.tracks, targets, progress
        now = states(self._tracks)
        unchanged = [target.unchanged(now) for target in targets]
        failed = [target.failed(now) for target in targets]
        done = [ids | ended for ids, ended in zip(unchanged, failed, strict=True)]
        self.lacking = {
            track: lacking
            for track in self._tracks
            if (lacking := [target for target, ids in zip(targets, done, strict=True) if track.id not in ids])
        }
        self._finished, self._settled = len(self._tracks) - len(self.lacking), 0
        known = set[str]().union(*failed)
        self._skipped = sum(track not in self.lacking and track.id not in known for track in self._tracks)
        self._open: Counter[Track] = Counter()  # number of passes that a track waits for
        self._encoded: set[Track] = set()  # without recognised tracks
        self._failed: set[Track] = set()
        self._passing: list[Row] = []  # failures that may be gone when the same file is read again
        if self.lacking:
            self._report_progress()

    def take(self, reading: Reading, passes: Sequence[Pass]) -> None:
        """Hand the windows of a track to the passes of the targets that lack it."""
        for target, audio in reading.known:
            self._recognise(reading, target, audio)
        for target, record in reading.failed:
            self._fail_in(target, reading, record.notes)
        error = reading.error or _common(list(reading.clips.values()))
        if error is not None:
            self._fail(reading, error, self._decoded_for(reading), own=False)
        else:
            for encoding in passes:
                self._to_pass(reading, encoding)
        if not self._open[reading.track]:
            self._settle()

    def keep(self, job: Job, encoding: Pass) -> None:
        """Record that a pass is done with a track, and with all tracks of the same audio."""
        for number, reading in enumerate(job.readings):
            self._open[reading.track] -= 1
            if job.error is not None:
                lacking = self._decoded_for(reading)
                self._fail(reading, job.error, [target for target in job.targets if target in lacking], own=True)
            elif number == 0:
                self._encoded.add(reading.track)
            if not self._open[reading.track]:
                self._settle()

    def report(self) -> EmbedReport:
        """Outcome of all tracks, including tracks from earlier runs."""
        known = self._targets[0].tracks
        failures, remarks = tables(self._tracks, self._targets, self._passing)
        return EmbedReport(
            done=len(self._encoded - self._failed),
            skipped=self._skipped,
            recognised=self._settled - len(self._encoded | self._failed),
            failures=failures,
            remarks=remarks,
            duplicates=duplicates(self._tracks, known),
            gone=len(set(known["id"]) - {track.id for track in self._tracks}),
            aside=self._listing.aside,
            tracks=[track.id for track in self._tracks],
        )

    def _decoded_for(self, reading: Reading) -> list[Target]:
        """Targets for which a track was decoded."""
        others = {id(target) for target, _ in (*reading.known, *reading.failed)}
        return [target for target in self.lacking[reading.track] if id(target) not in others]

    def _recognise(self, reading: Reading, target: Target, audio: str) -> None:
        """Give a track the vector of a file with the same bytes."""
        if reading.file is not None and self._may_have(reading, target, audio):
            target.add(entry(reading.track, reading.file, audio))
            target.note(reading.track, reading.file, target.remarks_of.get(reading.file[2], ()))

    def _to_pass(self, reading: Reading, encoding: Pass) -> None:
        targets = [target for target in self._decoded_for(reading) if target in encoding.targets]
        clip = reading.clips.get(encoding.cut)
        if not targets or clip is None or reading.file is None:
            return
        if isinstance(clip, AudioError):
            self._fail(reading, clip, targets, own=True)
            return
        targets = [target for target in targets if self._may_have(reading, target, clip.audio)]
        for target in targets:
            target.note(reading.track, reading.file, [Note(False, False, *remark) for remark in clip.remarks])
        if targets:
            self._open[reading.track] += encoding.take(reading, clip, targets)

    def _may_have(self, reading: Reading, target: Target, audio: str) -> bool:
        """Whether a track's id is free in a store, or has this audio; otherwise record a failure."""
        owner = target.owner(reading.track)
        if owner is None:
            return True
        if owner[0] != audio:
            reason = f"its id {reading.track.id!r} is that of {printable(owner[1])} in {target.output.store}"
            fix = "Use another store, or ids that tell the files apart (`--ids path`, in a config `ids: path`)."
            self._failed.add(reading.track)
            self._passing.append(Row(reading.track, None, reason, fix))
        return False

    def _fail(self, reading: Reading, error: AudioError, targets: Sequence[Target], own: bool) -> None:
        """Record a failure. The track loses its vector, unless its file is only out of reach."""
        reason = error.what.removeprefix(f"{reading.track.path}: ")
        note = Note(True, own, reason, error.fix)
        if error.passing or reading.file is None:
            encoder = targets[0].output.card.name if own and targets else None
            self._failed.add(reading.track)
            self._passing.append(Row(reading.track, encoder, reason, error.fix))
        for target in targets:
            self._fail_in(target, reading, [] if error.passing else [note])

    def _fail_in(self, target: Target, reading: Reading, notes: Sequence[Note]) -> None:
        self._failed.add(reading.track)
        if reading.file is None or target.owner(reading.track) is not None:
            self._passing += [
                Row(reading.track, None, note.reason, note.fix) for note in notes if reading.file is not None
            ]
            return
        target.note(reading.track, reading.file, notes)
        target.drop({reading.track.id})

    def _settle(self) -> None:
        self._settled += 1
        self._report_progress()

    def _report_progress(self) -> None:
        if self._progress is not None:
            names = dict.fromkeys(target.output.card.name for target in self._targets)
            self._progress(f"encoding {', '.join(names)}", self._finished + self._settled, len(self._tracks))


def _common(clips: list[Clip | AudioError]) -> AudioError | None:
    """First error if every clip is an error; else None."""
    errors = [clip for clip in clips if isinstance(clip, AudioError)]
    return errors[0] if errors and len(errors) == len(clips) else None

"""The tracks of a run: which targets each still lacks, and the outcome of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from timbrec.audio import Clip
from timbrec.embed.hear import Heard
from timbrec.embed.passes import Job, Pass
from timbrec.embed.report import EmbedReport, Row, duplicates, tables
from timbrec.embed.target import Target, entry, states
from timbrec.embed.tracks import Listing, Track, printable
from timbrec.errors import AudioError
from timbrec.store.notes import Note
from timbrec.types import Progress


class Ledger:
    """The tracks of a run; `lacking` are the targets that each track still to be read has no vector in.

    A file that failed before and has not changed is not read again.
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
        self._open: Counter[Track] = Counter()  # passes a track waits for
        self._encoded: set[Track] = set()  # apart from those that were recognised
        self._failed: set[Track] = set()
        self._passing: list[Row] = []  # failures that may be gone when the same file is read again
        if self.lacking:
            self._report_progress()

    def take(self, heard: Heard, passes: Sequence[Pass]) -> None:
        """Hand the windows of a track to the passes of the targets that lack it."""
        for target, audio in heard.known:
            self._recognise(heard, target, audio)
        for target, record in heard.failed:
            self._fail_in(target, heard, record.notes)
        error = heard.error or _common(list(heard.clips.values()))
        if error is not None:
            self._fail(heard, error, self._reading(heard), own=False)
        else:
            for encoding in passes:
                self._to_pass(heard, encoding)
        if not self._open[heard.track]:
            self._settle()

    def keep(self, job: Job, encoding: Pass) -> None:
        """Count a track that is through a pass, with all that have the same audio."""
        for number, heard in enumerate(job.heard):
            self._open[heard.track] -= 1
            if job.error is not None:
                lacking = self._reading(heard)
                self._fail(heard, job.error, [target for target in job.targets if target in lacking], own=True)
            elif number == 0:
                self._encoded.add(heard.track)
            if not self._open[heard.track]:
                self._settle()

    def report(self) -> EmbedReport:
        """The outcome of all tracks, those of earlier runs included."""
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

    def _reading(self, heard: Heard) -> list[Target]:
        """The targets for which a track was decoded."""
        others = {id(target) for target, _ in (*heard.known, *heard.failed)}
        return [target for target in self.lacking[heard.track] if id(target) not in others]

    def _recognise(self, heard: Heard, target: Target, audio: str) -> None:
        """A file with the bytes of a file read before."""
        if heard.file is not None and self._may_have(heard, target, audio):
            target.add(entry(heard.track, heard.file, audio))
            target.note(heard.track, heard.file, target.remarks_of.get(heard.file[2], ()))

    def _to_pass(self, heard: Heard, encoding: Pass) -> None:
        targets = [target for target in self._reading(heard) if target in encoding.targets]
        clip = heard.clips.get(encoding.cut)
        if not targets or clip is None or heard.file is None:
            return
        if isinstance(clip, AudioError):
            self._fail(heard, clip, targets, own=True)
            return
        targets = [target for target in targets if self._may_have(heard, target, clip.audio)]
        for target in targets:
            target.note(heard.track, heard.file, [Note(False, False, *remark) for remark in clip.remarks])
        if targets:
            self._open[heard.track] += encoding.take(heard, clip, targets)

    def _may_have(self, heard: Heard, target: Target, audio: str) -> bool:
        """Whether a track's id is free in a store, or of this audio; a failure where another file has it."""
        owner = target.owner(heard.track)
        if owner is None:
            return True
        if owner[0] != audio:
            reason = f"its id {heard.track.id!r} is that of {printable(owner[1])} in {target.output.store}"
            fix = "Use another store, or ids that tell the files apart (`--ids path`, in a config `ids: path`)."
            self._failed.add(heard.track)
            self._passing.append(Row(heard.track, None, reason, fix))
        return False

    def _fail(self, heard: Heard, error: AudioError, targets: Sequence[Target], own: bool) -> None:
        """Note a failure. The track's vector is dropped, unless its file is merely out of reach."""
        reason = error.what.removeprefix(f"{heard.track.path}: ")
        note = Note(True, own, reason, error.fix)
        if error.passing or heard.file is None:
            encoder = targets[0].output.card.name if own and targets else None
            self._failed.add(heard.track)
            self._passing.append(Row(heard.track, encoder, reason, error.fix))
        for target in targets:
            self._fail_in(target, heard, [] if error.passing else [note])

    def _fail_in(self, target: Target, heard: Heard, notes: Sequence[Note]) -> None:
        self._failed.add(heard.track)
        if heard.file is None or target.owner(heard.track) is not None:
            self._passing += [Row(heard.track, None, note.reason, note.fix) for note in notes if heard.file is not None]
            return
        target.note(heard.track, heard.file, notes)
        target.drop({heard.track.id})

    def _settle(self) -> None:
        self._settled += 1
        self._report_progress()

    def _report_progress(self) -> None:
        if self._progress is not None:
            names = dict.fromkeys(target.output.card.name for target in self._targets)
            self._progress(f"encoding {', '.join(names)}", self._finished + self._settled, len(self._tracks))


def _common(clips: list[Clip | AudioError]) -> AudioError | None:
    """The error of all clips alike."""
    errors = [clip for clip in clips if isinstance(clip, AudioError)]
    return errors[0] if errors and len(errors) == len(clips) else None

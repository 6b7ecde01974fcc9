"""Which track lacks what, and what came of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import polars as pl

from timbrec.audio import Clip
from timbrec.embed.hear import Heard
from timbrec.embed.passes import Job, Pass
from timbrec.embed.report import EmbedReport, duplicates, table
from timbrec.embed.target import Target, entry, states
from timbrec.embed.tracks import Track
from timbrec.errors import AudioError
from timbrec.types import Progress


class Ledger:
    """The tracks of a run: `lacking` are the targets that each track still to be read has no vector in."""

    def __init__(self, tracks: Sequence[Track], targets: Sequence[Target], progress: Progress | None) -> None:
        self._tracks, self._targets, self._progress = tracks, targets, progress
        now = states(tracks)
        unchanged = [target.unchanged(now) for target in targets]
        self.lacking = {
            track: lacking
            for track in tracks
            if (lacking := [target for target, ids in zip(targets, unchanged, strict=True) if track.id not in ids])
        }
        self._skipped, self._settled = len(tracks) - len(self.lacking), 0
        self._open: Counter[Track] = Counter()  # passes a track waits for
        self._encoded: set[Track] = set()  # not only recognised
        self._failed: set[Track] = set()
        self._failures: list[tuple[Track, str]] = []
        self._encoders: list[str | None] = []  # whose failures they are
        self._remarks: list[tuple[Track, str]] = []
        if self.lacking:
            self._tell()

    def take(self, heard: Heard, passes: Sequence[Pass]) -> None:
        """What was read of a track, to those who lack it."""
        if heard.file is not None:
            for target, audio in heard.known:
                target.add(entry(heard.track, heard.file, audio))
        error = heard.error or _common(list(heard.clips.values()))
        if error is not None:
            self._fail(heard, error, None)
        else:
            for one in passes:
                self._to_pass(heard, one)
        if not self._open[heard.track]:
            self._settle()

    def keep(self, job: Job, encoder: str) -> None:
        """A track is through a pass, with all that have the same audio."""
        for number, heard in enumerate(job.heard):
            self._open[heard.track] -= 1
            if job.error is not None:
                self._fail(heard, job.error, encoder)
            elif number == 0:
                self._encoded.add(heard.track)
            if not self._open[heard.track]:
                self._settle()

    def report(self) -> EmbedReport:
        """What came of all tracks."""
        known, encoders = self._targets[0].tracks, pl.Series("encoder", self._encoders, pl.String)
        return EmbedReport(
            done=len(self._encoded - self._failed),
            skipped=self._skipped,
            recognised=self._settled - len(self._encoded | self._failed),
            failures=table(self._failures).with_columns(encoders),
            remarks=table([(track, remark) for track, remark in self._remarks if track not in self._failed]),
            duplicates=duplicates(self._tracks, known),
            gone=len(set(known["id"]) - {track.id for track in self._tracks}),
        )

    def _to_pass(self, heard: Heard, one: Pass) -> None:
        known = {id(target) for target, _ in heard.known}
        targets = [t for t in self.lacking[heard.track] if t in one.targets and id(t) not in known]
        clip = heard.clips.get(one.cut)
        if not targets or clip is None:
            return
        if isinstance(clip, AudioError):
            self._fail(heard, clip, one.encoder.card.name)
            return
        if not self._open[heard.track]:
            self._remarks += [(heard.track, remark.reason) for remark in clip.remarks]
        self._open[heard.track] += one.take(heard, clip, targets)

    def _fail(self, heard: Heard, error: AudioError, encoder: str | None) -> None:
        """List a failure. The vector of what the file was before goes, unless the file is merely out of reach."""
        self._failures.append((heard.track, error.what.removeprefix(f"{heard.track.path}: ")))
        self._encoders.append(encoder)
        self._failed.add(heard.track)
        if heard.file is not None:
            for target in self.lacking[heard.track]:
                if encoder in (None, target.output.card.name):
                    target.drop({heard.track.id})

    def _settle(self) -> None:
        self._settled += 1
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            names = dict.fromkeys(target.output.card.name for target in self._targets)
            self._progress(f"encoding {', '.join(names)}", self._skipped + self._settled, len(self._tracks))


def _common(clips: list[Clip | AudioError]) -> AudioError | None:
    """What is wrong for every encoder alike."""
    errors = [clip for clip in clips if isinstance(clip, AudioError)]
    return errors[0] if errors and len(errors) == len(clips) else None

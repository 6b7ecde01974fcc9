"""The verdict on a scenario: the leading lines, their ties, and whether they beat the baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

import numpy as np

from timbrec.data.split import Scenario
from timbrec.statistics.comparison import Comparison
from timbrec.statistics.intervals import Interval
from timbrec.statistics.needed import needed

State = Literal["too small", "baseline", "chance", "only", "best", "tied"]
_REALISTIC = 50  # times the data


@dataclass(frozen=True)
class Verdict:
    """The result of one scenario on the primary metric.

    `leader` is the audio line with the highest value, `winners` all that are tied with the best, the leader first.
    `best` is the leader where it is better than every other audio line, else None. `lead` is its lead over `second`,
    with an interval that holds for all pairs at once; None without a second line. `unbeaten` are the baselines
    without vectors that no audio line is shown to exceed, `artist` the labels of those that know vectors by their
    artist alone. `times_chance` is the leader's value over chance; None where chance is unknown.
    `above_chance`: some line has its interval above chance. `detectable` is the difference that would be found with
    a probability of 80 %. `flattery` is how much being the highest raises the leader's figure on average. `reason` says
    why this test can tell nothing apart; None where it can. `lines` counts the audio lines. `more_data` is a sentence
    on how much more data would show the leader's lead over the second line; empty where the lead is shown or unknown.
    `one_track` is the part of the leader's value that would be lost without the track it owes most to; 0 if unknown.
    """

    scenario: Scenario
    leader: str
    winners: tuple[str, ...]
    best: str | None
    second: str | None
    lead: Interval | None
    unbeaten: tuple[str, ...]
    times_chance: float | None
    above_chance: bool
    detectable: float
    flattery: float
    reason: str | None
    lines: int
    more_data: str = ""
    one_track: float = 0.0
    artist: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        return f"{self.scenario.capitalize()}: {self._finding}{self._beyond_artist}."

    @property
    def state(self) -> State:
        """The first that holds: the test is too small, a baseline or chance is not beaten, one line, a best one, ties.

        The sentence, the heading and the advice of a page follow from it.
        """
        if self.reason is not None:
            return "too small"
        if self.unbeaten:
            return "baseline"
        if not self.above_chance:
            return "chance"
        return "only" if self.lines == 1 else "tied" if self.best is None else "best"

    @property
    def _beyond_artist(self) -> str:
        """What the finding needs to add where the mean vector of the artist may do as well."""
        if not self.artist or self.state in ("too small", "baseline", "chance"):
            return ""
        alone = self.state in ("only", "best")
        return f"; {'it is not' if alone else 'none is'} shown to beat {_listed(self.artist)}"

    @property
    def _finding(self) -> str:
        times = "" if self.times_chance is None else f", {self.times_chance:.1f} times chance"
        if self.state == "too small":
            return f"this test cannot tell encoders apart ({self.reason})"
        if self.state == "baseline":
            labels = dict.fromkeys(
                name.rsplit(" / ", 1)[-1] for name in self.unbeaten
            )  # artist-mean once, not per encoder
            return f"no audio model is shown to beat {_listed(list(labels))}"
        if self.state == "chance":
            return "no audio model is shown to be better than chance"
        if self.state == "only":
            reached = "is better than chance" if self.times_chance is None else f"reaches{times.lstrip(',')}"
            return f"{self.leader}, the only audio model, {reached}"
        if self.state == "best":
            return f"{self.best} is best{times}"
        if len(self.winners) > 3:
            tied = f"{len(self.winners)} of {self.lines} combinations are tied"
            return f"{tied}; {self.leader} has the highest figure{times}"
        return f"{_listed(self.winners)} are tied{times}"


def judge(
    scenario: Scenario,
    names: Sequence[str],
    audio: Sequence[int],
    baselines: Sequence[int],
    chances: Sequence[float | None],
    comparison: Comparison,
    by_artist: Sequence[int] = (),
) -> Verdict | None:
    """The verdict on the `audio` lines of a comparison beside its `baselines`; None without audio lines.

    `by_artist` are baselines that know the vectors by their artist alone, such as "mert / artist-mean". `names` and
    `chances` belong to the lines of the comparison.
    """
    if not len(audio):
        return None
    contest = comparison.among(audio)
    order = np.argsort(-contest.values, kind="stable")
    first = int(order[0])
    leader = audio[first]
    tied = [int(place) for place in order if contest.tied[place]]
    chance = chances[leader]
    second = int(order[1]) if len(order) > 1 else None
    return Verdict(
        scenario=scenario,
        leader=names[leader],
        winners=tuple(names[audio[place]] for place in tied),
        best=None if contest.best is None else names[audio[contest.best]],
        second=None if second is None else names[audio[second]],
        lead=None if second is None else contest.difference(first, second),
        unbeaten=tuple(names[place] for place in baselines if not _is_beaten(comparison, audio, place)),
        artist=tuple(
            dict.fromkeys(
                names[place].rpartition(" / ")[2] for place in by_artist if not _is_beaten(comparison, audio, place)
            )
        ),
        times_chance=float(comparison.values[leader] / chance) if chance else None,
        above_chance=any(_above(comparison.intervals[line].low, chances[line]) for line in audio),
        detectable=contest.smallest_detectable,
        flattery=contest.winner.flattery if contest.reason is None else float("nan"),
        reason=contest.reason,
        lines=len(audio),
        more_data="" if second is None else more_data(scenario, contest, first, second),
        one_track=_one_track(contest, first),
    )


def more_data(scenario: Scenario, comparison: Comparison, first: int, second: int) -> str:
    """A sentence on how much more data would show the difference of two lines; empty where it is shown or unknown."""
    amount = needed(comparison, first, second)
    if amount is None or comparison.difference(first, second).low > 0 or comparison.difference(second, first).low > 0:
        return ""
    users, items = len(comparison.spread.users), len(comparison.spread.items)
    lead = f"The lead of {amount.difference:.3f} over the next is too small to show"
    start = f"{lead}: between these two it takes {amount.detectable:.3f}"
    tracks = "cold tracks" if scenario == "cold" else "tracks"
    options = [(amount.items, items, tracks), (amount.users, users, "users")]
    within = [(count * (growth - 1), noun) for growth, count, noun in options if count and growth <= _REALISTIC]
    if within:
        more, noun = within[0] if scenario == "cold" else within[-1]
        return f"{start}; about {_rounded(more)} more {noun} would show it, if it is real."
    if amount.together <= _REALISTIC:
        return f"{start}; about {amount.together:.0f} times as many users and {tracks} would show it, if it is real."
    return f"{start}; no log of a realistic size would show it."


def _rounded(count: float) -> str:
    """At least 1, with two significant digits, rounded up."""
    size = 10 ** max(int(np.log10(max(count, 1))) - 1, 0)
    return f"{int(np.ceil(max(count, 1) / size)) * size:,}"


def _above(low: float, chance: float | None) -> bool:
    """Whether a lower limit lies above chance; True where chance is unknown."""
    return chance is None or (isfinite(low) and low > chance)


def _is_beaten(comparison: Comparison, audio: Sequence[int], baseline: int) -> bool:
    """Whether some audio line is shown to exceed a baseline; its comparisons with all audio lines are one family."""
    intervals = comparison.among([baseline, *audio]).against(0)
    return any(interval.low > 0 for interval in intervals[1:])


def _one_track(comparison: Comparison, line: int) -> float:
    """The largest influence of a track on a line's value, over the value."""
    influences, value = comparison.spread.items[:, line], float(comparison.values[line])
    return float(influences.max(initial=0.0)) / value if value > 0 else 0.0


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

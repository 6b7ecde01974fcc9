"""The verdict on a scenario: the leading lines, their ties, and whether they beat the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

import numpy as np

from timbrec.data.split import Scenario
from timbrec.statistics.comparison import Comparison
from timbrec.statistics.intervals import Interval
from timbrec.statistics.needed import needed
from timbrec.types import Array, Float

State = Literal["too small", "baseline", "chance", "only", "best", "tied"]
_REALISTIC = 50  # times the data
CARRIED = 0.25  # a line is carried by one track where the track brings more than this part of its figure


@dataclass(frozen=True)
class Verdict:
    """The result of one scenario on the primary metric, for its audio lines.

    - `carried`: lines that owe more than a quarter of their value to one track, except a line shown to be best.
    - `leader`: the line with the highest value among those not carried; if all are carried, the highest.
    - `highest`: the carried line with a higher value than the leader; empty if there is none.
    - `unit`: "artist" if the tracks of an artist count as one, else "track".
    - `winners`: all lines tied with the best, the leader first.
    - `best`: the line shown to be better than every other; None if there is none.
    - `second`, `lead`: the next line, and the leader's lead over it with an interval that holds for all pairs at once;
      None with a single line.
    - `unbeaten`: baselines without vectors that no line is shown to exceed.
    - `artist`: labels of unbeaten baselines that know vectors only as means over an artist.
    - `times_chance`: the leader's value over chance; None if chance is unknown.
    - `above_chance`: whether the interval of some line lies above chance.
    - `detectable`: the difference that would be found with a probability of 80 %.
    - `flattery`: by how much being the highest raises the leader's figure on average.
    - `reason`: why this test can tell nothing apart; None if it can.
    - `lines`: the number of audio lines.
    - `more_data`: a sentence on how much more data would show the lead; empty if it is shown or unknown.
    - `one_track`: the largest part of the leader's value that one track (or artist) contributes; 0 if unknown.
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
    carried: tuple[str, ...] = ()
    highest: str = ""
    unit: Literal["track", "artist"] = "track"

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        return f"{self.scenario.capitalize()}: {self._finding}{self._on_one_track}{self._beyond_artist}."

    @property
    def state(self) -> State:
        """The first of these that holds: test too small, baseline or chance not beaten, a single line, a best line,
        ties.

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
        """An addition to the finding if the mean vector of the artist may do as well."""
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
            return f"no audio model is shown to beat {_listed(self.unbeaten)}"
        if self.state == "chance":
            return "no audio model is shown to be better than chance"
        if self.state == "only":
            reached = "is better than chance" if self.times_chance is None else f"reaches{times.lstrip(',')}"
            return f"{self.leader}, the only audio model, {reached}"
        if self.state == "best":
            return f"{self.best} is best{times}"
        if len(self.winners) <= 3:
            return f"{_listed(self.winners)} are tied{times}"
        tied = f"{len(self.winners)} of {self.lines} combinations are tied"
        return f"{tied}; {self.leader} has {self.standing}{times}"

    @property
    def standing(self) -> str:
        """The place of the leader among the audio lines, e.g. "the highest figure"."""
        return f"the highest figure{f' that does not hang on one {self.unit}' if self.highest else ''}"

    @property
    def _on_one_track(self) -> str:
        """The part of the leader's figure that one track brings, if it is large."""
        if self.one_track <= CARRIED or self.state not in ("only", "best", "tied"):
            return ""
        return f"; one {self.unit} brings {100 * self.one_track:.0f} % of the figure"


def judge(
    scenario: Scenario,
    names: Sequence[str],
    audio: Sequence[int],
    baselines: Sequence[int],
    chances: Sequence[float | None],
    comparison: Comparison,
    by_artist: Mapping[int, str] | None = None,
) -> Verdict | None:
    """The verdict on the `audio` lines of a comparison beside its `baselines`; None without audio lines.

    `names` and `chances` belong to the lines of the comparison. `by_artist` holds, by place among the lines, the labels
    of baselines that know vectors only as means over an artist, such as "artist-mean".
    """
    if not len(audio):
        return None
    contest = comparison.among(audio)
    shares = _shares_of_one_track(contest)
    carried = shares > CARRIED
    if contest.best is not None:
        carried[contest.best] = False
    order = np.lexsort((-contest.values, carried))
    first, highest = int(order[0]), int(np.argmax(contest.values))
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
                label for place, label in (by_artist or {}).items() if not _is_beaten(comparison, audio, place)
            )
        ),  # once, not per encoder
        times_chance=float(comparison.values[leader] / chance) if chance else None,
        above_chance=any(_above(comparison.intervals[line].low, chances[line]) for line in audio),
        detectable=contest.smallest_detectable,
        flattery=contest.winner.flattery if contest.reason is None else float("nan"),
        reason=contest.reason,
        lines=len(audio),
        more_data="" if second is None else more_data(scenario, contest, first, second),
        one_track=float(shares[first]),
        carried=tuple(names[audio[place]] for place in order if carried[place]),
        highest="" if contest.values[first] == contest.values[highest] else names[audio[highest]],
        unit="artist" if contest.spread.clustered else "track",
    )


def more_data(scenario: Scenario, comparison: Comparison, first: int, second: int) -> str:
    """A sentence on how much more data would show the difference of two lines; empty if it is shown or unknown."""
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
        size = f"{_rounded(more)} more {noun}"
    elif amount.together <= _REALISTIC:
        size = f"{amount.together:.0f} times as many users and {tracks}"
    else:
        return f"{start}; no log of a realistic size would show it."
    # Not "would show it": at the same k, more candidates also make the difference smaller.
    return f"{start}; at least about {size} are needed to show it, if it is real."


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


def _shares_of_one_track(comparison: Comparison) -> Float[Array, "lines"]:
    """The largest influence of a track (or artist) on each line's value, over the value; 0 if unknown."""
    largest = comparison.spread.items.max(axis=0, initial=0.0)
    return np.divide(largest, comparison.values, out=np.zeros(len(largest)), where=comparison.values > 0)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

"""Synthetic listeners: which tracks they play, and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbrec.types import Array, Float, Float32, Int

DAY = 86_400  # seconds

TASTES = 4  # largest number of tastes of a listener
SHARES = (0.65, 0.25, 0.1)  # mean shares of a listener's choices: by taste, by popularity, by chance
NOVELTY = 12.0  # interest in a release on its first day, in multiples of the usual interest
NOVELTY_DAYS = 30.0  # time in which novelty falls to 1/e
ACTIVITY_SPREAD = 1.0  # standard deviation of log activity among listeners
LATECOMERS = 0.2  # share of listeners who join during the first half of the log rather than before it
FEWEST = 20  # tracks of the least active listener, as in the data of tamm2026

_BLOCK = 32  # listeners in a block; fixed, because the draws depend on it


@dataclass(frozen=True)
class Shelf:
    """The tracks that listeners choose from; row i of each array is track i.

    `positions`: points in taste space; interest falls with the squared distance from a taste.
    `popularity`: positive, on any scale. `released`: days since the log's first day, negative for older tracks.
    """

    positions: Float32[Array, "tracks tastes"]
    popularity: Float[Array, "tracks"]
    released: Int[Array, "tracks"]


@dataclass(frozen=True)
class Plays:
    """One row per play, in order of time: row of the user, row of the track, seconds since the log's first day."""

    user: Int[Array, "plays"]
    track: Int[Array, "plays"]
    second: Int[Array, "plays"]


def listen(
    shelf: Shelf,
    users: int,
    days: int,
    tracks_per_user: int | float,
    plays_per_pair: int | float,
    rng: np.random.Generator,
) -> Plays:
    """All plays of a log of `days` days. No play precedes the release of its track.

    Each listener has one to four tastes and chooses by taste, popularity and chance. A listener's tracks are drawn
    without replacement; their number has the mean `tracks_per_user` and a long tail. The time of a first play follows
    the interest in the track; the number of plays of a pair has the mean `plays_per_pair` and a long tail.
    """
    user, track = _pairs(shelf, _activity(users, len(shelf.popularity), tracks_per_user, rng), days, rng)
    joined = np.where(rng.random(users) < LATECOMERS, rng.random(users) * days / 2, 0.0)
    first = _first_plays(shelf.released[track], joined[user], days, rng)
    return _with_repeats(user, track, first, days, plays_per_pair, rng)


def _activity(users: int, tracks: int, mean: int | float, rng: np.random.Generator) -> Int[Array, "users"]:
    """Number of distinct tracks of each listener: log-normal above a floor, at most half of all tracks."""
    floor = min(FEWEST, mean / 2)
    spread = rng.lognormal(-(ACTIVITY_SPREAD**2) / 2, ACTIVITY_SPREAD, users)
    return np.clip(np.rint(floor + (mean - floor) * spread), 1, max(1, tracks // 2)).astype(np.int64)


def _pairs(
    shelf: Shelf, counts: Int[Array, "users"], days: int, rng: np.random.Generator
) -> tuple[Int[Array, "pairs"], Int[Array, "pairs"]]:
    """Distinct (user, track) pairs, `counts[u]` for user u, by an exponential race.

    The tracks with the smallest E / weight, E standard exponential, are a draw without replacement by weight. Users
    with similar counts share a block, so that few sorted entries are discarded.
    """
    interest = _interest(shelf.released, days)
    by_count = np.argsort(counts, kind="stable")
    pairs = []
    for low in range(0, len(counts), _BLOCK):
        block = by_count[low : low + _BLOCK]
        sizes, most = counts[block], counts[block].max()
        weight = _weights(shelf, interest, len(block), rng)
        arrival = rng.standard_exponential(weight.shape, np.float32) / weight
        early = np.argpartition(arrival, most - 1, axis=1)[:, :most]
        order = np.argsort(np.take_along_axis(arrival, early, 1), axis=1)
        chosen = np.arange(most) < sizes[:, None]
        pairs.append((np.repeat(block, sizes), np.take_along_axis(early, order, 1)[chosen]))
    users, tracks = zip(*pairs, strict=True)
    return np.concatenate(users), np.concatenate(tracks)


def _weights(
    shelf: Shelf, interest: Float[Array, "tracks"], users: int, rng: np.random.Generator
) -> Float32[Array, "users tracks"]:
    """Weights of all tracks for `users` new listeners: a mixture of taste, popularity and chance.

    A taste is a point near a track, chosen by popularity; a listener's tastes have unequal shares.
    """
    popular = shelf.popularity * interest / (shelf.popularity @ interest)
    has = rng.integers(1, TASTES + 1, users)
    first = np.cumsum(has) - has
    near = shelf.positions[rng.choice(len(popular), size=has.sum(), p=popular)]
    centres = near + 0.5 * rng.standard_normal(near.shape, np.float32)
    by_taste, *by_other = rng.dirichlet(10 * np.array(SHARES), users).T

    # The exponent log(base) - |centre - position|^2 / 2 as one product of rows lengthened by the squares
    base = np.log(np.sqrt(shelf.popularity) * interest) - _half_square(shelf.positions)
    liking = np.column_stack([centres, np.ones(len(near)), -_half_square(centres)]).astype(np.float32)
    liking = liking @ np.column_stack([shelf.positions, base, np.ones(len(base))]).astype(np.float32).T
    np.exp(liking, out=liking)
    part = rng.standard_exponential(len(near))
    part *= np.repeat(by_taste / np.add.reduceat(part, first), has)
    liking *= (part / liking.sum(axis=1)).astype(np.float32)[:, None]
    weight = np.add.reduceat(liking, first, axis=0)
    otherwise = np.stack([popular, interest / interest.sum()]).astype(np.float32)
    weight += np.column_stack(by_other).astype(np.float32) @ otherwise
    return weight


def _half_square(rows: Float32[Array, "n d"]) -> Float32[Array, "n"]:
    return np.sum(rows**2, axis=1) / 2


def _interest(released: Int[Array, "tracks"], days: int) -> Float[Array, "tracks"]:
    """Interest in each track, summed over its days in the log: 1 a day, plus novelty after a release within it."""
    left = (days - np.maximum(released, 0)).astype(np.float64)
    return left + np.where(released >= 0, _novelty(left), 0)


def _novelty(left: Float[Array, "n"]) -> Float[Array, "n"]:
    return NOVELTY * NOVELTY_DAYS * (1 - np.exp(-left / NOVELTY_DAYS))


def _first_plays(
    released: Int[Array, "pairs"], joined: Float[Array, "pairs"], days: int, rng: np.random.Generator
) -> Float[Array, "pairs"]:
    """The day of each pair's first play, by the same interest: uniform, or soon after the release."""
    start = np.maximum(released, joined)
    left = days - start
    extra = np.where(released >= 0, _novelty(left), 0)
    place = rng.random(len(start))
    soon = -NOVELTY_DAYS * np.log1p(-place * (1 - np.exp(-left / NOVELTY_DAYS)))
    return start + np.where(rng.random(len(start)) * (left + extra) < extra, soon, place * left)


def _with_repeats(
    user: Int[Array, "pairs"],
    track: Int[Array, "pairs"],
    first: Float[Array, "pairs"],
    days: int,
    mean: int | float,
    rng: np.random.Generator,
) -> Plays:
    """First plays and repeats in order of time, to the second; repeats come more often soon after the first play."""
    keenness = rng.exponential(mean - 1, len(user)) if mean > 1 else np.zeros(len(user))
    plays = 1 + rng.poisson(keenness)
    pair = np.repeat(np.arange(len(user)), plays)
    again = np.ones(len(pair), bool)
    again[np.cumsum(plays) - plays] = False
    day = first[pair]
    day[again] += (days - day[again]) * rng.random(np.count_nonzero(again)) ** 2
    second = np.minimum((day * DAY).astype(np.int64), days * DAY - 1)
    order = np.argsort(second, kind="stable")
    return Plays(user[pair][order], track[pair][order], second[order])

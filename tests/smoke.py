"""A benchmark from memory in a few seconds, for a fresh installation: `python smoke.py`; it needs timbrec alone."""

import numpy as np
import polars as pl

import timbrec

rng = np.random.default_rng(0)
USERS, TRACKS, PLAYS = 60, 120, 40
taste = rng.integers(4, size=USERS)  # each listener plays one of four styles
style = np.arange(TRACKS) % 4
vectors = np.eye(4, dtype=np.float32)[style] + rng.normal(0, 0.1, (TRACKS, 4)).astype(np.float32)
tracks = np.array([rng.choice(np.flatnonzero(style == taste[user]), PLAYS) for user in range(USERS)])
days = rng.integers(0, 390, size=tracks.shape)
days = np.where(tracks % 7 == 0, 365 + days % 25, days)  # every seventh track is new in the last month
log = pl.DataFrame(
    {
        "user_id": [f"listener {user}" for user in np.repeat(np.arange(USERS), PLAYS)],
        "track_id": [f"track {track}" for track in tracks.ravel()],
        "timestamp": np.datetime64("2019-01-01", "us") + days.ravel() * np.timedelta64(1, "D"),
    }
)
result = timbrec.bench(
    interactions=log,
    encoders={"styles": ([f"track {track}" for track in range(TRACKS)], vectors)},
    split={"test_at": "2020-01-01"},
    k=[10],
    primary="ndcg@10",
    seeds=[0],
)
cold = result.summary.filter(scenario="cold", metric="ndcg@10", encoder="styles")
value, chance = cold["value"][0], cold["chance"][0]
assert value > 2 * chance, (value, chance)
assert result.report.is_file()
print(f"a benchmark ran: cold ndcg@10 {value:.3f}, chance {chance:.3f}")  # noqa: T201 - the answer

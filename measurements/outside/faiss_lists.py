"""KNN by brute-force `faiss`: the nearest items of every user's mean vector. Runs in that package's own environment.

    python faiss_lists.py question.npz answer.npz

The question: `user` and `item` rows of the train pairs, `vectors` (items, dim), the rows of `users`, the
`candidates` and `k`. The answer: `items` and `scores` (users, k) without the user's train items, -1 past the end.
"""

import sys

import faiss
import numpy as np

asked = np.load(sys.argv[1])
vectors, candidates, k = asked["vectors"].copy(), asked["candidates"], int(asked["k"])
faiss.normalize_L2(vectors)
index = faiss.IndexFlatIP(vectors.shape[1])
index.add(vectors[candidates])

order = np.argsort(asked["user"], kind="stable")
starts = np.searchsorted(asked["user"][order], [asked["users"], asked["users"] + 1])
items = np.full((len(asked["users"]), k), -1)
scores = np.full((len(asked["users"]), k), -np.inf, np.float32)
for row, (start, end) in enumerate(starts.T):
    played = asked["item"][order[start:end]]
    profile = vectors[played].mean(axis=0, keepdims=True)
    faiss.normalize_L2(profile)
    found_scores, places = index.search(profile, min(k + len(played), len(candidates)))
    nearest = candidates[places[0]]
    left = np.flatnonzero(~np.isin(nearest, played))[:k]
    items[row, : len(left)], scores[row, : len(left)] = nearest[left], found_scores[0, left]
np.savez(sys.argv[2], items=items, scores=scores)

"""ELSA by PyPI `elsarec`: scores of all users for all items. Runs in that package's own environment.

    python elsarec_scores.py question.npz answer.npz

The question: `user` and `item` rows of the train pairs, `shape`, and the settings `factors`, `epochs`, `batch`, `lr`,
`seed`. The answer: `start`, the factors before training, and `scores` (users, items).
"""

import sys

import numpy as np
import scipy.sparse as sp
import torch
from elsa import ELSA

asked = np.load(sys.argv[1])
torch.manual_seed(int(asked["seed"]))
users, items = (int(n) for n in asked["shape"])
ones = np.ones(len(asked["user"]), np.float32)
train = sp.csr_matrix((ones, (asked["user"], asked["item"])), shape=(users, items))
batch = int(asked["batch"])

model = ELSA(items, int(asked["factors"]), device=torch.device("cpu"), lr=float(asked["lr"]))
start = model.get_items_embeddings(as_numpy=True).copy()
model.fit(train, epochs=int(asked["epochs"]), batch_size=batch, shuffle=False, verbose=False)
np.savez(sys.argv[2], start=start, scores=model.predict(train, batch_size=batch).numpy())

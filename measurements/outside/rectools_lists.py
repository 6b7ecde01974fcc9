"""BERT4Rec by PyPI `rectools`: its lists after every epoch. Runs in that package's own environment.

    python rectools_lists.py question.npz answer.npz

The question: `user`, `item` and `place` (in the user's history) of the train pairs, the rows of `users`, `k`, and the
settings `width`, `layers`, `heads`, `length`, `mask`, `dropout`, `batch`, `lr`, `epochs`, `seed`. The answer: `items`
(epochs, users, k) without the user's train items.
"""

import logging
import sys
import warnings

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import BERT4RecModel

warnings.filterwarnings("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
torch.set_num_threads(1)

asked = np.load(sys.argv[1])
seed_everything(int(asked["seed"]))
days = pd.Timestamp("2020-01-01") + pd.to_timedelta(asked["place"], unit="D")
train = pd.DataFrame(
    {Columns.User: asked["user"], Columns.Item: asked["item"], Columns.Weight: 1.0, Columns.Datetime: days}
)
dataset = Dataset.construct(train)
model = BERT4RecModel(
    n_factors=int(asked["width"]),
    n_blocks=int(asked["layers"]),
    n_heads=int(asked["heads"]),
    session_max_len=int(asked["length"]),
    mask_prob=float(asked["mask"]),
    dropout_rate=float(asked["dropout"]),
    batch_size=int(asked["batch"]),
    lr=float(asked["lr"]),
    loss="softmax",
)
lists = []
for _ in range(int(asked["epochs"])):
    model.fit_partial(dataset, min_epochs=1, max_epochs=1)
    recommended = model.recommend(asked["users"], dataset, k=int(asked["k"]), filter_viewed=True)
    items = np.full((len(asked["users"]), int(asked["k"])), -1)
    items[np.searchsorted(asked["users"], recommended[Columns.User]), recommended[Columns.Rank] - 1] = recommended[
        Columns.Item
    ]
    lists.append(items)
np.savez(sys.argv[2], items=np.array(lists))

"""Ours against implementations nobody here wrote: the tables of docs/comparisons.md.

ELSA against `elsarec`, BERT4Rec against `rectools`, KNN against brute-force `faiss`, on the same splits, users,
candidates and histories, judged by the same code. Each package lives in an environment of its own under `--cache`, made
at the first run with this project's version of torch, and is spoken to through files.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from harness.hetrec import hetrec_split
from scipy.stats import t

from timbrec.data.interactions import Interactions
from timbrec.data.split import SCENARIOS, Fold, Split, Task
from timbrec.data.vocabulary import Vocabulary
from timbrec.metrics.ndcg import NDCG
from timbrec.protocols import Content, Scorer, Workspace
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import rank
from timbrec.recommenders.bert4rec import BERT4Rec
from timbrec.recommenders.elsa import ELSA, ELSAModel
from timbrec.recommenders.knn import KNN
from timbrec.recommenders.popularity import Popularity
from timbrec.recommenders.shared.sequences import Sequences
from timbrec.worlds.planted import PlantedWorld

HERE = Path(__file__).parent
K = 50
LISTENERS = 8  # of a HetRec artist at least, which keeps a fit short
PACKAGES = {"elsarec": "elsarec==0.1.4", "rectools": "rectools[torch]==0.19.0", "faiss": "faiss-cpu==1.15.1"}
SHOWN: dict[str, Any] = {
    "tbl_formatting": "ASCII_MARKDOWN", "tbl_hide_column_data_types": True, "tbl_hide_dataframe_shape": True,
    "tbl_rows": -1, "tbl_cols": -1, "tbl_width_chars": 200, "float_precision": 4, "fmt_str_lengths": 40,
}  # fmt: skip
ELSA_SETTINGS = {"factors": 256, "epochs": 10, "batch": 128, "lr": 0.1}
BERT_SETTINGS = {
    "width": 32, "layers": 2, "heads": 2, "length": 64, "mask": 0.2, "dropout": 0.1, "batch": 32, "lr": 3e-3,
    "epochs": 100,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Log:
    """A log split, and vectors of its items."""

    split: Split
    vectors: np.ndarray


def planted(seed: int) -> Log:
    """A world in which plays follow from taste, popularity and company, and their order within a month is random."""
    world = PlantedWorld(users=1000, items=1000, seed=seed)
    return Log(world.split, world.vectors(0.7))


def hetrec(seed: int) -> Log:
    """Real plays of artists with eight listeners or more, a tenth of the artists cold; no time, so no order."""
    split, content = hetrec_split(Path(os.environ["TIMBREC_TEST_DATA"], "data"), seed, LISTENERS)
    return Log(split, content.vectors)


def sessions(seed: int, users: int = 600, groups: int = 20, size: int = 15, last: int = 4) -> Log:
    """A log in which order matters: runs of three to six tracks of one group, then of another, the last run longer.

    A track in ten is any track. The last four tracks of a user are held out. Most of them are of the group played last,
    which cannot be seen without the order.
    """
    rng = np.random.default_rng([seed, *b"sessions"])
    rows = [
        (user, item, place) for user in range(users) for place, item in enumerate(_history(rng, groups, size, last))
    ]
    pairs = pl.DataFrame(rows, schema=["user", "item", "first"], orient="row")
    held = pl.col("first").max().over("user") - pl.col("first") < last
    pairs = pairs.with_columns(plays=1, held=held)
    train, later = (
        Interactions.of(pairs.filter(part), users, groups * size) for part in (~pl.col("held"), pl.col("held"))
    )
    known = train.item_users[later.item] > 0
    fold = Fold(train, later.where(known), later.where(~known))
    ids = (Vocabulary.of(pl.Series([f"{row:04}" for row in range(n)])) for n in (users, groups * size))
    return Log(Split("sessions", fold, fold, *ids), np.zeros((groups * size, 1), np.float32))


def _history(rng: np.random.Generator, groups: int, size: int, last: int) -> list[int]:
    """One user's distinct tracks, in order."""
    played: dict[int, None] = {}
    group, runs = int(rng.integers(groups)), int(rng.integers(3, 7))
    for run in range(runs):
        group = (group + int(rng.integers(1, groups))) % groups
        for _ in range(int(rng.integers(3, 7)) + (last if run == runs - 1 else 0)):
            of_group, any_one = group * size + int(rng.integers(size)), int(rng.integers(groups * size))
            played.setdefault(of_group if rng.random() < 0.9 else any_one)
    return list(played)


LOGS: dict[str, Callable[[int], Log]] = {"planted": planted, "hetrec": hetrec, "sessions": sessions}


@dataclass(frozen=True)
class Environment:
    """A package in a virtual environment of its own; torch comes first, in the version that this project pins."""

    cache: Path
    python: str

    def answer(self, package: str, script: str, **question: Any) -> dict[str, np.ndarray]:
        """The answer of a script of `measurements/outside`."""
        folder = self.cache / package
        self._install(package, folder)
        asked, answer = folder / f"question-{os.getpid()}.npz", folder / f"answer-{os.getpid()}.npz"
        np.savez(asked, **question)
        try:
            command = [folder / "bin/python", "-W", "ignore", HERE / "outside" / script, asked, answer]
            subprocess.run(command, check=True, env=_clean())
            with np.load(answer) as answers:
                return dict(answers)
        finally:
            asked.unlink()
            answer.unlink(missing_ok=True)

    def versions(self) -> str:
        """Versions of the installed packages."""
        requirement = ("torch==", "elsarec==", "RecTools==", "pytorch-lightning==", "faiss-cpu==", "numpy==")
        lines = []
        for package in [name for name in PACKAGES if (self.cache / name / "installed").exists()]:
            command = [self.cache / package / "bin/python", "-m", "pip", "freeze", "--disable-pip-version-check"]
            frozen = subprocess.run(command, check=True, env=_clean(), capture_output=True, text=True).stdout
            lines.append(
                ", ".join(
                    line
                    for line in frozen.splitlines()
                    if line.lower().startswith(tuple(w.lower() for w in requirement))
                )
            )
        return "\n".join(lines)

    def _install(self, package: str, folder: Path) -> None:
        if (folder / "installed").exists():
            return
        pinned = next(
            line for line in (HERE.parent / "constraints.txt").read_text().splitlines() if line.startswith("torch==")
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "torch.txt").write_text(pinned + "\n")
        subprocess.run([self.python, "-m", "venv", folder], check=True)
        pip = [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "-c", folder / "torch.txt"]
        for requirement in ("torch", PACKAGES[package]):
            subprocess.run([*pip, requirement], check=True, env=_clean())
        (folder / "installed").touch()


def _clean() -> dict[str, str]:
    """The environment without variables that lead a package's Python to ours; two threads at most."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {"OMP_NUM_THREADS": str(torch.get_num_threads())} | kept


@dataclass(frozen=True, eq=False)
class Scores(Scorer):
    """A table of scores that came from elsewhere."""

    table: np.ndarray
    can_rank_cold = False

    def bind(self, items: np.ndarray, device: torch.device) -> Callable[[np.ndarray, torch.Tensor], None]:
        """Look them up."""
        columns = torch.from_numpy(self.table[:, items])
        return lambda rows, out: out.copy_(columns[torch.from_numpy(rows)])


def started(settings: ELSA, start: np.ndarray) -> ELSA:
    """The same settings, from factors drawn elsewhere."""

    class Started(ELSA):
        def model(
            self, train: Interactions, content: Content, rng: np.random.Generator, workspace: Workspace = Workspace()
        ) -> ELSAModel:
            model = super().model(train, content, rng, workspace)
            model.factors.data.copy_(torch.from_numpy(start))
            return model

    return Started(**vars(settings))


def compare_elsa(log: Log, seed: int, environment: Environment) -> dict[str, float]:
    """ELSA for a fixed number of epochs, and as it is by default: epochs chosen on validation, train columns alone."""
    task, train = log.split.test.task("hot"), log.split.test.train
    settings = dict(ELSA_SETTINGS, seed=seed)
    shape = (train.n_users, train.n_items)
    theirs = environment.answer(
        "elsarec", "elsarec_scores.py", user=train.user, item=train.item, shape=shape, **settings
    )
    tamm = ELSA.preset("tamm2026", **ELSA_SETTINGS)
    content, nobody = Content(log.vectors), None
    answers: dict[str, Scorer] = {
        "elsarec": Scores(theirs["scores"]),
        "ours, elsarec's start": started(tamm, theirs["start"]).fit(
            train, content, nobody, np.random.default_rng(seed)
        ),
        "ours, tamm2026": tamm.fit(train, content, nobody, np.random.default_rng(seed)),
        "ours, default": refitted(ELSA(factors=tamm.factors), log, seed),
        "popularity": Popularity().fit(train, content, nobody, np.random.default_rng(seed)),
    }
    return {
        name: judged(rank(scorer, task.users, task.candidates, train, K).items, task, train)
        for name, scorer in answers.items()
    }


def refitted(untrained: ELSA, log: Log, seed: int) -> Scorer:
    """Epochs chosen on the validation fold, then fitted to all of train, as `timbrec bench` does."""
    content = Content(log.vectors)
    chosen = untrained.fit(
        log.split.validation.train, content, log.split.validation, np.random.default_rng(seed)
    ).chosen
    return replace(untrained, **chosen).fit(log.split.test.train, content, None, np.random.default_rng(seed))


def compare_bert4rec(log: Log, seed: int, environment: Environment) -> dict[str, float]:
    """Compare BERT4Rec with a learned vector per track, as with the id embeddings of `rectools`.

    Half of the users with held-out tracks choose the epoch, the other half are the test, for both alike.
    """
    fold = log.split.test
    train, first = fold.train, np.random.default_rng(seed).permutation(fold.hot.n_users) < fold.hot.n_users // 2
    nothing = fold.hot.where(np.zeros(len(fold.hot), bool))
    validation, test = (Fold(train, fold.hot.where(half[fold.hot.user]), nothing) for half in (first, ~first))
    theirs = environment.answer(
        "rectools", "rectools_lists.py", user=train.user, item=train.item, place=order(train), k=K, seed=seed,
        users=fold.hot.users, **BERT_SETTINGS,
    )["items"]  # fmt: skip
    tasks = {"validation": validation.task("hot"), "test": test.task("hot")}
    rows = {name: np.searchsorted(fold.hot.users, task.users) for name, task in tasks.items()}
    best = int(np.argmax([judged(lists[rows["validation"]], tasks["validation"], train) for lists in theirs]))
    ours, chosen = our_bert4rec(train, validation, tasks["test"], seed)
    mixed_up, _ = our_bert4rec(disordered(train, seed), validation, tasks["test"], seed)
    popular = Popularity().fit(train, Content(log.vectors), None, np.random.default_rng(seed))
    lists = rank(popular, tasks["test"].users, tasks["test"].candidates, train, K)
    return {
        "rectools": judged(theirs[best][rows["test"]], tasks["test"], train),
        "ours": ours,
        "ours, histories disordered": mixed_up,
        "popularity": judged(lists.items, tasks["test"], train),
        "epoch of rectools": best + 1,
        "epoch of ours": chosen,
    }


def our_bert4rec(train: Interactions, validation: Fold, task: Task, seed: int) -> tuple[float, int]:
    """NDCG@50 of ours on `train`, and the epoch chosen."""
    width = BERT_SETTINGS["width"]
    untrained = BERT4Rec(
        **{**BERT_SETTINGS, "width": None}, feed_forward=4 * width, learned=("items",), scale="none", stop_on="hot",
        patience=BERT_SETTINGS["epochs"], plateau=BERT_SETTINGS["epochs"], least_gain=0.0,
    )  # fmt: skip
    rng, spread = np.random.default_rng([seed, *b"identities"]), (2 / (train.n_items + width)) ** 0.5  # as theirs
    identities = (spread * rng.standard_normal((train.n_items, width))).astype(np.float32)
    fold = Fold(train, validation.hot, validation.cold)
    scorer = untrained.fit(train, Content(identities), fold, np.random.default_rng(seed))
    lists = rank(scorer, task.users, task.candidates, train, K)
    return judged(lists.items, task, train), int(scorer.chosen["epochs"])


def order(train: Interactions) -> np.ndarray:
    """The place of every pair in its user's history, as our sequences have it."""
    sequences, place = Sequences(train), np.empty(len(train), np.int64)
    row_of = np.lexsort((sequences.items, np.repeat(np.arange(train.n_users), train.user_items)))
    place[:] = row_of - train.starts[train.user]
    return place


def disordered(train: Interactions, seed: int) -> Interactions:
    """The same pairs at random times."""
    return replace(train, first=np.random.default_rng(seed).permutation(len(train)))


def compare_knn(log: Log, seed: int, environment: Environment) -> dict[str, float]:
    """Compare lists of KNN with lists of an exact faiss index; where they differ, also the scores."""
    fold, train = log.split.test, log.split.test.train
    scorer = KNN().fit(train, Content(log.vectors), None, np.random.default_rng(seed))
    answers: dict[str, float] = {}
    for half in SCENARIOS:
        task = fold.task(half)
        ours = rank(scorer, task.users, task.candidates, train, K)
        theirs = environment.answer(
            "faiss", "faiss_lists.py", user=train.user, item=train.item, vectors=log.vectors, users=task.users,
            candidates=task.candidates, k=K,
        )  # fmt: skip
        differ = ours.items != theirs["items"]
        with np.errstate(invalid="ignore"):
            apart = np.abs(ours.scores - theirs["scores"])
        answers[f"{half}, faiss"] = judged(theirs["items"], task, train)
        answers[f"{half}, ours"] = judged(ours.items, task, train)
        answers[f"{half}, places that differ"] = float(differ.mean())
        answers[f"{half}, largest gap of scores there"] = float(apart[differ].max(initial=0))
    return answers


def judged(items: np.ndarray, task: Task, train: Interactions) -> float:
    """NDCG@50 of the lists."""
    return NDCG(K).value(outcome(items, task, train))


Compare = Callable[[Log, int, Environment], dict[str, float]]
PARTS: dict[str, tuple[Compare, list[str], str]] = {
    "knn": (compare_knn, ["planted", "hetrec"], ""),
    "elsa": (compare_elsa, ["planted", "hetrec"], "elsarec"),
    "bert4rec": (compare_bert4rec, ["sessions", "hetrec"], "rectools"),
}


def figures(
    part: str, requirement: list[str], seeds: int, environment: Environment, out: Path
) -> Iterator[pl.DataFrame]:
    """One row per log, seed and figure; rows in `out` never run again."""
    compare, logs, _ = PARTS[part]
    for name in [log for log in logs if log in requirement]:
        for seed in range(seeds):
            file = out / f"{part}-{name}-{seed}.parquet"
            if not file.exists():
                print(f"{part} on {name}, seed {seed}", file=sys.stderr, flush=True)
                values = compare(LOGS[name](seed), seed, environment)
                table = pl.DataFrame({"figure": list(values), "value": [float(value) for value in values.values()]})
                table.write_parquet(file)
            yield pl.read_parquet(file).with_columns(log=pl.lit(name), seed=pl.lit(seed))


def table(rows: pl.DataFrame, other: str) -> pl.DataFrame:
    """Per log and figure: mean and standard deviation over seeds, and the paired difference to `other` with its
    95 % t interval."""
    base = rows.filter(pl.col("figure") == other).select("log", "seed", base="value")
    rows = rows.join(base, on=["log", "seed"], how="left").with_columns(above=pl.col("value") - pl.col("base"))
    return rows.group_by("log", "figure", maintain_order=True).agg(
        pl.col("value").mean().alias("mean"),
        pl.col("value").min().alias("least"),
        pl.col("value").max().alias("most"),
        pl.col("above").mean().alias(f"above {other}"),
        (pl.col("above").std() * float(t.ppf(0.975, rows["seed"].n_unique() - 1)) / pl.len().sqrt()).alias("±"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all by default")
    parser.add_argument("--logs", nargs="+", choices=LOGS, default=[*LOGS], help="all by default")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--cache", type=Path, default=Path(".venv-outside"), help="where the packages' environments lie"
    )
    parser.add_argument("--out", type=Path, default=Path(".venv-outside/results"), help="finished figures")
    parser.add_argument("--python", default=sys.executable, help="the Python of those environments, 3.11 to 3.13")
    chosen = parser.parse_args()
    environment = Environment(chosen.cache.resolve(), chosen.python)
    chosen.out.mkdir(parents=True, exist_ok=True)
    for part in chosen.parts or PARTS:
        rows = pl.concat(list(figures(part, chosen.logs, chosen.seeds, environment, chosen.out)))
        with pl.Config(**SHOWN):
            print(part, table(rows, PARTS[part][2]), sep="\n\n", end="\n\n")
    print(environment.versions())


if __name__ == "__main__":
    main()

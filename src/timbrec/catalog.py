"""The catalogue of parts: name -> "module:attribute". Nothing is imported until it is asked for."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from timbrec.errors import ConfigError, did_you_mean

CATALOG: dict[str, dict[str, str]] = {
    "encoders": {
        "mfcc": "timbrec.encoders.mfcc:MFCC",
        "mfcc-onion": "timbrec.encoders.onion:MFCCOnion",
        "musicnn-msd": "timbrec.encoders.musicnn:MusiCNNMSD",
        "musicnn-mtt": "timbrec.encoders.musicnn:MusiCNNMTT",
        "mule": "timbrec.encoders.mule:MULE",
        "jukebox-5b": "timbrec.encoders.jukebox:Jukebox",
        "music2vec": "timbrec.encoders.music2vec:Music2Vec",
        "mert-95m": "timbrec.encoders.mert:MERT95M",
        "mert-330m": "timbrec.encoders.mert:MERT330M",
        "encodecmae-base": "timbrec.encoders.encodecmae:EncodecMAE",
        "musicfm-msd": "timbrec.encoders.musicfm:MusicFMMSD",
        "musicfm-fma": "timbrec.encoders.musicfm:MusicFMFMA",
        "muq": "timbrec.encoders.muq:MuQ",
        "muq-mulan": "timbrec.encoders.muq_mulan:MuQMuLan",
    },
    "recommenders": {
        "random": "timbrec.recommenders.random:Random",
        "popularity": "timbrec.recommenders.popularity:Popularity",
        "knn": "timbrec.recommenders.knn:KNN",
        "artist-mean": "timbrec.recommenders.artist_mean:ArtistMean",
        "shallow": "timbrec.recommenders.shallow:ShallowNet",
        "contrastive": "timbrec.recommenders.contrastive:Contrastive",
        "hybrid": "timbrec.recommenders.hybrid:Hybrid",
        "bert4rec": "timbrec.recommenders.bert4rec:BERT4Rec",
        "elsa": "timbrec.recommenders.elsa:ELSA",
        "ease": "timbrec.recommenders.ease:EASE",
    },
    "metrics": {
        "hitrate": "timbrec.metrics.hit_rate:HitRate",
        "recall": "timbrec.metrics.recall:Recall",
        "precision": "timbrec.metrics.precision:Precision",
        "ndcg": "timbrec.metrics.ndcg:NDCG",
        "mrr": "timbrec.metrics.mrr:MRR",
        "map": "timbrec.metrics.map:MAP",
        "coverage": "timbrec.metrics.coverage:Coverage",
        "popularity": "timbrec.metrics.popularity:MeanPopularity",
        "cold-share": "timbrec.metrics.cold_share:ColdShare",
        "cold-recall": "timbrec.metrics.cold_recall:ColdRecall",
    },
    "datasets": {
        "hetrec": "timbrec.datasets.hetrec:HetRec",
        "m4a-onion": "timbrec.datasets.m4a_onion:M4AOnion",
        "taste-profile": "timbrec.datasets.taste_profile:TasteProfile",
        "lastfm-1k": "timbrec.datasets.lastfm_1k:LastFM1K",
    },
}


def names(kind: str) -> list[str]:
    """The names of one kind of part, the project's own first, then those of installed entry points."""
    outside = sorted(point.name for point in _entry_points().select(group=f"timbrec.{kind}"))
    return [*CATALOG[kind], *(name for name in outside if name not in CATALOG[kind])]


@cache
def _entry_points() -> Any:
    """Those of all installed packages, whose files are looked through once."""
    return entry_points()


def summary(kind: str, name: str) -> str:
    """The first sentence of the part's class docstring, read from its source: nothing is imported."""
    module, attribute = CATALOG[kind][name].split(":")
    package, _, file = module.rpartition(".")
    spec = find_spec(package)
    folders = spec.submodule_search_locations or [] if spec else []
    sources = [path for folder in folders if (path := Path(folder, f"{file}.py")).is_file()]
    pattern = rf'^class {attribute}\b[^\n]*:\n    """(.*?)(?:\n\n|""")'  # parsing the files would take 0.1 s
    for path in sources:
        if match := re.search(pattern, path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            return " ".join(match[1].split()).split(". ")[0].removesuffix(".") + "."
    return ""


def load(kind: str, name: str) -> Any:
    """The class or object called `name`. Raises ConfigError with the nearest name when there is none."""
    if name in CATALOG[kind]:
        module, attribute = CATALOG[kind][name].split(":")
        return getattr(import_module(module), attribute)
    for point in _entry_points().select(group=f"timbrec.{kind}", name=name):
        return point.load()
    known = names(kind)
    hint = did_you_mean(name, known)
    raise ConfigError(f"there is no {kind[:-1]} called {name!r}", fix=f"{hint}Known: {', '.join(known)}.")

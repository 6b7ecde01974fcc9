"""The catalogue of parts by kind and name. Loading a part imports it; listing parts does not."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from timbrec.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.metadata import EntryPoint


class Part(NamedTuple):
    """A part: `target` is its "module:attribute", `summary` one line for lists.

    `trained` says of a recommender that its training reads the validation fold; its module then loads PyTorch.
    """

    target: str
    summary: str = ""
    trained: bool = False


CATALOG: dict[str, dict[str, Part]] = {
    "encoders": {
        "mfcc": Part("timbrec.encoders.mfcc:MFCC", "Mean and covariance of 13 cepstral coefficients; no training"),
        "spectral": Part("timbrec.encoders.spectral:Spectral", "Tempo, brightness, noisiness and chroma; no training"),
        "mfcc-onion": Part("timbrec.encoders.onion:MFCCOnion", "MFCC statistics of Music4All-Onion: a file of vectors"),
        "musicnn-msd": Part("timbrec.encoders.musicnn:MusiCNNMSD", "MusiCNN, trained to tag the Million Song Dataset"),
        "musicnn-mtt": Part("timbrec.encoders.musicnn:MusiCNNMTT", "MusiCNN, trained to tag MagnaTagATune"),
        "vgg-msd": Part("timbrec.encoders.vgg:VGGMSD", "VGG, trained to tag the Million Song Dataset"),
        "vgg-mtt": Part("timbrec.encoders.vgg:VGGMTT", "VGG, trained to tag MagnaTagATune"),
        "mule": Part("timbrec.encoders.mule:MULE", "MULE: a SlowFast network trained by contrast of clips"),
        "jukebox-5b": Part("timbrec.encoders.jukebox:Jukebox", "Jukebox: the prior of a generative model of music"),
        "music2vec": Part("timbrec.encoders.music2vec:Music2Vec", "A wav2vec network trained by data2vec on music"),
        "mert-95m": Part("timbrec.encoders.mert:MERT95M", "MERT: masked prediction of audio codes; 95 M parameters"),
        "mert-330m": Part("timbrec.encoders.mert:MERT330M", "MERT: masked prediction of audio codes; 330 M parameters"),
        "encodecmae-base": Part("timbrec.encoders.encodecmae:EncodecMAE", "Masked prediction of EnCodec's codes"),
        "musicfm-msd": Part("timbrec.encoders.musicfm:MusicFMMSD", "MusicFM, trained on the Million Song Dataset"),
        "musicfm-fma": Part("timbrec.encoders.musicfm:MusicFMFMA", "MusicFM, trained on the Free Music Archive"),
        "muq": Part("timbrec.encoders.muq:MuQ", "MuQ: masked prediction of codes of Mel spectrograms"),
        "muq-mulan": Part("timbrec.encoders.muq_mulan:MuQMuLan", "MuQ-MuLan: music and text trained into one space"),
    },
    "recommenders": {
        "random": Part("timbrec.recommenders.random:Random", "A random order for every user: the floor of every table"),
        "new-first": Part("timbrec.recommenders.new_first:NewFirst", "A random order, new tracks before all others"),
        "popularity": Part("timbrec.recommenders.popularity:Popularity", "Most users first; cannot rank new tracks"),
        "knn": Part("timbrec.recommenders.knn:KNN", "Tracks most similar to the mean of the user's tracks"),
        "artist-mean": Part("timbrec.recommenders.artist_mean:ArtistMean", "KNN on the mean vector of the artist"),
        "shallow": Part("timbrec.recommenders.shallow:ShallowNet", "One layer for tracks and users, cosine", True),
        "contrastive": Part(
            "timbrec.recommenders.contrastive:Contrastive", "Content drawn to ELSA's item factors", True
        ),
        "hybrid": Part(
            "timbrec.recommenders.hybrid:Hybrid", "ELSA with item factors computed from content by an MLP", True
        ),
        "bert4rec": Part("timbrec.recommenders.bert4rec:BERT4Rec", "Transformer over the user's last tracks", True),
        "elsa": Part("timbrec.recommenders.elsa:ELSA", "Linear autoencoder of low rank; plays only, no content", True),
        "ease": Part("timbrec.recommenders.ease:EASE", "Linear autoencoder in closed form; plays only, no content"),
    },
    "metrics": {
        "hitrate": Part("timbrec.metrics.hit_rate:HitRate", "Share of users with a hit among the first k"),
        "recall": Part("timbrec.metrics.recall:Recall", "Hits among the first k, over the user's relevant items"),
        "precision": Part("timbrec.metrics.precision:Precision", "Hits among the first k, over k"),
        "ndcg": Part("timbrec.metrics.ndcg:NDCG", "Hits discounted by log2(rank + 1), over the best possible"),
        "mrr": Part("timbrec.metrics.mrr:MRR", "1 / rank of the first hit, 0 if it is not among the first k"),
        "map": Part("timbrec.metrics.map:MAP", "Mean precision at the rank of each relevant item"),
        "coverage": Part("timbrec.metrics.coverage:Coverage", "Share of candidates that are in any list of k"),
        "popularity": Part("timbrec.metrics.popularity:MeanPopularity", "Mean popularity percentile of the first k"),
        "cold-share": Part("timbrec.metrics.cold_share:ColdShare", "Share of the first k places that new tracks take"),
        "cold-recall": Part("timbrec.metrics.cold_recall:ColdRecall", "Hits over relevant tracks, new tracks only"),
    },
    "transforms": {
        "pca": Part("timbrec.transforms.pca:PCA", "The first principal components"),
        "standardise": Part(
            "timbrec.transforms.standardise:Standardise", "Mean 0 and standard deviation 1 in every dimension"
        ),
        "unit": Part("timbrec.transforms.unit:Unit", "Every vector at length 1"),
        "whiten": Part("timbrec.transforms.whiten:Whiten", "Uncorrelated components of variance 1"),
    },
    "probes": {
        "labels": Part("timbrec.probes.labels:OwnLabels", "Any table of tracks and labels"),
        "gtzan": Part("timbrec.probes.gtzan:GTZAN", "Ten genres, in the split without faulty clips"),
        "magnatagatune": Part("timbrec.probes.magnatagatune:MagnaTagATune", "50 tags of 29 s clips"),
        "mtg-jamendo": Part("timbrec.probes.mtg_jamendo:MTGJamendo", "Genres, instruments, moods or 50 tags of songs"),
        "msd-tags": Part("timbrec.probes.msd_tags:MSDTags", "50 tags of the Million Song Dataset"),
        "emomusic": Part("timbrec.probes.emomusic:EmoMusic", "Arousal and valence of 45 s clips"),
        "giantsteps": Part("timbrec.probes.giantsteps:GiantSteps", "The key of electronic dance music"),
        "mulan": Part("timbrec.probes.mulan:Mulan", "Tags of CAL500, moods of emotions"),
        "popularity": Part("timbrec.probes.popularity:PopularityProbe", "Plays of each track, from its vector"),
        "artist": Part("timbrec.probes.artist:ArtistProbe", "The artist of each track, from its vector"),
        "year": Part("timbrec.probes.year:YearProbe", "The year of each track, from its vector"),
        "taste": Part("timbrec.probes.taste:TasteProbe", "The group of users that plays each track"),
    },
    "cells": {
        "ranking": Part("timbrec.study.cells.ranking:Ranking", "Top-k lists, hot, cold and mixed"),
        "thinning": Part("timbrec.study.cells.thinning:Thinning", "Lists after test items were thinned to few plays"),
    },
    "tables": {
        "thinning": Part("timbrec.results.thinning:thinning", "Figures by the plays that test items are thinned to"),
        "beyond": Part("timbrec.results.beyond:beyond", "What audio adds to metadata and to the artist, paired"),
        "reference": Part("timbrec.results.reference:reference_table", "Every encoder against the config's reference"),
        "cost": Part("timbrec.results.cost:cost", "Computation, size and licence of each encoder"),
        "truth": Part("timbrec.results.truth:truth", "Taste in a synthetic world, beside the results of the run"),
        "leaks": Part("timbrec.results.leaks:leaks", "Ways in which train may know cold tracks or their popularity"),
        "strata": Part("timbrec.results.strata:strata_table", "Figures by kind of track and user"),
        "probes": Part("timbrec.results.disparity:probes_table", "Scores of the probes of each encoder"),
        "disparity": Part("timbrec.results.disparity:disparity", "Probes against recommendation, over encoders"),
    },
    "sections": {
        "verdict": Part("timbrec.report.sections.verdict:Verdict", "The verdict on every scenario"),
        "findings": Part("timbrec.report.sections.findings:Findings", "The findings in plain words"),
        "matrix": Part("timbrec.report.sections.matrix:Matrix", "Encoders and recommenders, one matrix a scenario"),
        "plot": Part("timbrec.report.sections.plot:Plot", "Hot figures against cold ones"),
        "reference": Part("timbrec.report.sections.reference:Reference", "Every encoder against the reference"),
        "differences": Part("timbrec.report.sections.differences:Differences", "Differences to the best audio model"),
        "cost": Part("timbrec.report.sections.cost:Cost", "Cost and licence of each encoder"),
        "tables": Part("timbrec.report.sections.tables:Tables", "Every figure in a sortable table"),
        "beyond": Part("timbrec.report.sections.beyond:Beyond", "What audio adds to the artist and other metadata"),
        "thinning": Part("timbrec.report.sections.thinning:Thinning", "Plays until recommendation by plays is better"),
        "disparity": Part("timbrec.report.sections.disparity:Disparity", "Probes against recommendation"),
        "strata": Part("timbrec.report.sections.strata:Strata", "Figures by kind of track and user"),
        "truth": Part("timbrec.report.sections.truth:Truth", "Taste in a synthetic world, and the results of the run"),
        "leaks": Part("timbrec.report.sections.leaks:Leaks", "Ways in which train may know cold tracks"),
        "data": Part("timbrec.report.sections.data:Data", "The data, the split and the encoders"),
        "audit": Part("timbrec.report.sections.audit:Audit", "The findings of the audit"),
        "reading": Part("timbrec.report.sections.reading:Reading", "How to read the page"),
        "reproduce": Part("timbrec.report.sections.reproduce:Reproduce", "Commands that make the figures again"),
    },
    "formats": {
        "table": Part("timbrec.formats.table:Table", "A table for a terminal, with the reasons"),
        "json": Part("timbrec.formats.json_list:JSON", "A JSON object with all that is known of each track"),
        "m3u": Part("timbrec.formats.m3u:M3U", "A playlist of files (M3U8)"),
        "jspf": Part("timbrec.formats.jspf:JSPF", "A playlist as ListenBrainz reads it (XSPF as JSON)"),
        "csv": Part("timbrec.formats.csv_table:CSV", "A row per track with all columns"),
    },
    "trackers": {
        "mlflow": Part("timbrec.trackers.mlflow:MLflow", "A run of MLflow"),
        "wandb": Part("timbrec.trackers.wandb:WandB", "A run of Weights & Biases, also offline"),
    },
    "engines": {
        "local": Part("timbrec.study.engines.local:Local", "Cells in processes on this machine"),
        "ray": Part("timbrec.study.engines.ray:Ray", "Cells as tasks of a Ray cluster"),
    },
    "embed-engines": {
        "local": Part("timbrec.embed.engines.local:Local", "Threads of this process"),
        "ray": Part("timbrec.embed.engines.ray:Ray", "Workers of a Ray cluster, fed by Ray Data"),
    },
    "importers": {
        "listenbrainz": Part("timbrec.importers.listenbrainz:ListenBrainz", "Exports, dumps and answers of the API"),
        "spotify": Part("timbrec.importers.spotify:Spotify", "Extended streaming history, or account data"),
        "lastfm": Part("timbrec.importers.lastfm:LastFM", "CSV files of exporters; the data set Last.fm 1K"),
        "navidrome": Part("timbrec.importers.navidrome:Navidrome", "The server's database, read-only"),
        "apple-music": Part("timbrec.importers.apple_music:AppleMusic", "Play activity of Apple's data request"),
        "youtube-music": Part("timbrec.importers.youtube_music:YouTubeMusic", "Watch history of Google Takeout"),
        "jellyfin": Part("timbrec.importers.jellyfin:Jellyfin", "Plays of a plugin, or the counts of the server"),
        "subsonic": Part("timbrec.importers.subsonic:Subsonic", "Songs in answers of the API"),
        "plex": Part("timbrec.importers.plex:Plex", "The server's database, or tables of Tautulli"),
        "deezer": Part("timbrec.importers.deezer:Deezer", "The workbook of Deezer's data request"),
        "playlists": Part("timbrec.importers.playlists:Playlists", "M3U and JSPF files: each track is a like"),
    },
    "datasets": {
        "hetrec": Part("timbrec.datasets.hetrec:HetRec", "1,892 Last.fm users, 17,632 artists: play counts and tags"),
        "m4a-onion": Part("timbrec.datasets.m4a_onion:M4AOnion", "253 million dated plays of 56,512 tracks"),
        "taste-profile": Part("timbrec.datasets.taste_profile:TasteProfile", "48 million play counts, no times"),
        "lastfm-1k": Part("timbrec.datasets.lastfm_1k:LastFM1K", "19 million dated plays of 992 users"),
        "lastfm-360k": Part("timbrec.datasets.lastfm_360k:LastFM360K", "17.5 million play counts of artists"),
        "lfm-1b": Part("timbrec.datasets.lfm_1b:LFM1b", "A billion dated plays of Last.fm; withdrawn"),
        "lfm-2b": Part("timbrec.datasets.lfm_2b:LFM2b", "Two billion dated plays of Last.fm; withdrawn"),
        "music4all": Part("timbrec.datasets.music4all:Music4All", "Dated plays of 109,269 tracks, with audio"),
        "yambda": Part("timbrec.datasets.yambda:Yambda", "Dated plays of Yandex Music, with audio vectors"),
        "million-playlist": Part("timbrec.datasets.million_playlist:MillionPlaylist", "A million playlists of Spotify"),
        "30music": Part("timbrec.datasets.thirty_music:ThirtyMusic", "31 million plays in sessions of Last.fm"),
        "talkplaydata-2": Part("timbrec.datasets.talkplaydata_2:TalkPlayData2", "Tracks in synthetic conversations"),
        "nowplaying-rs": Part("timbrec.datasets.nowplaying_rs:NowPlayingRS", "11.6 million plays from tweets"),
    },
}


def names(kind: str) -> list[str]:
    """Names of all parts of a kind: the project's own in catalogue order, then those of installed packages, sorted."""
    return [*CATALOG[kind], *sorted({point.name for point in _installed(kind)} - CATALOG[kind].keys())]


def summary(kind: str, name: str) -> str:
    """The part's summary in one line; for a part of another installed package, the package's name."""
    if name in CATALOG[kind]:
        return CATALOG[kind][name].summary
    point = next(iter(_installed(kind, name=name)))
    return f"from the package {point.dist.name}" if point.dist else "from an installed package"


def definition(kind: str, name: str) -> str:
    """The first sentence of the part's docstring. Imports the part."""
    return " ".join((load(kind, name).__doc__ or "").split()).split(". ")[0].removesuffix(".") + "."


def load(kind: str, name: str) -> Any:
    """The class or object of a part. Raises ConfigError, with the nearest name, when the kind has no such part."""
    if name in CATALOG[kind]:
        module, attribute = CATALOG[kind][name].target.split(":")
        return getattr(import_module(module), attribute)
    for point in _installed(kind, name=name):
        return point.load()
    known = names(kind)
    hint = did_you_mean(name, known)
    noun = kind.removeprefix("embed-").removesuffix("s")
    raise ConfigError(f"there is no {noun} called {name!r}", fix=f"{hint}Known: {', '.join(known)}.")


def _installed(kind: str, **name: str) -> Iterable[EntryPoint]:
    """Entry points of a kind of part in installed packages, of one name or all."""
    points: Iterable[EntryPoint] = _entry_points(kind).select(**name)
    return points


@cache
def _entry_points(kind: str) -> Any:
    """Entry points of a kind of part; cached, because finding them reads a file of every installed package."""
    from importlib.metadata import entry_points  # a command that names parts of the project alone needs none

    return entry_points(group=f"timbrec.{kind}")

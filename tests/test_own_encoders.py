"""A user's own encoder in a config: tried out before any audio is opened, and never mixed with an earlier state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import small_world
from audio_files import write_wav
from timbrec.embed import embed
from timbrec.encoders import load, located
from timbrec.errors import ConfigError, StoreError, TimbrecError
from timbrec.models.from_music import fit_music
from timbrec.store import VectorStore
from timbrec.study.config import Config, read_config
from timbrec.study.inputs import load_inputs

RATE, DIM = 8000, 4
HEAD = f"""import numpy as np
from timbrec.protocols import EncoderCard

class Mine:
    card = EncoderCard("mine", "1", rate={RATE}, window=0.2, dim={DIM})
"""
GOOD = (
    HEAD
    + """
    def __init__(self, gain: float = 1.0, weights=None):
        self.gain = gain

    def encode(self, windows):
        return (self.gain * np.abs(windows[:, :1600]).reshape(len(windows), 4, 400).mean(2)).astype(np.float32)
"""
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The small world, with a short clip of noise per track and a config of one own encoder."""
    small_world.write(tmp_path, encoders={"own": {"audio": "clips", "encoder": "mine.py:Mine"}}, recommenders=["knn"])
    (tmp_path / "clips").mkdir()
    rng = np.random.default_rng(0)
    for track in (tmp_path / "ids.txt").read_text().split():
        write_wav(
            tmp_path / "clips" / f"{track}.wav", rng.uniform(0, 0.5) * rng.standard_normal(2000).clip(-2, 2), RATE
        )
    return tmp_path


def config_of(folder: Path, source: str = GOOD, **entry: object) -> Config:
    (folder / "mine.py").write_text(source)
    config = read_config(folder / "config.yaml")
    return config.model_copy(update={"encoders": {"own": config.encoders["own"].model_copy(update=entry)}})


ENCODE = "def encode(self, windows): "
CREATE = "def __init__(self): raise OSError('boom')\n    "


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (f"{ENCODE}return windows[:, :3]", "vectors of 3 values where its card says 4"),
        (f"{ENCODE}return windows[:, :4].astype(float)", "vectors are float64, not float32"),
        (f"{ENCODE}return windows[:, :4] * np.nan", "on noise: the encoder made NaN or infinite"),
        (f"{ENCODE}return [[1.0] * 4] * len(windows)", "vectors are a list, not an array of numpy"),
        (f"{ENCODE}return windows.sum()", "vectors are a float32, not an array of numpy"),
        (f"{ENCODE}raise OSError('boom')", r"cannot encode noise: OSError: boom \(line 6\)\. `timbrec check-encoder"),
        (f"{ENCODE}return windows.reshape(0, -1)", "cannot encode noise: ValueError: cannot reshape"),
        (f"{CREATE}{ENCODE}return windows", r"cannot be created: OSError: boom \(line 6\)"),
    ],
)
def test_an_encoder_that_fails_is_refused_before_it_has_a_store(folder: Path, body: str, message: str) -> None:
    config = config_of(folder, f"{HEAD}    {body}\n")
    for encode in (False, True):
        with pytest.raises(TimbrecError, match=message):
            load_inputs(config, encode=encode)
    assert not (folder / "vectors").exists()


def test_other_commands_refuse_it_too(folder: Path) -> None:
    """One message, and no store, from `timbrec embed` and `timbrec fit --music`."""
    (folder / "mine.py").write_text(f"{HEAD}    {ENCODE}raise OSError('boom')\n")
    name = located("mine.py:Mine", folder)
    with pytest.raises(ConfigError, match=r"cannot encode noise: OSError: boom \(line 6\)"):
        embed(folder / "clips", load(name), folder / "store")
    assert not (folder / "store").exists()
    with pytest.raises(ConfigError, match="cannot encode noise"):
        fit_music(folder / "clips", folder / "model", encoder=name)


def test_other_layers_and_pools_are_tried_too(folder: Path) -> None:
    for entry in ({"layer": 3}, {"pool": "max"}):
        with pytest.raises(ConfigError, match="mine gives no frames, only pooled vectors"):
            load_inputs(config_of(folder, **entry), encode=False)
    frames = GOOD + "    def frames(self, windows, layer=None): return windows[:, :1600].reshape(-1, 400, 4)\n"
    config = config_of(folder, frames, pool="meanstd")
    assert load_inputs(config, encode=False).sources["own"].dim == 2 * DIM
    assert load_inputs(config).sources["own"].dim == 2 * DIM


def test_a_changed_file_gets_a_store_of_its_own(folder: Path) -> None:
    def vectors(source: str) -> np.ndarray:
        source_of = load_inputs(config_of(folder, source)).sources["own"]
        return np.asarray(source_of.aligned(sorted(source_of.ids)))

    first = vectors(GOOD)
    np.testing.assert_allclose(vectors(GOOD.replace("self.gain *", "3 * self.gain *")), 3 * first, rtol=1e-5)
    stores = sorted(path.name for path in (folder / "vectors").iterdir())
    assert len(stores) == 2
    assert stores[0] == "own"
    assert stores[1].startswith("own-")
    np.testing.assert_array_equal(vectors(GOOD), first)
    assert len(list((folder / "vectors").iterdir())) == 2, "the first state has its vectors still"


def test_other_options_and_weights_are_other_vectors(folder: Path) -> None:
    load_inputs(config_of(folder))
    load_inputs(config_of(folder, options={"gain": 1.0}))  # the default, spelled out
    for encode in (False, True):
        with pytest.raises(StoreError, match=r"expected '1, file \w+, gain 3\.0'"):
            load_inputs(config_of(folder, options={"gain": 3.0}), encode=encode)
    name = located("mine.py:Mine", folder)
    (folder / "a.pt").write_bytes(b"a")
    (folder / "moved").mkdir()
    (folder / "moved" / "b.pt").write_bytes(b"a")
    revisions = {load(name, folder / path).card.revision for path in ("a.pt", "moved/b.pt")}
    assert len(revisions) == 1, "by content, not by name"
    (folder / "a.pt").write_bytes(b"b")
    assert load(name, folder / "a.pt").card.revision not in revisions
    before = load(name, folder / "moved").card.revision
    (folder / "moved" / "b.pt").rename(folder / "moved" / "c.pt")
    assert load(name, folder / "moved").card.revision != before
    assert VectorStore.open(folder / "vectors" / "own").info.revision == load(name).card.revision


def test_a_file_without_a_class_and_one_that_imports_its_neighbour(folder: Path) -> None:
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text().replace("mine.py:Mine", "mine.py"))
    with pytest.raises(ConfigError, match=r"mine\.py names no class of .*It has: Mine"):
        load_inputs(config_of(folder), encode=False)
    with pytest.raises(ConfigError, match=r"No module named 'neighbour'.*An encoder is a single file"):
        load_inputs(config_of(folder, f"import neighbour\n{GOOD}", encoder="mine.py:Mine"), encode=False)

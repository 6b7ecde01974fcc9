"""The small world in a bucket, and wrappers that make a bucket's file system misbehave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from timbrec.places.bucket import Bucket
from timbrec.places.locations import Remote
from timbrec.store import StoreInfo, VectorStore


def upload(world: Path, bucket: Remote) -> Remote:
    """The config of a small world in the bucket, with its inputs, and a store in place of one encoder's array."""
    bucket.fs.put(f"{world.parent}/", f"{bucket.key}/in/", recursive=True)
    ids = (world.parent / "ids.txt").read_text().split()
    vectors = np.load(world.parent / "good.npy")
    store = VectorStore.create(
        bucket / "in" / "store", StoreInfo("good", "1", None, "mean", "time", "x", vectors.shape[1])
    )
    store.append(ids, vectors)
    config = yaml.safe_load(world.read_text())
    config["encoders"]["good"] = {"vectors": f"{bucket}/in/store"}
    config["encoders"]["poor"] = {"vectors": f"{bucket}/in/poor.npy", "ids": "ids.txt"}
    config["output"] = f"{bucket}/run"
    Bucket(bucket / "in").put("config.yaml", yaml.safe_dump(config).encode())
    return bucket / "in" / "config.yaml"


class LostReply:
    """A file system that performs the next conditional put and then raises, as when the connection breaks."""

    def __init__(self, fs: Any, times: int = 1) -> None:
        self._fs, self.times = fs, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fs, name)

    def pipe_file(self, path: str, value: bytes, **options: Any) -> Any:
        result = self._fs.pipe_file(path, value, **options)
        if self.times and options.get("mode") == "create":
            self.times -= 1
            raise OSError("Connection reset by peer")
        return result


class LaggingListing:
    """A file system with a listing that never shows the names of `hidden`."""

    def __init__(self, fs: Any, hidden: str) -> None:
        self._fs, self._hidden = fs, hidden

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fs, name)

    def ls(self, path: str, **options: Any) -> list[Any]:
        return [name for name in self._fs.ls(path, **options) if self._hidden not in str(name)]

    def find(self, path: str, **options: Any) -> dict[str, Any]:
        return {name: facts for name, facts in self._fs.find(path, **options).items() if self._hidden not in name}

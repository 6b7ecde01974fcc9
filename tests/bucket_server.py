"""Wrappers that make the file system of a bucket misbehave."""

from __future__ import annotations

from typing import Any


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

"""Weights from the hub: through its own client, from a server on this machine that stands for it and its mirrors."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from timbrec import catalog
from timbrec.encoders.weights import hub
from timbrec.encoders.weights.hub import check_files, find_files, is_hub_id
from timbrec.errors import ConfigError
from timbrec.protocols import EncoderCard, WeightsFile

TENSORS, CONFIG, COMMIT = b"tensors of a model " * 100, b'{"hidden_size": 8}', "c" * 40
SHA256 = hashlib.sha256(TENSORS).hexdigest()
FILES = {"/org/model/resolve/v1/weights/model.bin": TENSORS, "/org/model/resolve/v1/config.json": CONFIG}
CARD = EncoderCard(
    "tiny", "1", rate=8000, window=1.0, dim=8, licence_weights="CC-BY-NC-4.0",
    files=(WeightsFile("org/model", "weights/model.bin", "v1", SHA256[:8], len(TENSORS)),
           WeightsFile("org/model", "config.json", "v1")),
)  # fmt: skip


class Hub(BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012 - emptied before each test

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        Hub.asked.append(f"{self.command} {self.path}")
        content = FILES.get(self.path)
        repo, known = "/".join(self.path.split("/")[1:3]), "v1" in self.path.split("/")
        missing = "RepoNotFound" if repo != "org/model" else "EntryNotFound" if known else "RevisionNotFound"
        self.send_response(404 if content is None else 200)
        for key, value in (
            ("X-Error-Code", "" if content else missing),
            ("X-Repo-Commit", COMMIT),
            ("ETag", f'"{hashlib.sha256(content or b"").hexdigest()}"'),
            ("Content-Length", str(len(content or b""))),
        ):
            if value:
                self.send_header(key, value)
        self.end_headers()
        if body and content:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(autouse=True)
def client(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's client, configured for this server and an empty cache as by its environment variables."""
    from huggingface_hub import constants

    Hub.asked.clear()
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def fetched() -> list[str]:
    return [path for method, path in map(str.split, Hub.asked) if method == "GET" and path in FILES]


def test_all_files_are_fetched_once_at_their_revision(caplog: pytest.LogCaptureFixture) -> None:
    first, config = find_files(None, CARD)
    assert first is not None
    assert first.read_bytes() == TENSORS
    assert config is not None
    assert json.loads(config.read_bytes()) == {"hidden_size": 8}
    assert COMMIT in str(first)
    assert fetched() == list(FILES)
    messages = caplog.messages
    assert (
        messages[0] == "tiny: downloading weights/model.bin of org/model (0 MB; licence of the weights: CC-BY-NC-4.0)"
    )
    caplog.clear()
    assert find_files(None, CARD) == [first, config]
    assert fetched() == list(FILES)
    assert not caplog.messages  # nothing is fetched, so nothing is told


def test_a_check_lists_missing_files_and_downloads_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    assert check_files(None, CARD) == list(CARD.files)
    assert not fetched()
    find_files(None, CARD)
    assert check_files(None, CARD) == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert check_files(None, CARD) == []
    with pytest.raises(ConfigError, match=r"weights/model\.bin of org/model is not in the hub's cache"):
        check_files("org/model@v2", CARD)
    with pytest.raises(ConfigError, match=r"no weights of tiny in"):
        check_files(tmp_path, CARD)
    with pytest.raises(ConfigError, match=r"there is no file .*nowhere\.bin"):
        check_files(tmp_path / "nowhere.bin", CARD)
    (tmp_path / "model.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(ConfigError, match="Git LFS pointer"):
        check_files(tmp_path, CARD)


def test_the_cache_serves_without_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    paths = find_files(None, CARD)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    Hub.asked.clear()
    assert find_files(None, CARD) == paths
    assert not Hub.asked


def test_another_repository_and_revision(caplog: pytest.LogCaptureFixture) -> None:
    first, _ = find_files("org/model@v1", CARD)
    assert first is not None
    assert first.read_bytes() == TENSORS
    with pytest.raises(ConfigError, match=r"no revision 'main'.*owner/name@revision"):
        find_files("org/model", CARD)


def test_a_file_other_than_the_published_one_is_refused_until_it_is_right() -> None:
    other = replace(CARD, files=(replace(CARD.files[0], sha256="00000000"),))
    for _ in range(2):
        with pytest.raises(ConfigError, match=rf"its sha256 begins with {SHA256[:12]}, not with 00000000"):
            find_files(None, other)
    assert find_files("org/model@v1", other)  # named by the user: taken as it is


def test_a_sum_is_taken_once_and_again_when_the_file_changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    taken: list[str] = []
    digest = hashlib.file_digest

    def counted(file: object, kind: str) -> object:
        taken.append(kind)
        return digest(file, kind)  # type: ignore[arg-type]

    monkeypatch.setattr(hub.hashlib, "file_digest", counted)  # type: ignore[attr-defined]
    first, _ = find_files(None, CARD)
    find_files(None, CARD)
    assert taken == ["sha256"]
    assert first is not None
    blob = first.resolve()
    os.utime(blob, ns=(0, 0))
    find_files(None, CARD)
    assert taken == ["sha256"] * 2
    blob.write_bytes(TENSORS[:-1] + b"!")
    with pytest.raises(ConfigError, match=r"is not the published weights/model\.bin of org/model"):
        find_files(None, CARD)


def test_sums_are_taken_every_time_where_nothing_can_be_noted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert find_files(None, CARD) == find_files(None, CARD)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (WeightsFile("org/nothing", "x.bin"), "the hub has no such repository.*HF_TOKEN"),
        (WeightsFile("not a name", "x.bin"), "the hub has no such repository"),
        (WeightsFile("org/model", "x.bin", "v1"), "no such file at 'v1'"),
        (WeightsFile("org/model", "weights/model.bin", "v9"), "no revision 'v9'"),
    ],
)
def test_missing_files_of_the_hub(file: WeightsFile, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        find_files(None, replace(CARD, files=(file,)))
    assert f"tiny: {file.path} of {file.repo}" in str(error.value)


@pytest.mark.parametrize("offline", [True, False])
def test_without_a_connection_and_without_a_copy(monkeypatch: pytest.MonkeyPatch, offline: bool) -> None:
    from huggingface_hub import constants

    nobody = "http://127.0.0.1:9"
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client's pauses between tries
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "ENDPOINT", nobody)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", nobody + "/{repo_id}/resolve/{revision}/{filename}")
    with pytest.raises(ConfigError, match=r"not in the hub's cache, and the hub cannot be reached.*HF_ENDPOINT.*copy"):
        find_files(None, CARD)


def test_the_environment_decides_the_mirror_the_cache_and_the_offline_mode(endpoint: str, tmp_path: Path) -> None:
    code = (
        "from timbrec.encoders.weights.hub import find_files; from timbrec.protocols import *\n"
        "card = EncoderCard('tiny', '1', 8000, 1.0, 8, files=(WeightsFile('org/model', 'config.json', 'v1'),))\n"
        "print(find_files(None, card)[0])"
    )
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home")}

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment | more)

    assert "cannot be reached" in run(HF_HUB_OFFLINE="1").stderr
    online = run()
    assert online.stdout.startswith(str(tmp_path / "home")), online.stderr
    assert "downloading config.json of org/model" in online.stderr
    assert run(HF_HUB_OFFLINE="1").stdout == online.stdout


def test_without_the_client_s_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match=r"which is not installed.*pip install 'timbrec\[encoders\]'"):
        find_files(None, CARD)


def test_local_files_and_folders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with pytest.raises(ConfigError, match=r"no weights of tiny in .*Looked for model\.bin or model\.safetensors"):
        find_files(tmp_path, CARD)
    (tmp_path / "any.safetensors").write_bytes(b"1")
    assert find_files(tmp_path, CARD) == [tmp_path / "any.safetensors", None]
    (tmp_path / "model.bin").write_bytes(b"2")
    (tmp_path / "config.json").write_bytes(b"{}")
    assert find_files(tmp_path, CARD) == [tmp_path / "model.bin", tmp_path / "config.json"]
    assert find_files(tmp_path / "any.safetensors", CARD) == [tmp_path / "any.safetensors", tmp_path / "config.json"]
    assert not Hub.asked
    assert not caplog.messages


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("m-a-p/MERT-v1-95M", True),
        ("owner/name@4513b38b", True),
        ("owner/name@refs/pr/1", True),
        ("weights/model.pt", False),
        ("weights/prior_level_2.pth.tar", False),
        ("../model", False),
        ("/models/mert", False),
        ("a/b/c", False),
        ("model", False),
    ],
)
def test_names_of_repositories_are_not_paths(text: str, is_one: bool) -> None:
    assert is_hub_id(text) is is_one


@pytest.mark.parametrize("name", catalog.names("encoders"))
def test_a_pinned_commit_is_whole_for_the_hub_knows_no_short_ones(name: str) -> None:
    for file in catalog.load("encoders", name).card.files:
        assert file.revision == "main" or re.fullmatch("[0-9a-f]{40}", file.revision)
        assert re.fullmatch("([0-9a-f]{8,64})?", file.sha256)

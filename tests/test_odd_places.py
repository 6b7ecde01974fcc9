"""Places with odd names, without rights, with credentials that expire, and places that never answer."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

import numpy as np
import polars as pl
import pytest

import small_world
from commands import in_process
from timbrec import api
from timbrec.errors import ConfigError, PlaceError
from timbrec.models.model import Model
from timbrec.places import location, place_of
from timbrec.places.bucket import Bucket
from timbrec.places.faults import reaching
from timbrec.places.locations import Remote
from timbrec.places.patience import patience
from timbrec.store import StoreInfo, VectorStore

SMALL: dict[str, Any] = {"recommenders": ["knn"], "seeds": [0], "k": [20]}
ODD = "new [a] music? *50%* #1 ü"  # brackets, stars and question marks are patterns elsewhere


def raising(error: Exception) -> Callable[..., Any]:
    """A call that fails."""

    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


def test_a_folder_with_the_name_of_a_pattern_holds_config_run_and_model(tmp_path: Path) -> None:
    (tmp_path / ODD).mkdir()
    config = small_world.write(tmp_path / ODD, **SMALL)
    result = api.bench(config)
    assert result.run.missing == []
    model = api.fit_run(tmp_path / ODD / "run", "hot").save(tmp_path / f"model {ODD}")
    assert len(Model.load(model).users) > 0
    done = in_process("report", tmp_path / ODD / "run", cwd=tmp_path)
    assert f"report: {tmp_path / ODD / 'run' / 'report.html'}" in done.stdout


def test_a_pattern_of_a_config_in_such_a_folder_is_one_below_it(tmp_path: Path) -> None:
    (tmp_path / ODD).mkdir()
    table = {"path": "pl*.csv", "glob": True, "columns": {"user": "user", "item": "track", "time": "played_at"}}
    config = small_world.write(tmp_path / ODD, **SMALL | {"interactions": table})
    assert in_process("bench", config, "--dry-run", cwd=tmp_path).returncode == 0


def test_a_run_in_a_bucket_may_have_the_name_of_a_pattern(bucket: Remote, tmp_path: Path) -> None:
    config = small_world.write(tmp_path, **SMALL | {"output": f"{bucket}/{ODD}/run"})
    first = api.bench(config)
    assert [path.name for path in (bucket / ODD).iterdir()] == ["run"]
    done = in_process("report", f"{bucket}/{ODD}/run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert api.bench(config).run.experiments == first.run.experiments


def test_files_are_read_at_once_without_patterns(bucket: Remote) -> None:
    place = Bucket(bucket)
    for name in ("a[1]", "a1", "b*"):
        place.put(name, name.encode())
    assert place.read_all(["a[1]", "b*", "c"]) == {"a[1]": b"a[1]", "b*": b"b*"}


def test_without_the_right_to_delete_only_a_delete_fails(bucket: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Bucket(bucket)
    place.put("there", b"x")
    monkeypatch.setattr(bucket.fs, "rm_file", raising(PermissionError("Access Denied")))
    place.delete(["missing"])
    with pytest.raises(PlaceError, match="there may not be deleted with these credentials"):
        place.delete(["there"])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ExpiredToken", r"the credentials for s3://music have expired\. Renew them, then run the same command again"),
        ("InvalidAccessKeyId", r"s3://music does not know the access key\. Check AWS_ACCESS_KEY_ID"),
        ("SignatureDoesNotMatch", r"s3://music does not accept the secret key\. Check AWS_SECRET_ACCESS_KEY"),
        ("RequestTimeTooSkewed", r"the clock of this machine differs from that of s3://music\. Set the clock"),
        ("PermanentRedirect", r"s3://music is in another region\. Name it: AWS_DEFAULT_REGION"),
    ],
)
def test_what_an_s3_server_says_is_named(code: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error  # type: ignore[import-untyped]  # it has no types

    answer = ClientError({"Error": {"Code": code, "Message": "no"}}, "PutObject")
    with pytest.raises(PlaceError, match=message), reaching("s3://music/run"):
        raise translate_boto_error(answer)


def test_expired_credentials_are_not_tried_again(bucket: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ClientError

    tries = []

    def put(*_: Any, **__: Any) -> None:
        tries.append(1)
        raise OSError(22, "no") from ClientError({"Error": {"Code": "ExpiredToken"}}, "PutObject")

    monkeypatch.setattr(bucket.fs, "pipe_file", put)
    with pytest.raises(PlaceError, match="have expired"):
        Bucket(bucket).put("name", b"x")
    assert len(tries) == 1


@pytest.fixture
def silent() -> Iterator[tuple[str, list[Any]]]:
    """The address of a server that accepts connections and never answers, and its connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[Any] = []

        def accept() -> None:
            while True:
                try:
                    taken.append(server.accept())
                except OSError:
                    return

        Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", taken


def test_a_place_that_never_answers_is_left(
    silent: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import s3fs  # type: ignore[import-untyped]  # it has no types

    address, taken = silent
    for name, value in {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any",
                        "TIMBREC_CACHE": str(tmp_path)}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(s3fs.S3FileSystem, "read_timeout", 0.2)  # 15 seconds otherwise
    s3fs.S3FileSystem.clear_instance_cache()
    start = monotonic()
    with pytest.raises(PlaceError, match="nobody answers for s3://silent"):
        VectorStore.open("s3://silent/store")
    s3fs.S3FileSystem.clear_instance_cache()
    assert monotonic() - start < 60
    assert 1 <= len(taken) <= 10  # five tries of s3fs, with two of botocore each


def test_settings_of_the_user_bound_the_wait_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.config import conf

    assert patience("memory") == {}
    assert patience("s3") == {"config_kwargs": {"retries": {"total_max_attempts": 2}}}
    timeout = patience("gs")["requests_timeout"]
    assert (timeout.total, timeout.sock_read) == (None, 20)
    monkeypatch.setitem(conf, "gs", {"requests_timeout": 5})
    monkeypatch.setitem(conf, "s3", {"config_kwargs": {}})
    assert patience("gs") == patience("s3") == {}


def test_the_case_of_a_protocol_does_not_matter() -> None:
    assert location("S3://Music/Log.csv") == location("s3://Music/Log.csv")
    assert location("FILE:///data/log.csv") == Path("/data/log.csv")


@pytest.mark.parametrize("url", ["s3://", "gs://", "S3:///"])
def test_a_url_without_a_bucket_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match=r"names no place\. Write (s3|gs)://BUCKET/FOLDER"):
        location(url)
    config = small_world.write(tmp_path, **SMALL | {"output": url})
    done = in_process("bench", config, cwd=tmp_path)
    assert (done.returncode, "names no place" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "command",
    [
        "fit run --best mixed -o s3://music/model", "recommend s3://music/model --user 1", "init s3://music/plays.csv",
        "schema -o s3://music/schema.json", "demo s3://music/demo", "manifest s3://music/audio",
        "add gs://music/model a.wav", "history s3://music/plays.json --out log.csv", "data onion s3://music --out x",
        "probe --vectors a=b.npy --out s3://music/scores.csv", "convert jukebox-5b weights s3://music/out.safetensors",
    ],
)  # fmt: skip
def test_what_needs_a_local_path_refuses_a_url(command: str, tmp_path: Path) -> None:
    done = in_process(*command.split(), cwd=tmp_path)
    assert done.returncode == 2
    assert "is read and written on this machine only" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_not_saved_to_a_url(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a model is read and written on this machine only \(e\.g\. 'memory://m'\)"):
        Model.load("memory://m")


def test_hdfs_without_its_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HADOOP_HOME", "/nowhere")
    with pytest.raises(PlaceError) as raised:
        place_of(location("hdfs://node:8020/runs")).exists("x")
    assert "libhdfs" in str(raised.value)
    assert "HADOOP_HOME" in raised.value.fix


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/run", "zip://a/b", "github://a/b"])
def test_places_that_hold_no_runs_are_refused(url: str, tmp_path: Path) -> None:
    done = in_process("bench", small_world.write(tmp_path, **SMALL | {"output": url}), cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_store_lies_in_memory() -> None:
    store = VectorStore.create(f"memory://{ODD}", StoreInfo("x", "1", None, "mean", "time", "x", 2))
    store.append(pl.Series(["a"]), np.ones((1, 2), np.float32))
    assert VectorStore.open(f"memory://{ODD}").ids.to_list() == ["a"]


def test_messages_hold_no_password() -> None:
    with pytest.raises(PlaceError) as raised, reaching("sftp://me:secret@host/run"):
        raise OSError("refused")
    assert str(raised.value).startswith("sftp://host/run cannot be read: refused")


def test_a_package_for_a_place_is_named() -> None:
    with pytest.raises(PlaceError, match=r"Install it: pip install 'paramiko'"), reaching("sftp://host/run"):
        raise ImportError("no module")
    with (
        pytest.raises(PlaceError, match=r"\(Install ocifs to access it\)\. Install it with pip"),
        reaching("oci://x/y"),
    ):
        raise ImportError("Install ocifs to access it")

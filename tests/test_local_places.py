"""Local folders that are full, read-only, used by two processes, or on file systems without links or locks."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import polars as pl
import pytest

import small_world
from audio_files import write_wav
from commands import in_process
from timbrec import api
from timbrec.errors import ConfigError, DataError, StoreError
from timbrec.files import write_atomically
from timbrec.places.in_use import in_use
from timbrec.places.locks import lock
from timbrec.places.refusals import refusal
from timbrec.store import StoreInfo, VectorStore
from timbrec.study.runs import Run

SMALL: dict[str, Any] = {"recommenders": ["knn"], "seeds": [0], "k": [20]}
INFO = StoreInfo("mine", "1", None, "mean", "time", "whole", 3)
COMMAND = [sys.executable, "-m", "timbrec"]


def fails(number: int) -> Any:
    """A call of the system that fails with this error."""

    def call(*arguments: Any, **_: Any) -> Any:
        raise OSError(number, os.strerror(number), str(arguments[0]))

    return call


@pytest.mark.parametrize("most", [3_000, 12_000, 60_000])
def test_a_file_that_cannot_be_written_whole_is_one_line_and_the_run_goes_on(most: int, tmp_path: Path) -> None:
    config = small_world.write(tmp_path, **SMALL)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    done = subprocess.run([*COMMAND, "bench", config], capture_output=True, text=True, preexec_fn=limit, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith(f"timbrec: {tmp_path / 'run'}/")
    assert line.endswith("cannot be read or written: File too large. Free some space, then run the same command again: "
                         "finished work is kept.")  # fmt: skip
    assert api.bench(config).run.missing == []


def test_a_file_of_the_system_that_is_refused_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small_world.write(tmp_path, **SMALL)
    monkeypatch.setattr(Path, "replace", fails(errno.EROFS))
    done = in_process("bench", config, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"timbrec: {tmp_path / 'run' / 'split' / 'users.parquet'} cannot be read or written: Read-only file system. "
        "Check the permissions, or choose another place."
    )


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "No such file or directory", "/a/b"), "/a/b cannot be read or written: No such file"),
        (OSError(28, "No space left on device"), "a file cannot be read or written: No space left on device. Free"),
        (pl.exceptions.ComputeError("parquet: No space left on device (os error 28)"), "a file cannot be read or"),
        (OSError(13, "Permission denied", "/a/.0123456789ab-b.json"), "/a/b.json cannot be read or written: Perm"),
        (OSError(5, "Input/output error", "/a/b"), "/a/b cannot be read or written: Input/output error. Check"),
    ],
)
def test_what_the_system_refuses(error: Exception, message: str) -> None:
    assert str(refusal(error)).startswith(message)


@pytest.mark.parametrize("error", [ValueError("x"), OSError("x"), ConnectionError(104, "reset"), KeyError(2)])
def test_other_errors_are_no_refusal(error: Exception) -> None:
    assert refusal(error) is None


def test_a_run_that_was_stopped_before_its_plan_goes_on(tmp_path: Path) -> None:
    config = small_world.write(tmp_path, **SMALL)
    whole = api.bench(config)
    (tmp_path / "run" / "plan.json").unlink()
    with pytest.raises(DataError, match=r"run was stopped before its cells were planned\. Run the benchmark again"):
        api.report(Run(tmp_path / "run"))
    assert api.bench(config).run.experiments == whole.run.experiments


def test_a_run_that_was_stopped_before_its_facts_goes_on(tmp_path: Path) -> None:
    config = small_world.write(tmp_path, **SMALL)
    (tmp_path / "run" / "split").mkdir(parents=True)
    (tmp_path / "run" / "split" / "users.parquet").write_bytes(b"half")
    assert api.bench(config).run.missing == []


def test_two_processes_may_run_the_same_benchmark_at_once(tmp_path: Path) -> None:
    config = small_world.write(tmp_path, **SMALL)
    both = [subprocess.Popen([*COMMAND, "bench", config], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    texts = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], texts


def test_a_run_of_other_settings_does_not_move_a_run_that_is_being_written(tmp_path: Path) -> None:
    config = small_world.write(tmp_path, **SMALL)
    api.bench(config)
    small_world.write(tmp_path, **SMALL | {"k": [10]}, primary="ndcg@10")
    before = sorted(path.name for path in (tmp_path / "run").iterdir())
    with in_use(tmp_path / "run"):
        with pytest.raises(DataError, match=r"another command writes a run with other settings.*\(k, primary\)\. Wait"):
            api.bench(config)
        assert sorted(path.name for path in (tmp_path / "run").iterdir()) == before
    assert api.bench(config).run.kept is not None


def test_half_written_cells_of_a_process_that_still_runs_stay(tmp_path: Path) -> None:
    config = small_world.write(tmp_path, **SMALL)
    api.bench(config)
    half = tmp_path / "run" / "cells" / ".half"
    half.mkdir()
    with in_use(tmp_path / "run"):
        api.bench(config)
    assert half.is_dir()
    api.bench(config)
    assert not half.exists()


def test_a_split_that_another_process_reads_stays_readable_while_it_is_written(tmp_path: Path) -> None:
    config = small_world.write(tmp_path, **SMALL)
    run = api.bench(config).run
    stopped, broken = [False], list[Exception]()

    def read() -> None:
        while not stopped[0]:
            try:
                Run(tmp_path / "run").split  # noqa: B018 - read on first use
            except DataError as error:
                broken.append(error)

    reader = Thread(target=read)
    reader.start()
    for _ in range(30):
        Run.create(tmp_path / "run", run.facts, run.split)
    stopped[0] = True
    reader.join()
    assert broken == []


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("dangling", r"dangling is a link to a place that does not exist \(e\.g\. 'nowhere'\)"),
        ("dangling/run", "dangling is a link to a place that does not exist"),
        ("loop", "loop is a link to a place that does not exist"),
        ("plays.csv/run", r"plays\.csv/run cannot be a folder: .*plays\.csv is a file"),
    ],
)
def test_an_output_that_cannot_be_a_folder_is_refused(output: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfigError, match=message):
        api.bench(small_world.write(tmp_path, **SMALL | {"output": output}))


def test_wrong_numbers_are_refused_before_work_starts(tmp_path: Path) -> None:
    config = small_world.write(tmp_path, **SMALL)
    with pytest.raises(ConfigError, match=r"`jobs` must be 1 or more \(e\.g\. -1\)"):
        api.bench(config, jobs=-1)
    with pytest.raises(ConfigError, match="`processes` must be 1 or more"):
        api.bench(config, processes=0)
    assert not (tmp_path / "run").exists()


@pytest.fixture(params=[errno.EPERM, errno.ENOTSUP])
def without_links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without hard links, such as exFAT."""
    monkeypatch.setattr(os, "link", fails(request.param))


@pytest.mark.usefixtures("without_links")
def test_a_store_needs_no_hard_links(tmp_path: Path) -> None:
    store = VectorStore.create(tmp_path / "store", INFO)
    first, second = VectorStore.open(tmp_path / "store"), VectorStore.open(tmp_path / "store")
    first.append(["a"], np.ones((1, 3), np.float32))
    second.append(["b"], np.zeros((1, 3), np.float32))
    assert sorted(VectorStore.open(tmp_path / "store").ids) == ["a", "b"]
    assert store.info.dim == 3
    with pytest.raises(StoreError, match="there is a vector store"):
        VectorStore.create(tmp_path / "store", INFO)


def test_writers_without_hard_links_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import os, sys, errno, numpy as np\n"
        "def link(*_, **__): raise OSError(errno.EPERM, 'no links')\n"
        "os.link = link\n"
        "from timbrec.store import VectorStore\n"
        "for number in range(8):\n"
        "    VectorStore.open(sys.argv[1]).append([f'{sys.argv[2]}{number}'], np.ones((1, 3), np.float32))\n"
    )
    VectorStore.create(tmp_path, INFO)
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert sorted(VectorStore.open(tmp_path).ids) == sorted(f"{name}{number}" for name in "ab" for number in range(8))


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP])
def without_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file system without locks, such as NFS without its lock daemon."""

    def flock(*_: Any) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", flock)
    return iter(())


@pytest.mark.usefixtures("without_locks")
def test_audio_is_encoded_where_there_are_no_locks(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    write_wav(tmp_path / "music" / "a.wav", np.random.default_rng(0).normal(0, 0.1, 22_050), 22_050, "f32")
    done = in_process("embed", "music", "-e", "mfcc", "--store", "vectors", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert VectorStore.open(tmp_path / "vectors" / "mfcc").ids.to_list() == ["a"]
    assert not list(tmp_path.rglob("*.held"))


@pytest.mark.usefixtures("without_locks")
def test_a_lock_is_held_where_there_are_none(tmp_path: Path) -> None:
    held = lock(tmp_path / "lock", blocking=False)
    code = (
        "import sys, fcntl\nfrom pathlib import Path\nfrom filelock import Timeout\n"
        "def flock(*_): raise OSError(37, 'No locks available')\n"
        "fcntl.flock = flock\n"
        "from timbrec.places.locks import lock\n"
        "try:\n    lock(Path(sys.argv[1]), blocking=False); print('free')\n"
        "except Timeout:\n    print('held')\n"
    )

    def other() -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "lock"], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    assert other() == "held"
    held.release()
    assert other() == "free"


def test_a_folder_that_cannot_be_flushed_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from timbrec.files import flush

    monkeypatch.setattr(os, "fsync", fails(errno.EINVAL))
    flush(tmp_path)
    write_atomically(tmp_path / "file", "x")
    with pytest.raises(OSError, match="Invalid argument"):
        flush(tmp_path / "file")


def test_two_processes_may_replace_a_folder_at_the_same_moment(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom timbrec.files import replacing\n"
        "for number in range(300):\n"
        "    with replacing(Path(sys.argv[1])) as partial:\n"
        "        partial.mkdir()\n"
        "        for name in 'abcdef':\n"
        "            (partial / name).write_text('x')\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "cell")]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert sorted(path.name for path in (tmp_path / "cell").iterdir()) == list("abcdef")
    assert [path.name for path in tmp_path.iterdir()] == ["cell"]


def test_of_two_processes_that_finish_a_cell_the_first_counts(tmp_path: Path) -> None:
    run = api.bench(small_world.write(tmp_path, **SMALL)).run
    cell = run.read(run.experiments[0])
    before = (tmp_path / "run" / "cells" / cell.experiment.hash / "cell.json").read_bytes()
    Run(tmp_path / "run").write(replace(cell, seconds=cell.seconds + 1))
    assert (tmp_path / "run" / "cells" / cell.experiment.hash / "cell.json").read_bytes() == before

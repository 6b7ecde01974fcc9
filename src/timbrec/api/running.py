"""Running a benchmark: its inputs, cells, audit and page."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

from timbrec.api.auditing import audit_code_of, audit_lists
from timbrec.api.engine import session_of
from timbrec.api.probing import log_failures
from timbrec.api.reading import report
from timbrec.audit.stored import read_audit
from timbrec.errors import ConfigError, DataError
from timbrec.files import replacing
from timbrec.machine.cluster import kind_of
from timbrec.machine.devices import cores
from timbrec.places import location
from timbrec.places.in_use import in_use
from timbrec.result import Result, page_of, tables_of
from timbrec.results.leaks import write_leaks
from timbrec.results.truth import write_truth
from timbrec.settings import check_counts
from timbrec.study.config import Config, make_config, read_config
from timbrec.study.description import describe_run
from timbrec.study.grid import run_study
from timbrec.study.inputs import Inputs, load_inputs
from timbrec.study.memory import stored_inputs
from timbrec.study.probing import run_probes
from timbrec.study.runs import TRACKS, Run
from timbrec.types import Progress

_LOG = logging.getLogger(__name__)


def bench(
    config: Config | Mapping[str, Any] | Path | str | None = None,
    progress: Progress | None = None,
    *,
    interactions: Any = None,
    items: Any = None,
    encoders: Mapping[str, Any] | None = None,
    jobs: int | None = 1,
    only: Sequence[str] = (),
    engine: str = "local",
    processes: int = 1,
    **settings: Any,
) -> Result:
    """Run a benchmark, or resume an interrupted one; finished cells are not run again.

    `config` is a YAML file or its content. `interactions` and `items` may be frames of polars, pandas or Arrow, and
    `encoders` a mapping of names to (ids, array), frames, or encoder objects with audio (see `timbrec.study.memory`).
    `settings` are further keys of a config. Without `output`, a run from memory goes to a new temporary folder.

    `jobs` is the number of trained cells to run at once, by default as many as cores and memory allow. `only` names
    encoders, representations or recommenders; other cells wait for a later call. `engine` is `local`, `ray` (a Ray
    cluster started for this run) or `ray://HOST:PORT`. With several `processes`, the run happens in the cluster, and
    each training divides among them (docs/engines.md). `progress(step, done, total)` is called during each long step.
    Raises TimbrecError for wrong input, with all problems in one error if possible.
    """
    in_memory = {"interactions": interactions, "items": items, "encoders": encoders}
    if settings or any(value is not None for value in in_memory.values()):
        if isinstance(config, Config | Path | str):
            raise ConfigError("a config file and further settings were both given", fix="Give one of them.")
        config = _config_from_memory(dict(config or {}) | settings, progress, **in_memory)
    if not isinstance(config, Config):
        if config is None:
            raise ConfigError("there is nothing to run", fix="Give a config, or `interactions` and `encoders`.")
        config = make_config(dict(config)) if isinstance(config, Mapping) else read_config(Path(config))
    check_counts(jobs=jobs, processes=processes)  # a finished run starts no grid, which checks `jobs` too
    if processes > 1:
        return _bench_together(config, progress, only, engine, processes)
    with session_of(engine):
        return _bench(config, progress, jobs, only, engine)


def _bench(config: Config, progress: Progress | None, jobs: int | None, only: Sequence[str], engine: str) -> Result:
    inputs, output = load_inputs(config, progress, engine=engine), config.at(config.output)
    with in_use(output) as alone:
        run = Run.create(output, describe_run(config, inputs), inputs.split, alone)
        return _run(config, inputs, run, progress, jobs, only, engine)


def _run(
    config: Config,
    inputs: Inputs,
    run: Run,
    progress: Progress | None,
    jobs: int | None,
    only: Sequence[str],
    engine: str,
) -> Result:
    if run.kept:
        _LOG.warning("%s", run.kept)
    with replacing(run.folder / "files.csv") as partial:
        inputs.files.write_csv(partial)
    with replacing(run.folder / TRACKS) as partial:
        inputs.tracks.write_parquet(partial)
    write_leaks(run, config, inputs, progress)
    write_truth(run, inputs)
    same = run.same and run.planned and not only and engine == "local" and not config.own_parts
    stale = not same or bool(run.missing) or read_audit(run).due
    if stale:  # else all is there, and the recommenders, which load PyTorch, are not needed
        run_study(config, inputs, run, progress, jobs=jobs, only=only, device=config.device, engine=engine)
        stale = read_audit(run).due  # neither probes nor figures change what an audit depends on
    with _code_checked_beside(progress) if stale and jobs != 1 and cores() > 1 else nullcontext():
        if config.probes or config.mir_scores:
            log_failures(run_probes(config, inputs, run.folder, progress, engine))
            run.publish()
        tables = tables_of(run, progress)
        findings = audit_lists(run, inputs, progress) if stale else []
    if stale:
        audit_code_of(run, findings, progress)
    return page_of(run, tables, progress)


def _bench_together(
    config: Config, progress: Progress | None, only: Sequence[str], engine: str, processes: int
) -> Result:
    """Run a benchmark in a Ray cluster, by processes that train together; its folder must be seen here and there."""
    from timbrec.training.launching import run_together  # loads torch

    if kind_of(engine) != "ray":
        raise ConfigError("several processes are started by Ray",
                          fix="Add `--engine ray`, or start the command by torchrun (docs/engines.md).")  # fmt: skip
    whole, output = config.model_copy(update={"base": config.base.absolute()}), config.at(config.output)

    def watch() -> None:
        with suppress(DataError):  # there is no run yet
            run = Run(output)
            if progress is not None and run.experiments:
                progress("cells", len(run.finished), len(run.experiments))

    with session_of(engine):
        run_together(engine, processes, config.device, _bench, whole, None, 1, list(only), "local", watch=watch)
    try:
        return report(Run(output), progress)
    except DataError as error:
        raise ConfigError(f"the run is finished, and {output} is not seen from here",
                          fix="Set `output` to a bucket, or to a disk that every node mounts.") from error  # fmt: skip


def _code_checked_beside(progress: Progress | None) -> AbstractContextManager[None]:
    from timbrec.audit.beside import code_checked_beside  # loads the checks, which a finished run does not need

    return code_checked_beside(progress)


def _config_from_memory(settings: dict[str, Any], progress: Progress | None, **tables: Any) -> dict[str, Any]:
    output = settings.get("output") or tempfile.mkdtemp(prefix="timbrec-")
    stored = stored_inputs(location(output), progress=progress, **tables)
    return {"name": "run"} | settings | {"output": output} | stored

"""Where an encoder's weights are: a path the user gives, or the model hub through its own client and cache."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from dataclasses import replace
from pathlib import Path

from timbrec.errors import ConfigError
from timbrec.protocols import EncoderCard, WeightsFile

_LOG = logging.getLogger(__name__)
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+(@[\w./-]+)?")
_FILES = (".bin", ".ckpt", ".h5", ".index", ".json", ".keras", ".npz", ".pt", ".pth", ".safetensors", ".tar")
_USUAL = ("model.safetensors", "pytorch_model.bin")  # what the hub calls tensors


def find_files(weights: Path | str | None, card: EncoderCard) -> list[Path | None]:
    """Where the card's `files` are on this machine, in their order; the first, which has the tensors, always is.

    `weights`: None fetches them from the hub, or takes what its cache has; "owner/name" or "owner/name@revision" does
    so from another repository there; a folder is searched for their names and the hub's usual ones, and else for its
    only .safetensors; a file is taken for the first, and the others are looked for beside it. What else is missing is
    None. Raises ConfigError for what is not there, cannot be fetched, or has another checksum than the card says.
    """
    if weights is None:
        return [_fetch(file, card) for file in card.files]
    path = Path(weights)
    if not path.exists() and card.files and is_hub_id(str(weights)):
        repo, _, revision = str(weights).partition("@")
        return [_fetch(replace(file, repo=repo, revision=revision or "main", sha256=""), card) for file in card.files]
    first = _tensors(path, card) if path.is_dir() else path
    beside = [first.parent / Path(file.path).name for file in card.files[1:]]
    return [first, *(other if other.is_file() else None for other in beside)]


def is_hub_id(text: str) -> bool:
    """Whether it reads as owner/name or owner/name@revision, and not as the path of a file of weights."""
    return _HUB_ID.fullmatch(text) is not None and not text.lower().endswith(_FILES)


def _tensors(folder: Path, card: EncoderCard) -> Path:
    """The file in a folder that has the tensors."""
    named = [folder / Path(file.path).name for file in card.files[:1]]
    named += [path.with_suffix(".safetensors") for path in named] + [folder / name for name in _USUAL]
    others = sorted(folder.glob("*.safetensors"))
    found = next((path for path in named if path.is_file()), others[0] if len(others) == 1 else None)
    if found is None:
        names = " or ".join(dict.fromkeys(path.name for path in named))
        raise ConfigError(f"there are no weights of {card.name} in {folder}", fix=f"Looked for {names}.")
    return found


def _fetch(file: WeightsFile, card: EncoderCard) -> Path:
    """The file from the hub's cache, else from the hub; its licence and size are told before it is loaded."""
    try:
        from huggingface_hub import hf_hub_download, try_to_load_from_cache
    except ImportError as error:
        raise ConfigError(
            f"getting the weights of {card.name} takes the package huggingface_hub, which is not installed",
            fix="Run `pip install 'timbrec[encoders]'`, or give the weights' path.",
        ) from error
    try:
        if not isinstance(try_to_load_from_cache(file.repo, file.path, revision=file.revision), str):
            size = f"{file.bytes / 1e6:,.0f} MB" if file.bytes else "of unknown size"
            told = (card.name, file.path, file.repo, size, card.licence_weights)
            _LOG.warning("%s: getting %s of %s (%s; licence of the weights: %s)", *told)
        path = Path(hf_hub_download(file.repo, file.path, revision=file.revision))
    except Exception as error:  # the client's own errors, those of its connection, of the disk
        raise _not_had(file, card, error) from error
    _check_sum(path, file)
    return path


def _not_had(file: WeightsFile, card: EncoderCard, error: Exception) -> ConfigError:
    """What the client's error means for who wants the weights."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    where = f"{card.name}: {file.path} of {file.repo}"
    if "GatedRepoError" in kinds:
        return ConfigError(f"{where} is given to who accepted its conditions", fix="Do so, and set HF_TOKEN.")
    if "RepositoryNotFoundError" in kinds or "HFValidationError" in kinds:
        return ConfigError(
            f"{where}: the hub has no such repository, or shows it to its members only",
            fix="Check owner/name@revision, or the path if it is one; HF_TOKEN logs in.",
        )
    if "RevisionNotFoundError" in kinds:
        return ConfigError(f"{where}: there is no revision {file.revision!r}", fix="Check owner/name@revision.")
    if "LocalEntryNotFoundError" in kinds or "OfflineModeIsEnabled" in kinds:
        return ConfigError(
            f"{where} is not in the hub's cache, and the hub cannot be reached",
            fix="Check the connection (HF_ENDPOINT names a mirror, HF_HUB_OFFLINE=1 asks for the cache alone), or give "
            "the path of a copy.",
        )
    if "EntryNotFoundError" in kinds:
        return ConfigError(f"{where}: the repository has no such file at {file.revision!r}", fix="Choose a revision.")
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return ConfigError(f"{where} cannot be had from the hub: {reason}", fix="Try again, or give the path of a copy.")


def _check_sum(path: Path, file: WeightsFile) -> None:
    """Refuse another file than the published one. A sum that was right is noted, and not taken again."""
    if not file.sha256 or (note := _note(path, file)).exists():
        return
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if not found.startswith(file.sha256):
        raise ConfigError(
            f"{path} is not the published {file.path} of {file.repo}: "
            f"its sha256 begins with {found[:12]}, not with {file.sha256[:12]}",
            fix="Delete it and get it again; if it was published anew, name its revision: owner/name@revision.",
        )
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()
    except OSError:  # a home that cannot be written to costs a few seconds at every load, no more
        _LOG.debug("the checksum of %s cannot be noted", path)


def _note(path: Path, file: WeightsFile) -> Path:
    """A file in the user's cache that says: this file, of this size and time, had this sum."""
    real = path.resolve()
    state = f"{real} {real.stat().st_size} {real.stat().st_mtime_ns} {file.sha256}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "timbrec" / "checked" / hashlib.sha256(state.encode()).hexdigest()[:32]

"""Finds an encoder's files of weights: at a path of the user, or on the model hub through its own client and cache."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from timbrec.encoders.weights.reading import weights_file
from timbrec.errors import ConfigError
from timbrec.protocols import EncoderCard, WeightsFile

_LOG = logging.getLogger(__name__)
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+(@[\w./-]+)?")
_SUFFIXES = (".bin", ".ckpt", ".h5", ".index", ".json", ".keras", ".npz", ".pt", ".pth", ".safetensors", ".tar")
_USUAL = ("model.safetensors", "pytorch_model.bin")  # the hub's usual names of tensors


def find_files(weights: Path | str | None, card: EncoderCard) -> list[Path | None]:
    """The local paths of the card's `files`, in their order; None for a missing file, except the first (the tensors).

    `weights` is None for the official repository on the hub, "owner/name" or "owner/name@revision" for another one, or
    a path. Files on the hub are downloaded unless its cache has them. In a folder, the tensors are the file of the
    official name or of a usual name of the hub, else the only .safetensors; the other files are taken from beside the
    tensors. Raises ConfigError for missing tensors, for a failed download, and for a checksum that is not the card's.
    """
    files = _on_hub(weights, card)
    return _beside(Path(str(weights)), card) if files is None else [_fetch(file, card) for file in files]


def check_files(weights: Path | str | None, card: EncoderCard) -> list[WeightsFile]:
    """The card's files that `find_files` would download; nothing is downloaded or loaded.

    Raises ConfigError for missing or empty tensors, for a Git LFS pointer, and for files that are neither in the hub's
    cache nor can be downloaded because the client is missing or offline.
    """
    files = _on_hub(weights, card)
    if files is None:
        weights_file(Path(str(_beside(Path(str(weights)), card)[0])))
        return []
    missing = [file for file in files if not _cached(file, card)]
    if missing and _client(card).constants.HF_HUB_OFFLINE:
        raise _unreachable(missing[0], card)
    return missing


def files_here(weights: Path | str | None, card: EncoderCard) -> list[Path] | None:
    """The files of a repository in the hub's cache; None if one is missing, or if `weights` is a path."""
    files = _on_hub(weights, card)
    paths = [_in_cache(file, card) for file in files or ()]
    return [Path(path) for path in paths if path] if files and all(paths) else None


def is_hub_id(text: str) -> bool:
    """Whether a text reads as owner/name or owner/name@revision, not as the path of a file of weights."""
    return _HUB_ID.fullmatch(text) is not None and not text.lower().endswith(_SUFFIXES)


def _on_hub(weights: Path | str | None, card: EncoderCard) -> list[WeightsFile] | None:
    """The files to take from the hub; None if `weights` is a path."""
    if weights is None:
        return list(card.files)
    if Path(weights).exists() or not card.files or not is_hub_id(str(weights)):
        return None
    repo, _, revision = str(weights).partition("@")
    return [replace(file, repo=repo, revision=revision or "main", sha256="") for file in card.files]


def _beside(path: Path, card: EncoderCard) -> list[Path | None]:
    """The tensors in a folder or file, and the card's other files beside them."""
    tensors = _tensors(path, card) if path.is_dir() else path
    others = [tensors.parent / Path(file.path).name for file in card.files[1:]]
    return [tensors, *(other if other.is_file() else None for other in others)]


def _tensors(folder: Path, card: EncoderCard) -> Path:
    """The file of tensors in a folder."""
    named = [folder / Path(file.path).name for file in card.files[:1]]
    named += [path.with_suffix(".safetensors") for path in named] + [folder / name for name in _USUAL]
    others = sorted(folder.glob("*.safetensors"))
    tensors = next((path for path in named if path.is_file()), others[0] if len(others) == 1 else None)
    if tensors is None:
        names = " or ".join(dict.fromkeys(path.name for path in named))
        raise ConfigError(f"there are no weights of {card.name} in {folder}", fix=f"Looked for {names}.")
    return tensors


def _client(card: EncoderCard) -> ModuleType:
    """The hub's client. Raises ConfigError where it is not installed."""
    try:
        import huggingface_hub
        import huggingface_hub.constants
    except ImportError as error:
        raise ConfigError(
            f"downloading the weights of {card.name} needs the package huggingface_hub, which is not installed",
            fix="Run `pip install 'timbrec[encoders]'`, or give the weights' path.",
        ) from error
    return huggingface_hub


def _cached(file: WeightsFile, card: EncoderCard) -> bool:
    """Whether the hub's cache has the file."""
    return bool(_in_cache(file, card))


def _in_cache(file: WeightsFile, card: EncoderCard) -> str:
    """The path of a file in the hub's cache; empty if the cache has none."""
    try:
        path = _client(card).try_to_load_from_cache(file.repo, file.path, revision=file.revision)
        return path if isinstance(path, str) else ""
    except ValueError as error:  # a name that the hub cannot have
        raise _explained(file, card, error) from error


def _fetch(file: WeightsFile, card: EncoderCard) -> Path:
    """The file in the hub's cache, downloaded if missing; licence and size are logged before the download."""
    client = _client(card)
    try:
        if not _cached(file, card):
            size = f"{file.bytes / 1e6:,.0f} MB" if file.bytes else "of unknown size"
            details = (card.name, file.path, file.repo, size, card.licence_weights)
            _LOG.warning("%s: downloading %s of %s (%s; licence of the weights: %s)", *details)
        path = Path(client.hf_hub_download(file.repo, file.path, revision=file.revision))
    except ConfigError:
        raise
    except Exception as error:  # errors of the client, its connection and the disk
        raise _explained(file, card, error) from error
    _check_sum(path, file)
    return path


def _explained(file: WeightsFile, card: EncoderCard, error: Exception) -> ConfigError:
    """The client's error as a message to the user."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    place = f"{card.name}: {file.path} of {file.repo}"
    if "GatedRepoError" in kinds:
        return ConfigError(f"{place} requires accepting its conditions", fix="Accept them on the hub, set HF_TOKEN.")
    if "RepositoryNotFoundError" in kinds or "HFValidationError" in kinds:
        return ConfigError(
            f"{place}: the hub has no such repository, or shows it to its members only",
            fix="Check owner/name@revision, or the path if it is one; HF_TOKEN logs in.",
        )
    if "RevisionNotFoundError" in kinds:
        return ConfigError(f"{place}: there is no revision {file.revision!r}", fix="Check owner/name@revision.")
    if "LocalEntryNotFoundError" in kinds or "OfflineModeIsEnabled" in kinds:
        return _unreachable(file, card)
    if "EntryNotFoundError" in kinds:
        return ConfigError(f"{place}: the repository has no such file at {file.revision!r}", fix="Choose a revision.")
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return ConfigError(f"{place} cannot be downloaded: {reason}", fix="Try again, or give the path of a copy.")


def _unreachable(file: WeightsFile, card: EncoderCard) -> ConfigError:
    return ConfigError(
        f"{card.name}: {file.path} of {file.repo} is not in the hub's cache, and the hub cannot be reached",
        fix="Check the connection (HF_ENDPOINT names a mirror, HF_HUB_OFFLINE=1 uses the cache alone), or give the "
        "path of a copy.",
    )


def _check_sum(path: Path, file: WeightsFile) -> None:
    """Refuse a file that is not the published one. A correct checksum is noted and not computed again."""
    if not file.sha256 or (note := _note(path, file)).exists():
        return
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if not digest.startswith(file.sha256):
        raise ConfigError(
            f"{path} is not the published {file.path} of {file.repo}: "
            f"its sha256 begins with {digest[:12]}, not with {file.sha256[:12]}",
            fix="Delete it and get it again; if it was published anew, name its revision: owner/name@revision.",
        )
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()
    except OSError:  # an unwritable home costs a few seconds at every load, no more
        _LOG.debug("the checksum of %s cannot be noted", path)


def _note(path: Path, file: WeightsFile) -> Path:
    """The marker in the user's cache that this file, with this size, time and checksum, was verified."""
    real = path.resolve()
    state = f"{real} {real.stat().st_size} {real.stat().st_mtime_ns} {file.sha256}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "timbrec" / "checked" / hashlib.sha256(state.encode()).hexdigest()[:32]

"""Where Headstart keeps what it can make again: $HEADSTART_CACHE, or the platform's cache folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from headstart.errors import UserError

Place = str | Path
"""A file or folder."""


def one_way(path: Path) -> str:
    """A path in one way of writing it: absolute and without `..`. Links keep their names, and no file is looked at."""
    return os.path.abspath(path)  # noqa: PTH100


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with a leading `~` as the home folder; one that names no home folder stays as it is.

    A finished run, study or ranking is its folder. Raises UserError for what is no path.
    """
    path = getattr(path, "folder", path)
    if not isinstance(path, str | os.PathLike):
        raise UserError(f"A path is needed, as text or a Path, not a {type(path).__name__}.")
    return Path(os.path.expanduser(path))  # noqa: PTH111 (Path.expanduser raises for a file called ~name)


def absolute(name: str | os.PathLike[str]) -> str:
    """A path that exists becomes absolute, so that a recipe means the same from anywhere; other names stay.

    So does that behind `local-dir:`, which is a folder whatever it is called. Raises UserError for what is no path.
    """
    check_name(name)
    if str(name).startswith("local-dir:"):
        return f"local-dir:{expanded(str(name).removeprefix('local-dir:')).absolute()}"
    path = expanded(name)
    return str(path.resolve()) if str(name) and path.exists() else os.fspath(name)


def check_name(name: object) -> None:
    """Raise UserError for data that are neither a path nor a name."""
    if not isinstance(name, str | os.PathLike):
        raise UserError(
            f"A path or a name is needed, not a {type(name).__name__}: pictures in memory go to TransferClassifier, a "
            "table is read from a CSV or Parquet file."
        )


def absolute_network(name: str | os.PathLike[str]) -> str:
    """The same for a backbone, which is a file or a name: a folder that is called like a network is not meant."""
    own = not str(name).startswith("local-dir:") and expanded(name).is_dir()
    return os.fspath(name) if own else absolute(name)


def weights_folder() -> Path | None:
    """The user's own folder of weights, which HEADSTART_WEIGHTS names."""
    named = os.environ.get("HEADSTART_WEIGHTS")
    return expanded(named) if named else None


def cache_dir() -> Path:
    """The cache folder: features, converted models, downloaded data. It need not exist yet."""
    if chosen := os.environ.get("HEADSTART_CACHE"):
        return expanded(chosen)
    return platformdirs.user_cache_path("headstart", appauthor=False)


def features_dir() -> Path:
    """The folder of the feature store."""
    return cache_dir() / "features"


def models_dir() -> Path:
    """The folder of converted and compiled backbones."""
    return cache_dir() / "models"

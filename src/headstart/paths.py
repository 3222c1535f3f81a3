"""Where Headstart keeps what it can make again: $HEADSTART_CACHE, or the platform's cache folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with a leading `~` as the home folder; one that names no home folder stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (Path.expanduser raises for a file called ~name)


def absolute(name: str | os.PathLike[str]) -> str:
    """A path that exists becomes absolute, so that a recipe means the same from anywhere; other names stay."""
    path = expanded(name)
    return str(path.resolve()) if str(name) and path.exists() else os.fspath(name)


def cache_dir() -> Path:
    """The cache folder: features, converted models, downloaded data. It need not exist yet."""
    if chosen := os.environ.get("HEADSTART_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "headstart"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "headstart" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))).expanduser() / "headstart"


def features_dir() -> Path:
    """The folder of the feature store."""
    return cache_dir() / "features"


def models_dir() -> Path:
    """The folder of converted and compiled backbones."""
    return cache_dir() / "models"

"""Remembers what resolving a name found, so that a repeated run imports neither torch nor timm. Loss is harmless."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from headstart.paths import cache_dir
from headstart.shared import replacing

FORMAT = 2
PACKAGES = ("timm", "torchvision", "torch")


def place(question: list[Any]) -> Path:
    """The file for a question (name, weights, seed); it changes with the libraries' versions."""
    key = json.dumps([FORMAT, *_versions(), *question])
    return cache_dir() / "backbones" / f"{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}.json"


@functools.cache
def _versions() -> tuple[str, ...]:
    """Of PACKAGES; read once, because that takes longer than all else here."""
    return tuple(map(version, PACKAGES))


def recall(question: list[Any]) -> dict[str, Any] | None:
    """What was remembered, None when nothing or nothing readable."""
    try:
        found = json.loads(place(question).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("question") == question else None


def remember(question: list[Any], answer: dict[str, Any]) -> None:
    """Keep an answer; a folder that cannot be written is passed over."""
    path = place(question)
    with contextlib.suppress(OSError), replacing(path) as part:
        part.write_text(json.dumps({"question": question, **answer}), encoding="utf-8")

"""The fingerprint of a backbone: what its features depend on, apart from preprocessing, layer and engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def fingerprint_of(
    architecture: str, kwargs: Mapping[str, Any], num_classes: int | None, content: str, library: str
) -> str:
    """32 hexadecimal digits. `content` is the sha256 of the weights, or says how random ones are drawn."""
    values = [1, architecture, dict(kwargs), num_classes, content, library]
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=16).hexdigest()

"""OpenVINO, imported when it is needed and without its telemetry."""

from __future__ import annotations

import sys
from typing import Any


def load() -> Any:
    """The module `openvino`. Its converter reports each conversion to its makers unless that package is missing."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: an import of it fails
    import openvino

    return openvino

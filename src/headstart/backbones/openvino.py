"""OpenVINO, imported when it is needed, without its telemetry and without its converter."""

from __future__ import annotations

import sys
from typing import Any

CONVERTER = "openvino.tools.ovc"


def load() -> Any:
    """The module `openvino`. Its converter reports each conversion to its makers unless that package is missing.

    The converter takes as long to be imported as all else, so it waits until `openvino.convert_model` is called.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: an import of it fails
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    sys.modules.setdefault(CONVERTER, None)  # type: ignore[arg-type]  # OpenVINO goes on without it
    try:
        import openvino
    finally:
        if sys.modules[CONVERTER] is None:
            del sys.modules[CONVERTER]
    if not hasattr(openvino, "convert_model"):
        openvino.convert_model = _convert
    return openvino


def _convert(*model: Any, **settings: Any) -> Any:
    from openvino.tools.ovc import convert_model

    return convert_model(*model, **settings)

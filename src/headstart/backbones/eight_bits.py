"""A network with weights and activations in eight bits, by NNCF's post-training quantisation; its telemetry is off."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.backbones import openvino

CALIBRATED_ON = 300
"""Training pictures that the ranges of activations are measured on, as NNCF does by default."""


def quantised(network: Any, inputs: Sequence[NDArray[np.generic]]) -> Any:
    """An `openvino.Model` or `onnx.ModelProto` in int8, from what it is given for some pictures, each (1, c, h, w).

    What is around the network stays in float32. Source: NNCF, `nncf.quantize`, preset "mixed".
    """
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # NNCF looks for CUDA, which is not needed
    openvino.load()  # takes its telemetry away, which NNCF would use too
    import nncf

    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # bars of progress
        given = nncf.Dataset(inputs)
        return nncf.quantize(network, given, preset=nncf.QuantizationPreset.MIXED, subset_size=len(inputs))

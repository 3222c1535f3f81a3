"""From PyTorch to OpenVINO."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from headstart.backbones import openvino

if TYPE_CHECKING:
    from torch import nn


def convert(module: nn.Module, size: tuple[int, int]) -> Any:
    """Convert a float (1, 3, *size) -> (1, d) module, which takes pictures of that size, to an `openvino.Model`."""
    ov = openvino.load()
    import torch
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = torch.zeros(1, 3, *size)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its use of torch.jit, and sizes that become constants: they are constant
        once = {"check_trace": False}  # not traced again to compare: it takes as long as the rest
        traced = TorchScriptPythonDecoder(module, example_input=(example,), trace_kwargs=once)
        return ov.convert_model(traced, input=[1, 3, *size])

"""From PyTorch to OpenVINO."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from headstart.errors import UserError

if TYPE_CHECKING:
    from torch import nn


def convert(module: nn.Module, size: tuple[int, int], name: str) -> Any:
    """Convert a float (1, 3, *size) -> (1, d) module to an `openvino.Model`.

    Raises UserError when the network cannot take pictures of that size.
    """
    import openvino as ov
    import torch

    example = torch.zeros(1, 3, *size)
    with torch.no_grad():
        try:
            module(example)
        except (RuntimeError, AssertionError, ValueError) as error:
            raise UserError(
                f"{name} cannot take pictures of {size[0]}x{size[1]} pixels ({str(error).strip().splitlines()[0]}); "
                "give another --image-size, or leave it out."
            ) from error
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its use of torch.jit, and sizes that become constants: they are constant
            return ov.convert_model(module, example_input=example, input=[1, 3, *size])

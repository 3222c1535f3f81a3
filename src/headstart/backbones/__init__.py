"""Backbones: networks trained on many pictures, whose features others learn from.

    names         Keras spellings                             resolution   name + weights -> Backbone
    sources       table of libraries (timm, torchvision)      backbone     Backbone, a network of PyTorch
    base          what every backbone has                     from_onnx    OnnxBackbone, a frozen file
    sidecar       what a weights file is and expects          checkpoint   weights files into networks, exactly
    trace         a network as a graph                        table        its layers by name
    split         trunk and tail                              trainable    the part that is trained
    with_weights  the same network with other weights         catalog      the families, with size and cost
    encoders      size and layer that pay, by family          resizing     the same network for another size
    pages         model pages and folders like them           hub          downloads
    fetch         networks to take along                      licences     what a licence asks

Importing this package imports none of the libraries.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from headstart.backbones.backbone import Backbone, as_pytorch
from headstart.backbones.base import BaseBackbone
from headstart.backbones.catalog import Row, catalog_rows
from headstart.backbones.facts import Layer
from headstart.backbones.from_onnx import OnnxBackbone
from headstart.backbones.resolution import resolve
from headstart.backbones.weights import Weights

if TYPE_CHECKING:
    from headstart.backbones.measure import describe, search
    from headstart.backbones.split import Split

__all__ = [
    "Backbone",
    "BaseBackbone",
    "Layer",
    "OnnxBackbone",
    "Row",
    "Split",
    "Weights",
    "as_pytorch",
    "catalog_rows",
    "describe",
    "resolve",
    "search",
]


_LATER = {"Split": "split", "describe": "measure", "search": "measure"}
"""What lives in modules that import torch, or that can be run by themselves."""


def __getattr__(name: str) -> Any:
    """What is imported when it is asked for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)

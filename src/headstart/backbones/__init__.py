"""Backbones: networks trained on many pictures, whose features others learn from.

    names      Keras spellings and `source:name`           resolve    name + weights -> Backbone
    sources    table of libraries (timm, torchvision)      backbone   Backbone, Weights, OnnxBackbone
    sidecar    what a weights file is and expects          checkpoint weights files into networks, exactly
    trace      a network as a graph                        layers     names of layers
    split      trunk and tail                              catalog    the families, with size and cost

Importing this package imports none of the libraries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.backbones.backbone import Backbone, OnnxBackbone, Weights
from headstart.backbones.catalog import Row, catalog, describe, search
from headstart.backbones.facts import Layer
from headstart.backbones.resolve import resolve

if TYPE_CHECKING:
    from headstart.backbones.split import Split

__all__ = ["Backbone", "Layer", "OnnxBackbone", "Row", "Split", "Weights", "catalog", "describe", "resolve", "search"]


def __getattr__(name: str) -> Any:
    """`Split` lives in a module that imports torch."""
    if name == "Split":
        from headstart.backbones.split import Split

        return Split
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

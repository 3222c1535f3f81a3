"""Engines run a frozen backbone on pictures and give features; they never train.

All engines take `(b, h, w, c) uint8` pictures that the preprocessing made and have the normalisation inside. A row
depends on its own picture alone: not on the batch, the order, or what ran before.
"""

from headstart.engines.base import Engine, Picture, Row, Tag
from headstart.engines.choice import DEVICES, ENGINES, ON_CPU, PRECISIONS, EngineChoice, choose

__all__ = [
    "DEVICES",
    "ENGINES",
    "ON_CPU",
    "PRECISIONS",
    "Engine",
    "EngineChoice",
    "Picture",
    "Row",
    "Tag",
    "choose",
]

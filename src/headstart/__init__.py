"""Headstart: transfer learning for image classification, with evidence of whether it helped.

The names below are loaded when first used, so that `import headstart` is fast.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.bundle import load_classifier as load_classifier
    from headstart.classifier import Classifier as Classifier
    from headstart.estimators import FeatureExtractor as FeatureExtractor
    from headstart.estimators import TransferClassifier as TransferClassifier
    from headstart.images import ImageSet as ImageSet
    from headstart.recipe import Recipe as Recipe
    from headstart.run import Run as Run
    from headstart.run import execute as execute

_HOME = {
    "Classifier": "classifier",
    "FeatureExtractor": "estimators",
    "ImageSet": "images",
    "Recipe": "recipe",
    "Run": "run",
    "TransferClassifier": "estimators",
    "execute": "run",
    "load_classifier": "bundle",
}

__all__ = [
    "Classifier",
    "FeatureExtractor",
    "ImageSet",
    "Recipe",
    "Run",
    "TransferClassifier",
    "execute",
    "load_classifier",
]
__version__ = version("headstart")


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'headstart' has no attribute '{name}'")
    return getattr(import_module(f"headstart.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

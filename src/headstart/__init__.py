"""Headstart: transfer learning for image classification, with evidence of whether it helped.

The names below are loaded when first used, so that `import headstart` is fast.
"""

TYPE_CHECKING = False  # type checkers take it for true; to import `typing` takes longer than all else here
if TYPE_CHECKING:
    from typing import Any

    __version__: str
    from headstart.api import classify as classify
    from headstart.api import compare as compare
    from headstart.api import evaluate as evaluate
    from headstart.api import explain as explain
    from headstart.api import export as export
    from headstart.api import fit as fit
    from headstart.api import load_run as load_run
    from headstart.api import load_study as load_study
    from headstart.api import predict as predict
    from headstart.api import rank as rank
    from headstart.api import suggest as suggest
    from headstart.bundle import load_classifier as load_classifier
    from headstart.classifier import Classifier as Classifier
    from headstart.classifier import Predictor as Predictor
    from headstart.estimators import FeatureExtractor as FeatureExtractor
    from headstart.estimators import TransferClassifier as TransferClassifier
    from headstart.images import ImageSet as ImageSet
    from headstart.recipe import Recipe as Recipe
    from headstart.run import Run as Run
    from headstart.run import execute as execute
    from headstart.study.execute import Study as Study

_HOME = {
    "Classifier": "classifier",
    "FeatureExtractor": "estimators",
    "ImageSet": "images",
    "Predictor": "classifier",
    "Recipe": "recipe",
    "Run": "run",
    "Study": "study.execute",
    "TransferClassifier": "estimators",
    "classify": "api",
    "compare": "api",
    "evaluate": "api",
    "execute": "run",
    "explain": "api",
    "export": "api",
    "fit": "api",
    "load_classifier": "bundle",
    "load_run": "api",
    "load_study": "api",
    "predict": "api",
    "rank": "api",
    "suggest": "api",
}
__all__ = [*_HOME]


def __getattr__(name: str) -> "Any":
    if name == "__version__":
        from importlib.metadata import version  # half of the time that importing this package would take

        return version("headstart")
    if name not in _HOME:
        raise AttributeError(f"module 'headstart' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"headstart.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

"""`Explainer`: a map for one picture after another, by the way that fits the classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.classifier import Classifier
from headstart.errors import UnknownName, UserError
from headstart.explaining.exact import ExactMaps, NotExact
from headstart.explaining.gradient import GradientMaps
from headstart.explaining.occlusion import occlusion
from headstart.features.extract import Extractor, Settings
from headstart.preprocess import Box, crop_box

Matrix = NDArray[np.float64]
METHODS = ("auto", "cam", "gradient", "occlusion")
UNITS = {
    "cam": "logit above the mean of all classes' logits; the mean of the map is the picture's",
    "gradient": "what the last map or tokens add to the score, by its gradient",
    "occlusion": "fall of the class's log-probability when the place is covered",
}
LEAST_CELLS = 3
"""Cells of a map with fewer of which a rank correlation says nothing."""


@dataclass(frozen=True, eq=False)
class PictureMap:
    """What the parts of a picture say for a class: `values` (h, w) float64, above 0 for it, in the unit of the method.

    The map lies on `box` (left, top, right, bottom), in pixels of the picture of (width, height) `size`: the rest was
    cropped away and never seen. `agreement` is the rank correlation with occlusion, None where it was not asked for or
    one of the two maps is flat.
    """

    values: Matrix
    box: Box
    size: tuple[int, int]
    method: str
    target: int
    agreement: float | None = None

    @property
    def peak(self) -> tuple[float, float]:
        """The middle (x, y) of the strongest cell, in pixels of the picture."""
        y, x = np.unravel_index(int(self.values.argmax()), self.values.shape)
        left, top, right, bottom = self.box
        rows, columns = self.values.shape
        return left + (x + 0.5) * (right - left) / columns, top + (y + 0.5) * (bottom - top) / rows

    @property
    def strength(self) -> Matrix:
        """(h, w) from 0, nothing for the class, to 1, the strongest cell."""
        positive = self.values.clip(0)
        most = float(positive.max())
        return positive / most if most > 0 else positive

    def to_dict(self) -> dict[str, Any]:
        """As explanations.json has it."""
        return {
            "method": self.method,
            "unit": UNITS[self.method],
            "rows": self.values.shape[0],
            "columns": self.values.shape[1],
            "values": [[float(f"{v:.6g}") for v in row] for row in self.values],
            "box": [round(side, 2) for side in self.box],
            "peak": [round(side, 1) for side in self.peak],
            "agreement_with_occlusion": None if self.agreement is None else round(self.agreement, 4),
        }


class Explainer:
    """Maps of a classifier's answers, its engines held open; for one thread at a time, and closed like `Predictor`.

    `method` is `cam` (exact, for linear heads on means of a map or on pixels), `gradient` (Captum, PyTorch),
    `occlusion` (any classifier), or `auto`, the first of them that there is: `method` and `note` then say which and
    why, after the first map. Raises UnknownName for another name, UserError for a method that cannot be had.
    `extractor` is that of a `Predictor` whose engine is to be shared. Averaged views are left out: a map is of the
    plain picture.

    >>> from sklearn.datasets import load_digits
    >>> from headstart import TransferClassifier
    >>> digits = load_digits(n_class=2)
    >>> pictures, names = (digits.images * 15).astype("uint8"), digits.target.astype(str)
    >>> model = TransferClassifier(method="pixels", head="ridge", cache=False).fit(pictures[:60], names[:60])
    >>> with Explainer(model.classifier_) as explainer:
    ...     found = explainer.explain(Image.fromarray(pictures[60]))
    >>> model.classifier_.classes[found.target], names[60], found.method, found.values.shape
    ('0', '0', 'cam', (8, 8))
    """

    def __init__(
        self, classifier: Classifier, method: str = "auto", *, check: bool = False, extractor: Extractor | None = None
    ) -> None:
        if method not in METHODS:
            raise UnknownName("method", method, METHODS)
        self.classifier, self.asked, self.check = classifier, method, check
        self._extractor, self._own = extractor or Extractor(classifier.source, Settings()), extractor is None
        self.method = "" if method == "auto" else method
        self.note = ""

    def explain(self, image: Image.Image, target: int | None = None) -> PictureMap:
        """The map of a decoded picture for a class, an index into the classifier's; by default the predicted one."""
        source = self.classifier.source
        picture = source.preprocess.apply(image)
        column = self._column(picture, target)
        values = self._values(picture, column)
        p = source.preprocess
        agreement = None
        if self.check:
            other = values if self.method == "occlusion" else self._occlusion(picture, column)
            agreement = rank_correlation(values, other)
        box = crop_box(image.size, (p.width, p.height), p.crop_pct)
        return PictureMap(values, box, image.size, self.method, int(self.classifier.head.classes_[column]), agreement)

    def _column(self, picture: NDArray[np.uint8], target: int | None) -> int:
        """The head's column of a class, or of the class that the plain picture is given."""
        head = self.classifier.head
        if target is None:
            return int(head.logits(self._engine.run(picture[None]))[0].argmax())
        found = np.flatnonzero(np.asarray(head.classes_) == target)
        if not len(found):
            name = self.classifier.classes[target]
            raise UserError(f"The classifier has never seen a picture of {name}: there is no map for that class.")
        return int(found[0])

    def _values(self, picture: NDArray[np.uint8], column: int) -> Matrix:
        if self.method:
            return self._ways[self.method](picture, column)
        for method, way in self._ways.items():
            try:
                values = way(picture, column)
            except NotExact:
                continue
            except UserError as error:
                self.note = str(error)
                continue
            self.method = method
            return values
        raise AssertionError("occlusion works with every classifier")

    @property
    def _ways(self) -> dict[str, Callable[[NDArray[np.uint8], int], Matrix]]:
        return {
            "cam": lambda picture, column: self._exact.of(picture, column),
            "gradient": lambda picture, column: self._gradient.of(picture, column),
            "occlusion": self._occlusion,
        }

    @cached_property
    def _exact(self) -> ExactMaps:
        return ExactMaps(self.classifier)

    @cached_property
    def _gradient(self) -> GradientMaps:
        return GradientMaps(self.classifier)

    def _occlusion(self, picture: NDArray[np.uint8], column: int) -> Matrix:
        return occlusion(self.classifier, self._engine, picture, column)

    @property
    def _engine(self) -> Any:
        return self._extractor.engine

    def close(self) -> None:
        """Give everything back but a shared extractor."""
        for name in ("_exact", "_gradient"):
            vars(self).pop(name, None)
        if self._own:
            self._extractor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def rank_correlation(values: Matrix, other: Matrix) -> float | None:
    """Spearman's rank correlation of two maps, the first averaged to the cells of the other; None if one is flat."""
    from scipy.stats import spearmanr

    brought = resized(values, (other.shape[1], other.shape[0]), Image.Resampling.BOX)
    if other.size < LEAST_CELLS or np.ptp(brought) == 0 or np.ptp(other) == 0:
        return None
    return float(spearmanr(brought.ravel(), other.ravel()).statistic)


def resized(values: Matrix, size: tuple[int, int], how: Image.Resampling) -> Matrix:
    """A map (h, w) at (width, height) `size`."""
    picture = Image.fromarray(values.astype(np.float32))
    found: Matrix = np.asarray(picture.resize(size, how), dtype=np.float64)
    return found

"""Classifier: a feature source, a head, the class names and a temperature. Pictures in, probabilities out.

With `averaging`, the probabilities of several views of a picture are averaged, and the temperature is applied to that
average: it then changes confidences and never the answer. (Averaging first and calibrating then also gives better
probabilities: Rahaman & Thiery 2021, "Uncertainty Quantification and Deep Ensembles".)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstart.conformal import Conformal
from headstart.engines import Engine
from headstart.errors import DataError, UserError
from headstart.features.extract import Extractor, Settings
from headstart.features.extraction import Extraction
from headstart.features.source import FeatureSource
from headstart.features.views import ViewExtractor
from headstart.golden import AT_OPENING, Golden
from headstart.images import ImageSet, Limits
from headstart.images.labels import whole
from headstart.images.names import nfc
from headstart.images.ranges import White
from headstart.logits import apply_temperature, averaged_logits, full_logits
from headstart.novelty import Novelty
from headstart.phrases import first_of
from headstart.progress import Progress, silent
from headstart.views import NO_VIEWS, Views

if TYPE_CHECKING:
    from headstart.heads import Head


@dataclass(frozen=True, repr=False)
class Classifier:
    """What a run makes and a bundle keeps.

    `head.classes_` are indices into `classes`, so a class without training pictures has no column in the head; its
    probability is 0. `averaging` are the views that are averaged with the plain picture. `novelty` tells strangers, and
    `conformal` makes sets of classes, where there are some; `golden` has what the classifier of a bundle must compute.

    >>> from sklearn.datasets import load_digits
    >>> from headstart import TransferClassifier
    >>> digits = load_digits(n_class=2)
    >>> pictures, names = (digits.images * 15).astype("uint8"), np.array(["zero", "one"])[digits.target]
    >>> model = TransferClassifier(method="pixels", head="prototype", cache=False).fit(pictures[:20], names[:20])
    >>> classifier = model.classifier_
    >>> classifier.classes
    ('one', 'zero')
    >>> classifier.predict(pictures[20:24]), names[20:24].tolist()
    (['one', 'one', 'one', 'zero'], ['one', 'one', 'one', 'zero'])
    """

    source: FeatureSource
    head: Head
    classes: tuple[str, ...]
    temperature: float = 1.0
    averaging: Views = NO_VIEWS
    novelty: Novelty | None = None
    conformal: Conformal | None = None
    golden: Golden | None = None

    def __repr__(self) -> str:
        seen = f"{self.source.backbone.name}, {self.source.layer}" if self.source.backbone else "pixels"
        return f"Classifier({seen} -> {type(self.head).__name__} -> {first_of(self.classes, 5)})"

    @property
    def limits(self) -> Limits:
        """How pictures are read for it: those whose type declares no range by the one that it was fitted on."""
        return Limits(white=White(*self.source.preprocess.white))

    def check(self, engine: Engine) -> None:
        """Raise BundleError unless an engine gives the first golden pictures the probabilities that are expected.

        Of a classifier from a bundle; one that has just been fitted has no such pictures.
        """
        if self.golden is not None:
            self.golden.check(
                lambda pictures: self.probabilities(self._rows(engine, pictures)), self.classes, count=AT_OPENING
            )

    def _rows(self, engine: Engine, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """(h, w, 3) uint8 pictures -> (n, d) features by an open engine."""
        prepared = [self.source.picture(Image.fromarray(picture), b"") for picture in pictures]
        if len({picture.shape for picture in prepared}) == 1:
            return engine.run(np.stack(prepared))
        return np.concatenate([engine.run(picture[None]) for picture in prepared])

    def made_golden(self, extractor: Extractor | None = None) -> Golden:
        """The golden pictures with the probabilities that this classifier gives them now, in float32.

        By an open `extractor` of its source, where there is one: their rows come from its store if they are there.
        """
        from headstart.images import from_arrays

        exact = self.source.exactly()
        if extractor is None or extractor.source != exact:
            with Extractor(exact) as own:
                return self.made_golden(own)
        return Golden.made(lambda pictures: extractor.extract(from_arrays(pictures)).features, self.probabilities)

    def known(self, features: NDArray[np.floating[Any]]) -> NDArray[np.bool_] | None:
        """(n, d) features -> (n,) whether a picture is like those fitted on; else its answer is none of the classes.

        None where there is no threshold: of an older bundle, or where the pictures were too few (see `novelty`).
        """
        if self.novelty is None or self.novelty.threshold is None:
            return None
        return self.novelty.known(features)

    def logits(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """(n, d) features -> (n, k) unnormalised log-probabilities before the temperature, one column per class."""
        return full_logits(self.head, features, len(self.classes))

    def probabilities(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """(n, d) features -> (n, k) calibrated probabilities without averaging; rows sum to 1."""
        return apply_temperature(self.logits(features), self.temperature)

    def averaged(
        self, plain: NDArray[np.float64], images: ImageSet, extractor: ViewExtractor, stage: str = "average"
    ) -> NDArray[np.float64]:
        """Plain logits (n, k) of n pictures -> (n, k) logarithms of their views' mean probabilities."""
        views = extractor.each(images, self.averaging, stage) if len(self.averaging) else ()
        return averaged_logits(plain, map(self.logits, views))

    def predict_proba(
        self, images: Any, settings: Settings | None = None, progress: Progress = silent
    ) -> tuple[NDArray[np.float64], Extraction]:
        """Probabilities (m, k) of pictures, and which m could be used; see `Predictor.predict_proba`."""
        with Predictor(self, settings) as predictor:
            return predictor.predict_proba(images, progress)

    def predict(self, pictures: Any, settings: Settings | None = None) -> list[str]:
        """Class names of pictures; see `Predictor.predict`."""
        with Predictor(self, settings) as predictor:
            return predictor.predict(pictures)


class Predictor:
    """A classifier held open, for many calls: engine, threads and stores are opened when first needed, then reused.

    For one thread at a time; what it holds is given back by `close` or at the end of a `with`.

    >>> from sklearn.datasets import load_digits
    >>> from headstart import TransferClassifier
    >>> pictures, names = (load_digits().images * 15).astype("uint8"), load_digits().target.astype(str)
    >>> model = TransferClassifier(method="pixels", head="prototype", cache=False).fit(pictures[:100], names[:100])
    >>> with Predictor(model.classifier_) as predictor:
    ...     [predictor.predict(pictures[i : i + 1])[0] for i in range(3)]
    ['0', '1', '2']
    """

    def __init__(self, classifier: Classifier, settings: Settings | None = None) -> None:
        if not isinstance(classifier, Classifier):
            raise UserError("Predictor takes a classifier; for a run folder, use Predictor(load_classifier(folder)).")
        self.classifier, self.extractor = classifier, Extractor(classifier.source, settings, classifier.check)

    def predict_proba(self, images: Any, progress: Progress = silent) -> tuple[NDArray[np.float64], Extraction]:
        """Probabilities (m, k) of the m pictures that could be used, and the extraction that says which those are.

        `images` is an `ImageSet`, or n pictures as `predict` takes them. Pictures that cannot be used are in `refused`
        of the extraction; `kept` (m,) are the positions of the others.
        """
        images = self._listed(images)
        classifier, extraction = self.classifier, self.extractor.extract(images, progress)
        views = ViewExtractor(self.extractor, progress)
        plain = classifier.logits(extraction.features)
        logits = classifier.averaged(plain, images.take(extraction.kept), views)
        return apply_temperature(logits, classifier.temperature), extraction

    def predict(self, pictures: Any) -> list[str]:
        """Class names of n pictures: paths, encoded bytes, PIL images, or an (n, h, w[, 3]) uint8 array.

        Raises DataError where a picture cannot be used, so that the answer has one name for each picture.
        """
        probabilities, extraction = self.predict_proba(pictures)
        if extraction.refused:
            first = extraction.refused[0]
            raise DataError(f"{first.name} cannot be used ({first.reason}).")
        return [self.classifier.classes[k] for k in probabilities.argmax(axis=1)]

    def _listed(self, pictures: Any) -> ImageSet:
        from headstart.images import from_arrays
        from headstart.images.columns import check_several, pictures_in

        if isinstance(pictures, ImageSet):
            return pictures
        pictures = pictures_in(pictures)
        check_several(pictures)
        return from_arrays(pictures, white=self.classifier.source.preprocess.white)

    def close(self) -> None:
        """Give everything back; see `Extractor.close`."""
        self.extractor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def top(probabilities: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """(n, c) probabilities -> (n, min(k, c)) class indices, the most probable first."""
    order: NDArray[np.int64] = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return order


def match_classes(theirs: Sequence[str], ours: Sequence[str]) -> NDArray[np.int64]:
    """For each of their class names its index in ours, -1 where we do not know it. By name, never by position.

    Names that differ in Unicode form alone match, and numbers that differ in a `.0` alone, where no other name does
    exactly.
    """
    exact, alike = {name: i for i, name in enumerate(ours)}, {whole(nfc(name)): i for i, name in enumerate(ours)}
    return np.array([exact.get(name, alike.get(whole(nfc(name)), -1)) for name in theirs], dtype=np.int64)

"""scikit-learn estimators: pictures in, so that Pipeline, GridSearchCV, cross_val_score and clone work on them.

X is an (n, h, w) or (n, h, w, 3) uint8 array, a list or one column of file paths, or a list of PIL images. A picture
that cannot be used is an error here, because an estimator owes one answer for each row of X.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, check_is_fitted, column_or_1d

from headstart.augment import for_recipe
from headstart.classifier import Predictor
from headstart.errors import DataError, UserError
from headstart.feature_source import feature_source
from headstart.features.extract import Extractor, Settings
from headstart.features.source import FeatureSource
from headstart.fitting import fit_frozen, learner_of, train_network
from headstart.images import ImageSet, from_arrays
from headstart.images.columns import check_several, groups_in, labels_in, pictures_in, shape_of
from headstart.paths import features_dir
from headstart.phrases import plural
from headstart.recipe import TRAINED, Recipe


class FeatureExtractor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Features of a frozen backbone: pictures -> (n, d) float32.

    Parameters mean what they do in a `Recipe`; see there. `fit` only looks at the pictures' size, for the size rule,
    and at their range of values; `cache` keeps features on disk, so a grid search computes each picture once. Features
    are named `featureextractor0` and so on (`get_feature_names_out`, `set_output`). `n_features_in_` is the number of
    values of a picture, where `fit` was given one array of pictures.

    >>> import numpy as np
    >>> pictures = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 3), np.uint8)
    >>> FeatureExtractor("sprout", cache=False).fit_transform(pictures).shape
    (3, 2880)
    """

    def __init__(
        self,
        backbone: str = "mobilenetv2_100",
        *,
        weights: str = "pretrained",
        layer: str = "auto",
        method: str = "features",
        image_size: int | None = None,
        engine: str = "auto",
        device: str = "auto",
        seed: int = 0,
        cache: bool = True,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.layer = layer
        self.method = method
        self.image_size = image_size
        self.engine = engine
        self.device = device
        self.seed = seed
        self.cache = cache

    def fit(self, X: Any, y: Any = None) -> Self:
        """Resolve the backbone and its input size for pictures like these; `y` is not used."""
        if self.method in TRAINED:
            raise UserError(
                f"FeatureExtractor gives the features of a frozen network, and method='{self.method}' trains it: use "
                "TransferClassifier."
            )
        X = pictures_in(X)
        self.picture_shape_ = shape_of(X)
        self.source_ = feature_source(_recipe(self), from_arrays(X))
        self._extractor = Extractor(self.source_, _settings(self.cache))
        _count_values(self, X)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Pictures -> (n, d) float32, rows in the order of X. Raises DataError at a picture that cannot be used."""
        check_is_fitted(self, "source_")
        return self._extractor.extract(_images(self, X, self.source_)).features

    @property
    def _n_features_out(self) -> int:
        """d: how many features a picture has, asked of a black one."""
        preprocess = self.source_.preprocess
        black = from_arrays(np.zeros((1, preprocess.height, preprocess.width), np.uint8))
        return int(self._extractor.extract(black).features.shape[1])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.requires_fit = True
        tags.transformer_tags.preserves_dtype = ["float32"]  # of features, whatever the pictures are
        return tags


class TransferClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A head on a frozen backbone, with a temperature, or a network that is trained: pictures -> classes.

    `method` is `features`, `pixels`, or, to train the network with the head on all pictures, `finetune` or `scratch`;
    `training` has the settings of those two, such as {"epochs": 5, "unfreeze": 2}.

    `head_options` are the head's parameters, such as {"C": 0.1}. What is left to choose, and the temperature, are by
    cross-validation; the head is fitted on all pictures. `augment` (a name or FILE.toml), `views` and `tta` vary the
    training pictures and average at prediction, as in a `Recipe`. After `fit`: `classes_`, `classifier_` (a
    `Classifier`, to save with `headstart.bundle.save`), `head_`, and `n_features_in_` as of `FeatureExtractor`.

    >>> from sklearn.datasets import load_digits
    >>> digits = load_digits()
    >>> pictures = (digits.images * 15).astype("uint8")  # (1797, 8, 8)
    >>> model = TransferClassifier("sprout", cache=False).fit(pictures[:50], digits.target[:50])
    >>> bool(model.score(pictures[50:250], digits.target[50:250]) > 0.9)
    True
    """

    def __init__(
        self,
        backbone: str = "mobilenetv2_100",
        *,
        weights: str = "pretrained",
        layer: str = "auto",
        method: str = "features",
        head: str = "logistic",
        head_options: dict[str, Any] | None = None,
        class_weight: str | None = None,
        image_size: int | None = None,
        augment: str = "auto",
        views: int | None = None,
        tta: int = 1,
        training: dict[str, Any] | None = None,
        engine: str = "auto",
        device: str = "auto",
        seed: int = 0,
        cache: bool = True,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.layer = layer
        self.method = method
        self.head = head
        self.head_options = head_options
        self.class_weight = class_weight
        self.image_size = image_size
        self.augment = augment
        self.views = views
        self.tta = tta
        self.training = training
        self.engine = engine
        self.device = device
        self.seed = seed
        self.cache = cache

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit on n pictures with n labels (any values that sort). Raises DataError when they do not fit together.

        `groups` (n,) says which pictures belong together (of one patient, one burst): they stay in one fold of the
        cross-validation that chooses the settings. A picture whose group is None, NaN or '' is alone.
        """
        X = pictures_in(X)
        self.classes_, codes = np.unique(_targets(X, y), return_inverse=True)
        names = tuple(str(c) for c in self.classes_)
        if not names:
            raise DataError("X and y are empty: no picture was given.")
        if len(names) < 2:
            raise DataError(f"y holds one class only ({names[0]}); a classifier needs at least two.")
        if self.training and self.method not in TRAINED:
            raise UserError(
                f"training is for a network that is trained: method='finetune' or 'scratch', not '{self.method}'."
            )
        images = from_arrays(X, [names[k] for k in codes])
        self.picture_shape_ = shape_of(X)
        images = replace(
            images, labels=codes.astype(np.int64), classes=names, parts=np.full(len(images), "train"),
            groups=groups_in(groups, len(images)),
        )  # fmt: skip
        recipe = _with_head(self, _recipe(self, for_recipe(self.augment) | {"views": self.views, "tta": self.tta}))
        learner_of(recipe).head()  # an option that is misspelt is refused before anything is drawn
        settings = _settings(self.cache)
        if self.method in TRAINED:
            with TemporaryDirectory() as folder:
                fitted = train_network(recipe, Path(folder), settings, given=images)
        else:
            fitted = fit_frozen(recipe, settings, given=images)
        self.classifier_ = fitted.classifier
        self._predictor = Predictor(fitted.classifier, settings)
        self.head_ = fitted.classifier.head
        _count_values(self, X)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Pictures -> (n, k) calibrated probabilities, columns in the order of `classes_`."""
        check_is_fitted(self, "classifier_")
        images = _images(self, X, self.classifier_.source)
        return self._predictor.predict_proba(images)[0]

    def predict(self, X: Any) -> NDArray[Any]:
        """Pictures -> (n,) labels from `classes_`."""
        best = self.predict_proba(X).argmax(axis=1)
        chosen: NDArray[Any] = self.classes_[best]
        return chosen

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags


def _targets(X: Any, y: Any) -> NDArray[Any]:
    """Labels (n,), checked as scikit-learn does: one for each picture, finite, and no quantities."""
    if y is None:
        raise DataError(
            "TransferClassifier requires y to be passed, but the target y is None: give one label for each picture."
        )
    if getattr(y, "shape", ())[1:] == (1,):
        y = column_or_1d(y, warn=True)  # the usual warning of scikit-learn
    labels: NDArray[Any] = labels_in(y)
    assert_all_finite(labels, input_name="y")
    check_classification_targets(labels)
    if len(labels) != len(X):
        many = f"{plural(len(labels), 'label')} for the {plural(len(X), 'picture')}"
        raise DataError(f"y holds {many} of X; give one for each.")
    return labels


def _count_values(estimator: BaseEstimator, X: Any) -> None:
    """Set scikit-learn's `n_features_in_` where a picture is a number of values, and not a path or an object."""
    vars(estimator).pop("n_features_in_", None)
    if isinstance(X, np.ndarray) and X.dtype.kind in "buif":
        estimator.n_features_in_ = int(np.prod(X.shape[1:]))


def _images(estimator: FeatureExtractor | TransferClassifier, X: Any, source: FeatureSource) -> ImageSet:
    """X as an `ImageSet`, in the range of values that `fit` saw. Raises DataError where it is one picture."""
    X = pictures_in(X)
    check_several(X, estimator.picture_shape_)
    return from_arrays(X, white=source.preprocess.white)


def _recipe(estimator: FeatureExtractor | TransferClassifier, augment: dict[str, Any] | None = None) -> Recipe:
    sections = {
        "method": estimator.method,
        "seed": estimator.seed,
        "data": {"source": "pictures", "evaluate": "holdout"},  # nothing is judged here
        "backbone": {
            "name": estimator.backbone,
            "weights": str(estimator.weights),
            "layer": estimator.layer,
            "image_size": estimator.image_size,
        },
        "engine": {"name": estimator.engine, "device": estimator.device},
        "augment": augment or {},
    }
    return Recipe.from_dict(sections, "")


def _with_head(estimator: TransferClassifier, recipe: Recipe) -> Recipe:
    """The recipe with what it says of head and training: all that a network is trained with."""
    head = {
        "name": estimator.head,
        "class_weight": estimator.class_weight or "none",
        "options": estimator.head_options or {},
    }
    sections = {**recipe.model_dump(exclude_none=True), "head": head, "training": estimator.training or {}}
    return Recipe.from_dict(sections, "")


def _settings(cache: bool) -> Settings:
    return Settings(features_dir() if cache else None, strict=True)

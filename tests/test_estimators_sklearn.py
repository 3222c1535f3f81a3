"""scikit-learn's own checks on the estimators, which take pictures: each row of a check's table is shown as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from headstart import FeatureExtractor, TransferClassifier


class Rows:
    """Tables (n, d) of any numbers as pictures (n, 1, d) uint8; what is checked of a table is scikit-learn's own."""

    def pictures(self, X: Any, reset: bool = False) -> NDArray[np.uint8]:
        table = validate_data(self, X, reset=reset)
        return (255 / (1 + np.exp(-np.clip(table, -90, 90) / 3)))[:, None, :].astype(np.uint8)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.two_d_array, tags.input_tags.three_d_array, tags.input_tags.string = True, False, False
        return tags


class RowExtractor(Rows, FeatureExtractor):
    def fit(self, X: Any, y: Any = None) -> Self:
        return super().fit(self.pictures(X, reset=True))

    def transform(self, X: Any) -> NDArray[np.float32]:
        check_is_fitted(self, "source_")
        return super().transform(self.pictures(X))


class RowClassifier(Rows, TransferClassifier):
    def fit(self, X: Any, y: Any) -> Self:
        return super().fit(self.pictures(X, reset=True), y)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        check_is_fitted(self, "classifier_")
        return super().predict_proba(self.pictures(X))


ESTIMATORS = [
    RowExtractor(method="pixels", cache=False),
    RowClassifier(method="pixels", head="prototype", cache=False),
]
FAILING = {
    RowClassifier: {"check_class_weight_classifiers": "class_weight is None or 'balanced', as in a recipe; no table"},
}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda estimator: FAILING.get(type(estimator), {}))
def test_every_estimator_passes_every_scikit_learn_check_but_those_named(
    estimator: BaseEstimator, check: Callable[[BaseEstimator], None]
) -> None:
    check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_the_estimators_themselves_pass_what_scikit_learn_can_check_of_pictures() -> None:
    from sklearn.utils.estimator_checks import check_estimator

    for estimator in (FeatureExtractor(method="pixels"), TransferClassifier(method="pixels")):
        assert {result["status"] for result in check_estimator(estimator, on_skip=None)} == {"passed"}


@pytest.mark.parametrize(("of", "count"), [((5, 8, 8), 64), ((5, 8, 8, 3), 192)])
def test_features_have_names_and_come_as_a_table_of_pandas(of: tuple[int, ...], count: int) -> None:
    X = np.random.default_rng(0).integers(0, 256, of).astype(np.uint8)
    extractor = FeatureExtractor(method="pixels", cache=False).fit(X)
    assert extractor.n_features_in_ == count
    names = extractor.get_feature_names_out().tolist()
    assert names == [f"featureextractor{i}" for i in range(count)]
    table = extractor.set_output(transform="pandas").transform(X)
    assert list(table.columns) == names and table.shape == (5, count)
    assert not hasattr(extractor.fit(list(X)), "n_features_in_")

"""scikit-learn's conventions for a classifier, kept without importing it: its import costs more than a prediction.

A class that keeps them can be cloned, searched over and put in a pipeline as any of scikit-learn's own; its checks
are among the tests. scikit-learn itself is imported when it asks (`__sklearn_tags__`), and for input that is not a
plain array of numbers. See "Developing scikit-learn estimators" in its user guide, and decision 0006.
"""

from __future__ import annotations

import inspect
from typing import Any, Self, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

PLAIN = (np.dtype(np.float32), np.dtype(np.float64))


class Estimator:
    """Parameters are the keyword arguments of `__init__`, each kept under its name; `fit` sets `n_features_in_`."""

    n_features_in_: int

    @classmethod
    def _parameters(cls) -> dict[str, Any]:
        """Names of the parameters with their defaults, by name."""
        own = inspect.signature(cls).parameters
        return {name: own[name].default for name in sorted(own)}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; `deep` means nothing, as none is an estimator."""
        return {name: getattr(self, name) for name in self._parameters()}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name. Raises ValueError for an unknown one, as scikit-learn does."""
        known = self._parameters()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}; it takes {', '.join(known)}.")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """The call that makes it, with the parameters that are not at their defaults."""
        usual = self._parameters()
        given = {name: value for name, value in self.get_params().items() if repr(value) != repr(usual[name])}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class (n,) of each row."""
        raise NotImplementedError

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """The share of rows (n, d) that are given their label (n,)."""
        from sklearn.metrics import accuracy_score

        return float(accuracy_score(y, self.predict(X), sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            transformer_tags=None,
            regressor_tags=None,
            classifier_tags=ClassifierTags(),
        )

    def _require_fitted(self) -> None:
        """Raise scikit-learn's NotFittedError before `fit`."""
        if not hasattr(self, "classes_"):
            from sklearn.utils.validation import check_is_fitted

            check_is_fitted(self, "classes_")

    def _to_fit(self, X: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """X (n, d), which need not be finite, and y (n,) as arrays to fit on. Raises ValueError for anything else."""
        if self._is_plain(X) and isinstance(y, np.ndarray) and y.dtype.kind == "i" and y.shape == X.shape[:1]:
            self.n_features_in_ = X.shape[1]
            return X, y
        from sklearn.utils.multiclass import check_classification_targets
        from sklearn.utils.validation import validate_data

        features, labels = validate_data(self, X, y, dtype=[np.float64, np.float32], ensure_all_finite=False)
        check_classification_targets(labels)
        return features, labels

    def _to_apply(self, X: ArrayLike) -> NDArray[Any]:
        """X (n, d) as an array of as many features as were fitted on. Raises ValueError for anything else."""
        if self._is_plain(X) and X.shape[1] == self.n_features_in_:
            return X
        from sklearn.utils.validation import validate_data

        found: NDArray[Any] = validate_data(
            self, X, reset=False, dtype=[np.float64, np.float32], ensure_all_finite=False
        )
        return found

    def _is_plain(self, X: Any) -> TypeGuard[NDArray[Any]]:
        """Whether scikit-learn would take X as it is: rows of floats, and no names of features to compare."""
        named = hasattr(self, "feature_names_in_")
        return type(X) is np.ndarray and X.ndim == 2 and X.size > 0 and X.dtype in PLAIN and not named

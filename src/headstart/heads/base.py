"""What every head shares: checked input, label encoding, probabilities, and state as plain arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart.documents import shown
from headstart.errors import BundleError, DataError, UserError
from headstart.heads.estimator import Estimator
from headstart.heads.folds import Folds, brought, folds_for
from headstart.heads.solver.blocks import Features as Features
from headstart.heads.solver.blocks import row_blocks
from headstart.heads.solver.softmax import softmax
from headstart.heads.state import State, check
from headstart.phrases import plural
from headstart.threads import single_threaded_blas

Codes = NDArray[np.int64]


class HeadDataError(DataError, ValueError):
    """Features or labels that a head cannot be fitted on (also a ValueError, as scikit-learn expects)."""


class HeadSettingError(UserError, ValueError):
    """A head's parameter has a value that means nothing (also a ValueError, as scikit-learn expects)."""


class Examples(NamedTuple):
    """Features (n, d) with their class codes (n,)."""

    X: Features
    y: Codes


def require_finite(X: Features, what: str) -> None:
    """Raise `HeadDataError` with the first bad row if X (n, d) holds NaN or infinite values."""
    for rows in row_blocks(X):
        finite = np.isfinite(X[rows]).all(axis=1)
        if not finite.all():
            first = rows.start + int(np.argmin(finite))
            raise HeadDataError(
                f"The {what} hold NaN or inf, first in row {first}: remove such rows or compute them again."
            )


ClassWeight = dict[Any, float] | str | None


def class_weights(codes: Codes, classes: NDArray[Any], rule: ClassWeight) -> NDArray[np.float64]:
    """Weight of each class (k,): 1, for 'balanced' n / (k n_c) as in scikit-learn, or a dictionary's (else 1)."""
    if isinstance(rule, dict):
        unknown = sorted(str(name) for name in rule.keys() - set(classes.tolist()))
        if unknown:
            raise HeadSettingError(f"class_weight names the class '{unknown[0]}', which has no training rows.")
        return np.array([float(rule.get(name, 1.0)) for name in classes.tolist()])
    if rule is None:
        return np.ones(len(classes))
    if rule != "balanced":
        raise HeadSettingError(f"class_weight is {shown(rule)}: use None, 'balanced' or a dictionary.")
    return len(codes) / (len(classes) * np.maximum(np.bincount(codes, minlength=len(classes)), 1))


class OutOfFold(NamedTuple):
    """Logits (m, k) for rows (m,) by fits that did not see them; a row that was judged again is there again."""

    rows: Codes
    logits: NDArray[np.float64]


class Head(Estimator):
    """A classifier on features: scikit-learn's estimator with a history, notes and arrays for state.

    After `fit`: `classes_` (k,), `n_features_in_`, `history_` (row 0 = before training), `notes_` (sentences for
    the report), `report_` (what was chosen and reached, JSON-able) and `out_of_fold_` (answers to rows that the
    answering fit had not seen, for a temperature; None where there were no trials).  Subclasses write `_fit`,
    `_logits`, `_check_settings`, `ARRAYS` and, where the arrays depend on the settings, `to_arrays` and `_restore`.
    """

    classes_: NDArray[Any]
    n_features_in_: int
    history_: list[dict[str, float]]
    notes_: list[str]
    report_: dict[str, Any]
    out_of_fold_: OutOfFold | None = None
    ARRAYS: ClassVar[Mapping[str, State]] = {}  # fitted attributes (name ends in _) that are the state
    DEAR = False  # whether one trial is all that its fits allow
    TOGETHER = 32  # rows that are answered at once: a product of matrices rounds differently where there are fewer

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        validation: tuple[ArrayLike, ArrayLike] | None = None,
        folds: Folds | None = None,
    ) -> Self:
        """Fit on X (n, d) float32 or float64 and labels y (n,): all of them, whatever was chosen.

        What is left to the head is chosen on rows held out: `validation`, if it is given and not empty, else `folds`,
        else those of `folds_for`; with empty `folds` nothing is chosen.  Raises `HeadDataError` (a ValueError) for NaN,
        fewer than two classes, or validation classes never seen.
        """
        features, labels = self._to_fit(X, y)
        require_finite(features, "training features")
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise HeadDataError(
                f"Training needs two or more classes but got only one class, '{self.classes_[0]}' "
                f"({plural(len(codes), 'row')}): add images of another class."
            )
        self.history_, self.notes_, self.report_, self.out_of_fold_ = [], [], {}, None
        rows = Examples(features, codes.astype(np.int64))
        held_out = self._validation(validation)
        if held_out is not None:
            fitted = len(rows.y)
            rows = Examples(np.concatenate([rows.X, held_out.X]), np.concatenate([rows.y, held_out.y]))
            folds = brought(rows.y, fitted)
        elif folds is None and self._chooses():
            folds = folds_for(rows.X, rows.y, one=self.DEAR)
        with single_threaded_blas():
            self._fit(rows, folds or None)
        return self

    def _check_settings(self) -> None:
        """Raise `HeadSettingError` for a parameter that means nothing."""

    def _states(self) -> dict[str, State]:
        """The arrays of `to_arrays`, by the names that they have there."""
        return {name.rstrip("_"): state for name, state in self.ARRAYS.items()}

    def _restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over the arrays, which are as `_states` has them."""
        for name in self.ARRAYS:
            setattr(self, name, np.asarray(arrays[name.rstrip("_")]))

    def _chooses(self) -> bool:
        """Whether anything is left to the head to choose."""
        return True

    def _validation(self, validation: tuple[ArrayLike, ArrayLike] | None) -> Examples | None:
        if validation is None or len(np.asarray(validation[1])) == 0:
            return None
        features = self._checked(validation[0], "validation features")
        y = np.asarray(validation[1])
        if len(y) != len(features):
            raise HeadDataError(
                f"Validation has {plural(len(features), 'row')} of features and {plural(len(y), 'label')}."
            )
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise HeadDataError(f"Validation holds the class '{unknown[0]}', which training never saw.")
        return Examples(features, np.searchsorted(self.classes_, y).astype(np.int64))

    def _checked(self, X: ArrayLike, what: str = "features") -> Features:
        features: Features = self._to_apply(X)
        require_finite(features, what)
        return features

    def _fit(self, rows: Examples, folds: Folds | None) -> None:
        """Choose on the folds, where there are some, and fit on all rows."""
        raise NotImplementedError

    def _logits(self, X: Features) -> NDArray[np.float64]:
        raise NotImplementedError

    def logits(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores (n, k) whose softmax is `predict_proba`; what a temperature divides.

        A row's scores are the same to the last bit whatever rows are beside it: always `TOGETHER` are computed at once.
        """
        self._require_fitted()
        features, n = self._checked(X), self.TOGETHER
        found = [self._logits(features[start : start + n]) for start in range(0, len(features) - n + 1, n)]
        if rest := len(features) % n:
            last: Any = np.pad(features[-rest:], ((0, n - rest), (0, 0)), mode="edge")
            found.append(self._logits(last)[:rest])
        return np.concatenate(found)

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """scikit-learn's form of `logits`: (n, k), or (n,) = log odds of `classes_[1]` for two classes."""
        logits = self.logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Class probabilities (n, k) in the order of `classes_`; rows sum to 1."""
        return softmax(self.logits(X))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class (n,) of each row."""
        codes = np.argmax(self.logits(X), axis=1)
        best: NDArray[Any] = self.classes_[codes]
        return best

    def describe_choice(self) -> str:
        """What the fit chose, from what and by what, in a sentence; what it used where nothing was chosen; or nothing.

        `whiten = 0.01, C = 3.16: chosen among 14 settings by the log loss of 5-fold cross-validation on 500 pictures.`
        """
        choice = self.report_.get("choice", {})
        if not choice.get("chosen"):
            return ""
        chosen = ", ".join(f"{name} = {value:g}" for name, value in choice["chosen"].items())
        if choice["tried"] < 2:
            return f"{chosen}: {choice['by']}."
        return f"{chosen}: chosen among {choice['tried']} settings by the {choice['criterion']} of {choice['by']}."

    def describe_layers(self) -> str:
        """The layers of a head that has some to tell of: `Dense 512 (ReLU, dropout 0.5), Dense 2 + softmax: ...`."""
        return ""

    def describe_budget(self) -> str:
        """From what it chose, in words that are the same for alike arms of a study: `8 settings, one chosen`."""
        tried = self.report_.get("choice", {}).get("tried", 0)
        return f"{tried} settings, one chosen by cross-validation" if tried > 1 else "one setting"

    def config(self) -> dict[str, Any]:
        """Everything but the arrays: constructor parameters, classes, history, notes and report; JSON-able.

        The history is without its times, so that a fit that is repeated has the same configuration to the byte.
        """
        self._require_fitted()
        params = {k: v for k, v in self.get_params(deep=False).items() if not callable(v)}
        state = {
            "params": params,
            "classes": self.classes_.tolist(),
            "classes_dtype": self.classes_.dtype.str,
            "n_features": int(self.n_features_in_),
            "history": [{k: v for k, v in row.items() if not k.endswith("_s")} for row in self.history_],
            "notes": self.notes_,
            "report": self.report_,
        }
        plain: dict[str, Any] = json.loads(json.dumps(state, default=_plain))
        return plain

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The fitted state as named arrays; with `config()` it is all that `from_arrays` needs."""
        self._require_fitted()
        return {name.rstrip("_"): np.ascontiguousarray(getattr(self, name)) for name in self.ARRAYS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], config: dict[str, Any]) -> Self:
        """The fitted head back from `to_arrays()` and `config()`.

        Raises `BundleError` when a piece is missing or does not fit, `UserError` for a parameter that means nothing.
        """
        if missing := {"params", "classes", "n_features"} - config.keys():
            raise BundleError(f"A {cls.__name__} cannot be restored: {', '.join(sorted(missing))} missing.")
        dtype = config.get("classes_dtype", "O")
        classes = np.array(config["classes"], dtype=object if dtype.endswith("O") else dtype)
        head = cls(**_restored_params(config["params"], classes))
        head._check_settings()
        head.classes_ = classes
        head.n_features_in_ = int(config["n_features"])
        head.history_, head.notes_ = config.get("history", []), config.get("notes", [])
        head.report_ = config.get("report", {})
        try:
            check(arrays, head._states(), {"k": len(classes), "d": head.n_features_in_})
        except ValueError as error:
            raise BundleError(f"A {cls.__name__} cannot be restored: {error}.") from error
        head._restore(arrays)
        return head


def _restored_params(params: dict[str, Any], classes: NDArray[Any]) -> dict[str, Any]:
    """Constructor parameters after JSON: tuples again, and class names again as keys of class_weight."""
    restored = {key: tuple(v) if isinstance(v, list) else v for key, v in params.items()}
    if isinstance(rule := params.get("class_weight"), dict):
        restored["class_weight"] = {c: rule[str(c)] for c in classes.tolist() if str(c) in rule}
    return restored


def _plain(value: Any) -> Any:
    """NumPy scalars and arrays as JSON numbers and lists."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")

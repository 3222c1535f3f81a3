"""The graph from features to calibrated probabilities: heads, temperature and classes without training pictures.

A head with the classes 0..m-1 gives (1, m) logits up to a constant, which the softmax does not see.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.exporting.graph import FLOAT, Piece
from headstart.novelty import Novelty

Arrays = dict[str, NDArray[Any]]


def probabilities(g: Piece, features: str, head: Any, temperature: float, classes: int) -> str:
    """float32 (1, d) features -> float32 (1, classes), named `probabilities`; rows sum to 1."""
    arrays = {name: np.asarray(array) for name, array in head.to_arrays().items()}
    logits = HEADS[type(head).__name__](g, features, head, arrays)
    known = g("Softmax", g("Div", logits, _float(temperature)), axis=1)
    places = np.full(classes, len(head.classes_))  # the column of zeros behind those of the head
    places[np.asarray(head.classes_, dtype=np.int64)] = np.arange(len(head.classes_))
    padded = g("Concat", known, np.zeros((1, 1), np.float32), axis=1)
    return g("Gather", padded, places, axis=1, name="probabilities")


def strangeness(g: Piece, features: str, novelty: Novelty) -> str:
    """float32 (1, d) features -> float32 (1,), named `strangeness`: one minus the cosine to the nearest reference."""
    if novelty.sketch is not None:
        signed = g("Mul", features, _float(novelty.sketch.signs))
        padded = g("Concat", signed, np.zeros((1, 1), np.float32), axis=1)
        members = g("Gather", padded, _members(novelty.sketch.buckets), axis=1)
        features = g("ReduceSum", members, np.array([2]), keepdims=0)
    reference = g("Cast", np.ascontiguousarray(novelty.reference.T), to=FLOAT)
    nearest, _ = g.several("TopK", 2, g("MatMul", unit(g, features), reference), np.array([1]), axis=1)
    return g("Reshape", g("Sub", _float(1), nearest), np.array([1]), name="strangeness")


def _members(buckets: NDArray[np.int32]) -> NDArray[np.int64]:
    """(w, m): the features of each bucket, filled up with d, which is the column of zeros behind them."""
    counts, order = np.bincount(buckets), np.argsort(buckets, kind="stable")
    found = np.full((len(counts), counts.max()), len(buckets))
    found[np.arange(counts.max()) < counts[:, None]] = order
    return found


def _float(values: Any) -> NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32)


def _dense(g: Piece, x: str, weights: NDArray[Any], bias: NDArray[Any]) -> str:
    return g("Add", g("MatMul", x, _float(weights)), _float(bias))


def unit(g: Piece, x: str) -> str:
    """Rows (1, d) brought to length 1; a row of zeros stays."""
    length = g("Sqrt", g("ReduceSum", g("Mul", x, x), np.array([1]), keepdims=1))
    return g("Div", x, g("Where", g("Greater", length, _float(0)), length, _float(1)))


def _linear(g: Piece, x: str, head: Any, arrays: Arrays) -> str:
    if arrays.get("rooted", np.zeros(1))[0]:
        x = g("Mul", g("Sign", x), g("Sqrt", g("Abs", x)))
    if arrays.get("normalised", np.zeros(1))[0]:
        x = unit(g, x)
    return _dense(g, x, arrays["coef"], arrays["intercept"])


def _mlp(g: Piece, x: str, head: Any, arrays: Arrays) -> str:
    last = len(head.dense_layers()) - 1
    for number, layer in enumerate(head.dense_layers()):
        x = _dense(g, x, *layer)
        x = x if number == last else g("Relu", x)
    return x


def _standardised(g: Piece, x: str, arrays: Arrays) -> str:
    return g("Div", g("Sub", x, _float(arrays["mean"])), _float(arrays["scale"]))


def _prototype(g: Piece, x: str, head: Any, arrays: Arrays) -> str:
    """-|z - m|^2 / t + log share without |z|^2, which is the same for all classes."""
    z = _standardised(g, x, arrays)
    z = unit(g, z) if head.normalise == "l2" else z
    means, temperature = arrays["prototypes"], arrays["temperature"][0]
    bias = arrays["log_shares"] - np.einsum("kd,kd->k", means, means) / temperature
    return _dense(g, z, 2 * means.T / temperature, bias)


def _knn(g: Piece, x: str, head: Any, arrays: Arrays) -> str:
    """Log of the share of votes; the nearest rows r have the largest 2 z r - |r|^2, one product with all of them."""
    z = _standardised(g, x, arrays)
    z = unit(g, z) if head.metric == "cosine" else z
    rows = arrays["features"].astype(np.float64)
    near = _dense(g, z, 2 * rows.T, -np.einsum("nd,nd->n", rows, rows))
    _, places = g.several("TopK", 2, near, np.array([int(head.report_["k"])]), axis=1)
    codes = g("Gather", arrays["codes"].astype(np.int64), g("Squeeze", places, np.array([0])), axis=0)
    votes = g("Gather", np.diag(_float(arrays["votes"])), codes, axis=0)
    counted = g("Add", g("ReduceSum", votes, np.array([0]), keepdims=1), _float(arrays["prior"]))
    return g("Log", counted)


HEADS: dict[str, Callable[[Piece, str, Any, Arrays], str]] = {
    "LogisticHead": _linear,
    "RidgeHead": _linear,
    "MLPHead": _mlp,
    "LinearHead": _mlp,
    "PrototypeHead": _prototype,
    "KNNHead": _knn,
}
"""How each head of `headstart.heads` is written, by its class."""

"""Ridge regression on one-hot labels, by closed form; alpha from validation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from headstart.heads.base import Examples, Features, Head, HeadSettingError, class_weights
from headstart.heads.scaler import Scaler, standardised
from headstart.heads.softmax import softmax

Matrix = NDArray[np.float64]
ALPHAS = tuple(10.0**e for e in range(-4, 4))  # relative to the mean squared norm of a row
SHARPNESS = 4.0  # a one-hot fit lies near 0..1; this spread of logits is only a start for a temperature


class RidgeHead(Head):
    """Least squares to one-hot labels with penalty alpha ||W||^2 on standardised features; bias unpenalised.

    With Z (n, d) centred and T (n, k): (A) n >= d: W = (Z'Z + alpha I)^-1 Z'T; (B) d > n: W = Z'(ZZ' + alpha I)^-1 T.
    One eigendecomposition serves all alphas.  `alpha` is relative to the mean squared norm of a row times n/d...
    """

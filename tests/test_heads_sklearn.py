"""scikit-learn's own checks, all of them, on every head."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from headstart.heads import HEADS, make_head
from headstart.heads.base import Head


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([make_head(name) for name in HEADS])
def test_every_head_passes_every_scikit_learn_check(estimator: Head, check: Callable[[Head], None]) -> None:
    """No check is expected to fail and none is left out."""
    check(estimator)

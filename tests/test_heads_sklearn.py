"""scikit-learn's own checks, all of them, on every head, none of which inherits from it (decision 6)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from headstart.heads import HEADS, make_head
from headstart.heads.base import Head

SETTLED = {"logistic": {"C": 1.0, "normalise": False}}
"""The same head without a search for its settings, which takes most of the time."""


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([make_head(name, **SETTLED.get(name, {})) for name, head in HEADS.items() if not head.DEAR])
def test_every_head_passes_every_scikit_learn_check(estimator: Head, check: Callable[[Head], None]) -> None:
    """No check is expected to fail and none is left out."""
    check(estimator)


@pytest.mark.slow
@pytest.mark.exhaustive
@parametrize_with_checks([make_head(name) for name in SETTLED])
def test_so_does_one_that_searches_for_its_settings(estimator: Head, check: Callable[[Head], None]) -> None:
    check(estimator)


@pytest.mark.slow
@pytest.mark.exhaustive
@parametrize_with_checks([make_head(name) for name, head in HEADS.items() if head.DEAR])
def test_so_does_one_that_is_trained_by_epochs(estimator: Head, check: Callable[[Head], None]) -> None:
    check(estimator)

"""What each step added, such as views or their averaging: the same pictures answered without it and with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.statistics import mcnemar, share_interval


def stepwise_accuracy(
    labels: NDArray[np.int64], answers: Mapping[str, NDArray[np.float64]], groups: NDArray[np.int64] | None = None
) -> list[dict[str, Any]]:
    """One JSON-able entry for each step of `answers`, step -> logits (n, k) of the same n pictures, in their order.

    Each says the step's accuracy with its 95% interval and, against the entry before it, how many mistakes it `mended`,
    how many it `made`, and `p`: how often chance alone would set the two as far apart (McNemar's test, exact).
    """
    n = len(labels)
    if not n:
        return []
    found: list[dict[str, Any]] = []
    before: NDArray[np.bool_] | None = None
    for step, logits in answers.items():
        right = logits.argmax(axis=1) == labels
        correct = int(right.sum())
        low, high = share_interval(right, groups)
        entry = {"step": step, "accuracy": correct / n, "accuracy_low": low, "accuracy_high": high}
        if before is not None:
            mended, made = int((right & ~before).sum()), int((~right & before).sum())
            entry |= {"mended": mended, "made": made, "p": mcnemar(mended, made)}
        found.append(entry)
        before = right
    return found
